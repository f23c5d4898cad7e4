/* SPDX-License-Identifier: Apache-2.0 */
/* The weight table. Read it with docs/detection.md beside it. */
#include "detect/evidence.h"

#include <errno.h>

#include "detect/finding.h"

/* One row a line; the words are for people. */
// clang-format off
const struct evidence_row evidence_rows[EVIDENCE_COUNT] = {
	[E_REGULAR] = { "regular", "beacon", GROUP_TIMING, CLASS_C2, false, 20, "T1071",
		"check-ins more regular than chance", "3 x -log10(p) - 6: regularity.h; p < 1e-9 for 36 of 2,004 benign pairs" },
	[E_ONE_SIZE] = { "one-size", "beacon", GROUP_SIZES, CLASS_C2, false, 3, "",
		"nearly all check-ins send the same amount", "reasoned" },
	[E_STEADY] = { "steady", "beacon", GROUP_SCHEDULE, CLASS_C2, false, 4, "T1029",
		"as many check-ins each hour, day and night", "reasoned" },

	[E_WRONG_PORT] = { "wrong-port", "channel", GROUP_CHANNEL, CLASS_C2, false, 10, "T1571",
		"a protocol on a port that is another's", "reasoned; none in 20 benign captures" },
	[E_ODD_PORT] = { "odd-port", "channel", GROUP_CHANNEL, CLASS_C2, false, 8, "T1571",
		"a known protocol on a port where it has no home", "reasoned: 8 without a name, 6 with one" },
	[E_UNKNOWN_PROTOCOL] = { "unknown-protocol", "channel", GROUP_CHANNEL, CLASS_C2, false, 12, "T1095",
		"a protocol that no decoder knows", "12 in text, 9 encrypted, 7 else; half with a name" },
	[E_STRAY] = { "stray", "channel", GROUP_CHANNEL, CLASS_C2, false, 10, "T1090,T1187",
		"a protocol of inner networks goes to the Internet", "reasoned: 10 SOCKS and SMB, 8 LDAP, IRC, Telnet" },
	[E_REMOTE_CONTROL] = { "remote-control", "channel", GROUP_CHANNEL, CLASS_POLICY, false, 8, "T1219",
		"a screen is shared over the Internet", "reasoned" },
	[E_LONG] = { "long", "channel", GROUP_CHANNEL, CLASS_C2, false, 12, "T1071",
		"a connection that lasts for hours", "3 + 2 x log2(hours), half for known protocols, at home at most 4" },
	[E_INTERACTIVE] = { "interactive", "channel", GROUP_CHANNEL, CLASS_C2, false, 10, "T1059",
		"short messages in turn, at the pace of a person", "reasoned: 10 where more goes up than comes down" },
	[E_PUSHED] = { "pushed", "channel", GROUP_TIMING, CLASS_C2, false, 14, "T1071",
		"the other side speaks at fixed times, this one listens", "2 x -log10(p) - 4" },

	[E_DGA_NX] = { "nxdomain-random", "dga", GROUP_DGA, CLASS_C2, true, 25, "T1568.002",
		"asks for names of random letters that do not exist", "1 in 100,000 groups of 10 ordinary names: bench/QUALITY.md" },
	[E_DGA_WORDS] = { "nxdomain-words", "dga", GROUP_DGA, CLASS_C2, false, 15, "T1568.002",
		"asks for names of words put together that do not exist", "as above; English-heavy clients come to it 5 to 20 times as often" },
	[E_DGA_NAME] = { "made-up-name", "dga", GROUP_DGA, CLASS_C2, false, 6, "T1568.002",
		"its name looks made up by a program", "people choose such names, one in a hundred to a thousand" },

	[E_DNS_INFO] = { "dns-names", "dns", GROUP_DNS, CLASS_EXFIL, true, 40, "T1048.003,T1071.004",
		"much was said in names that were never asked for before", "28 at 2,000 B an hour (ordinary: below 745), 6 more each time it doubles; tests/quality/dns.c" },
	[E_DNS_DOWN] = { "dns-answers", "dns", GROUP_DNS, CLASS_C2, false, 20, "T1071.004,T1105",
		"much came back in answers that carry text or data", "8 at 4 kB a day; reasoned" },
	[E_DNS_RESOLVER] = { "dns-server", "dns", GROUP_NAMING, CLASS_POLICY, false, 3, "T1071.004",
		"asks a DNS server that is not one of its own", "reasoned: devices with a built-in server do that too" },

	[E_DOH] = { "doh", "doh", GROUP_NAMING, CLASS_POLICY, false, 4, "T1071.004,T1572",
		"hides its DNS questions in an encrypted connection", "4 an interpreter or an unknown program, 3 others, 2 a machine; reasoned" },
	[E_ECH] = { "ech", "doh", GROUP_NAMING, CLASS_POLICY, false, 3, "T1090.004",
		"hides the name it asks for, and is no browser", "reasoned" },

	[E_EXECUTION] = { "execution", "execution", GROUP_CHANNEL, CLASS_C2, false, 10, "T1105",
		"a program from a folder for anybody calls out", "reasoned: 5 where its file is only deleted" },
	[E_TOOL_UPLOAD] = { "tool-upload", "execution", GROUP_CHANNEL, CLASS_EXFIL, false, 10, "T1048",
		"a tool was told to upload a file", "reasoned" },
	[E_ONE_LINER] = { "one-liner", "execution", GROUP_CHANNEL, CLASS_C2, false, 8, "T1059",
		"an interpreter got its program on the command line", "reasoned" },

	[E_NEW_PRINT] = { "new-print", "fingerprint", GROUP_IDENTITY, CLASS_C2, false, 6, "T1055",
		"another TLS library in a program that still uses its own", "reasoned" },
	[E_BORROWED_PRINT] = { "borrowed-print", "fingerprint", GROUP_IDENTITY, CLASS_C2, false, 10, "T1036",
		"TLS as only browsers here speak it, from no browser", "10 of tools and interpreters, else 4" },
	[E_RARE_PRINT] = { "rare-print", "fingerprint", GROUP_RARITY, CLASS_C2, false, 4, "",
		"TLS as nobody else here speaks it, to a peer of nobody else", "reasoned" },
	[E_OLD_TLS] = { "old-tls", "fingerprint", GROUP_CHANNEL, CLASS_C2, false, 12, "",
		"a client that knows no TLS newer than 1.0", "reasoned: browsers gave it up in 2020; 4 with a name" },

	[E_HTTP_ADDRESS] = { "http-address", "http", GROUP_NAMING, CLASS_C2, false, 8, "T1071.001",
		"plain HTTP to an address", "4, private 2; +2 for a POST, +2 on an odd port" },
	[E_HTTP_AGENT] = { "http-agent", "http", GROUP_NAMING, CLASS_C2, false, 4, "T1071.001",
		"a client that says nothing of itself, or is a tool", "reasoned" },
	[E_HTTP_GATE] = { "http-gate", "http", GROUP_CHANNEL, CLASS_C2, false, 10, "T1071.001",
		"one path is posted to again and again, nothing else", "4; +2 for a script, +4 from 8 posts on, +2 without a name" },
	[E_HTTP_REGULAR] = { "http-regular", "http", GROUP_TIMING, CLASS_C2, false, 16, "T1071.001",
		"posts to one path, more regular than chance", "2 x -log10(p) - 4, as for regular" },
	[E_HTTP_PATH] = { "http-path", "http", GROUP_CHANNEL, CLASS_C2, false, 18, "T1132.001",
		"paths that are data", "4, 6 from four paths on; escaped 10, 18 from three on" },

	[E_ICMP_ANSWERS] = { "icmp-answers", "icmp", GROUP_CHANNEL, CLASS_C2, true, 40, "T1095,T1572",
		"answers to pings that are not what was asked", "RFC 792; no benign capture has one" },
	[E_ICMP_DATA] = { "icmp-data", "icmp", GROUP_CHANNEL, CLASS_EXFIL, false, 22, "T1048.003",
		"pings that carry data", "reasoned: text and ciphertext in many sizes" },

	[E_LISTED] = { "listed", "intel", GROUP_INTEL, CLASS_INTEL, true, 36, "T1071",
		"a feed names the address, name, URL or certificate", "by kind and age, intel_index.h; up to 45 for address and port" },
	[E_LISTED_TOR] = { "listed-tor", "intel", GROUP_INTEL, CLASS_POLICY, false, 12, "T1090.003",
		"a feed names it as a Tor relay", "intel_index.h" },
	[E_LISTED_PLACE] = { "listed-place", "intel", GROUP_INTEL, CLASS_POLICY, false, 4, "",
		"a feed names it as a proxy, resolver, scanner or doubtful place", "intel_index.h" },
	[E_LISTED_PRINT] = { "listed-print", "intel", GROUP_INTEL, CLASS_INTEL, false, 6, "",
		"a feed names the TLS fingerprint", "weak: programs share libraries" },

	[E_SPAM] = { "spam", "mail", GROUP_CHANNEL, CLASS_C2, false, 20, "T1071.003",
		"many mail servers, by what is none", "14 from 10 servers an hour, 20 from 25" },
	[E_BULK_MAIL] = { "bulk-mail", "mail", GROUP_CHANNEL, CLASS_C2, false, 6, "T1071.003",
		"one letter for many recipients", "reasoned" },

	[E_NO_SNI] = { "no-sni", "naming", GROUP_NAMING, CLASS_C2, false, 6, "T1071.001",
		"TLS without a name", "6 to an address, less without visible DNS; 3 else" },
	[E_NOT_ASKED] = { "not-asked", "naming", GROUP_NAMING, CLASS_C2, false, 4, "",
		"a name that no DNS answer gave", "reasoned" },
	[E_NAME_MISMATCH] = { "mismatch", "naming", GROUP_NAMING, CLASS_C2, false, 4, "T1090.004",
		"a name that is not the address's by DNS", "reasoned" },
	[E_NAME_IS_ADDRESS] = { "literal", "naming", GROUP_NAMING, CLASS_C2, false, 4, "",
		"an address where TLS has a name", "RFC 6066 3" },
	[E_DYNAMIC_NAME] = { "dynamic-dns", "naming", GROUP_NAMING, CLASS_C2, false, 4, "T1568",
		"a name by dynamic DNS or of a tunnel", "reasoned" },
	[E_ADDRESS_ASKED] = { "address-asked", "naming", GROUP_NAMING, CLASS_C2, false, 8, "T1016",
		"it asked for its own public address before", "reasoned" },
	[E_CERTIFICATE] = { "certificate", "naming", GROUP_NAMING, CLASS_C2, false, 12, "T1587.003",
		"a certificate that no public authority would sign", "CA/B Baseline Requirements 6.3.2; reasoned" },

	[E_P2P] = { "p2p", "p2p", GROUP_CHANNEL, CLASS_POLICY, false, 6, "",
		"file sharing between peers", "reasoned" },

	[E_POLLING] = { "polling", "polling", GROUP_TIMING, CLASS_C2, false, 14, "T1071",
		"short connections, one after the other, all alike", "reasoned: 7 from 12 on, 10 from 16, 14 from 24" },

	[E_PACKET_SOCKET] = { "packet-socket", "rawsock", GROUP_CHANNEL, CLASS_C2, false, 25, "T1205,T1040",
		"a packet socket of a program that needs none", "reasoned: half for what packages brought" },
	[E_RAW_PROTOCOL] = { "raw-protocol", "rawsock", GROUP_CHANNEL, CLASS_C2, false, 10, "T1095",
		"an IP protocol that hardly any program speaks", "reasoned: 3 for tunnels" },

	[E_SHELL_SOCKET] = { "shell", "shell", GROUP_CHANNEL, CLASS_C2, true, 40, "T1059.004",
		"a shell has the connection as its input and output", "27 of 27 ways, 0 of 23 ordinary uses; tests/e2e/shells.py" },
	[E_SHELL_RELAY] = { "shell-relay", "shell", GROUP_CHANNEL, CLASS_C2, true, 40, "T1059.004",
		"a shell is joined to the connection by a program that only moves bytes", "the same" },

	[E_TOR] = { "tor", "tor", GROUP_CHANNEL, CLASS_POLICY, false, 16, "T1090.003",
		"TLS as Tor's client speaks it", "reasoned" },
	[E_MADE_UP_NAME] = { "made-up", "tor", GROUP_NAMING, CLASS_POLICY, false, 4, "",
		"a name that Tor made up", "reasoned" },

	[E_BURST] = { "burst", "volume", GROUP_VOLUME, CLASS_EXFIL, false, 20, "T1048",
		"more sent within an hour than is ordinary", "8 + 2 x (z - 4); to a new peer 20 + 10 x log10(bytes / 50 MB)" },
	[E_NEW_UPLOAD] = { "new-upload", "volume", GROUP_RARITY, CLASS_EXFIL, false, 20, "T1048",
		"a new peer got more than new peers get", "10 + 5 x ln(bytes / 99 % of others); tests/quality/volume.py" },
	[E_DRIP] = { "drip", "volume", GROUP_VOLUME, CLASS_EXFIL, false, 20, "T1030",
		"little at a time adds up", "20 + 10 x log10(decayed 7 days / 100 MB); 14 by cumulative sum; tests/quality/volume.py" },
	[E_CHUNKS] = { "chunks", "volume", GROUP_SIZES, CLASS_EXFIL, false, 3, "T1030",
		"uploads of one size", "reasoned" },
	[E_OFF_HOURS] = { "off-hours", "volume", GROUP_SCHEDULE, CLASS_EXFIL, false, 3, "T1029",
		"at an hour when it hardly ever sends", "reasoned" },
	[E_STAGED] = { "staged", "volume", GROUP_SCHEDULE, CLASS_EXFIL, false, 4, "T1074",
		"it had read as much from inside before", "reasoned" },
	[E_DESTINATION] = { "destination", "volume", GROUP_CHANNEL, CLASS_EXFIL, false, 26, "T1567",
		"programs of its kind do not send there", "reasoned, by class of program and destination" },
	[E_DROP_SITE] = { "drop-site", "volume", GROUP_NAMING, CLASS_EXFIL, false, 6, "T1567",
		"a place where things are left for others", "reasoned, by class of destination" },
	[E_FTP_UPLOAD] = { "ftp-upload", "volume", GROUP_VOLUME, CLASS_EXFIL, false, 8, "T1048.003",
		"a file handed over by FTP, not encrypted", "reasoned" },
	[E_MAIL_SENT] = { "mail-sent", "volume", GROUP_VOLUME, CLASS_EXFIL, false, 8, "T1048.003",
		"mail handed in by what reads none", "reasoned; 8 in the clear with a password, 4 encrypted" },
	[E_LOOKUP_UPLOAD] = { "lookup-upload", "volume", GROUP_CHANNEL, CLASS_EXFIL, false, 24, "T1016",
		"asked for its own address, then handed data over", "reasoned: thieves of passwords do, one after the other" },

	[E_RARE] = { "rare", "", GROUP_RARITY, CLASS_NONE, false, 20, "",
		"few here or in the fleet ever contacted it", "10 x log10((1 + all) / (1 + those)); 15 at most by what one machine saw" },
	[E_NEW_PEER] = { "new", "", GROUP_RARITY, CLASS_NONE, false, 6, "",
		"first seen lately", "6 within 7 days, 3 within 30" },
	[E_UNNAMED] = { "unnamed", "", GROUP_RARITY, CLASS_NONE, false, 4, "",
		"no name, or one that few know", "4 without a name, 2 without fame" },
	[E_TEMP_FILE] = { "temp-file", "", GROUP_IDENTITY, CLASS_C2, false, 16, "T1036.005",
		"the program lies where anybody may write", "reasoned" },
	[E_DELETED_FILE] = { "deleted-file", "", GROUP_IDENTITY, CLASS_C2, false, 12, "T1070.004",
		"the program's file was deleted", "reasoned: updates do that too" },
	[E_MEMFD] = { "memfd", "", GROUP_IDENTITY, CLASS_C2, false, 20, "T1620",
		"the program runs from memory", "reasoned" },
	[E_PACKAGED] = { "packaged", "", GROUP_IDENTITY, CLASS_NONE, false, -10, "",
		"the program belongs to a package", "reasoned" },
	[E_POPULAR] = { "popular", "", GROUP_ORDINARY, CLASS_NONE, false, -25, "",
		"a name that everybody knows", "-25 the core of the Internet, -15 the top 10,000, -10 a quarter of the fleet" },
	[E_LEARNED] = { "learned", "", GROUP_ORDINARY, CLASS_NONE, false, -15, "",
		"learned as ordinary here", "reasoned" },
	[E_SHARED_HOSTING] = { "shared", "", GROUP_ORDINARY, CLASS_NONE, false, -10, "",
		"an address many names share", "reasoned" },
};
// clang-format on

const int evidence_caps[GROUP_COUNT] = {
#define X(id, name, cap) [GROUP_##id] = (cap),
	EVIDENCE_GROUPS(X)
#undef X
};

const char *evidence_group_name(enum evidence_group g)
{
	static const char *const names[GROUP_COUNT] = {
#define X(id, name, cap) [GROUP_##id] = (name),
		EVIDENCE_GROUPS(X)
#undef X
	};

	return names[g];
}

const char *finding_class_name(enum finding_class c)
{
	static const char *const names[] = { NULL, "c2", "exfil", "intel", "policy" };

	return names[c];
}

const char *finding_state_name(enum finding_state s)
{
	static const char *const names[] = { "open", "update", "closed" };

	return names[s];
}

const char *severity_name(enum severity s)
{
	static const char *const names[] = { NULL, "low", "medium", "high", "critical" };

	return names[s];
}

int severity_parse(struct str word, enum severity *ret)
{
	for (enum severity s = SEVERITY_LOW; s <= SEVERITY_CRITICAL; s++)
		if (str_eq_nocase(word, str_of(severity_name(s)))) {
			*ret = s;
			return 0;
		}
	return -EINVAL;
}
