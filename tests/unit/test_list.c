// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <errno.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "list_rig.h"

static void plain_lists(void **state)
{
	expect("# a comment\n"
	       "192.0.2.1\n"
	       "192.0.2.7/28\n"
	       "2001:db8::/32 ; SBL1\n"
	       "192.0.2.10-192.0.2.20\r\n"
	       "192.0.2.10 - 192.0.2.20\n"
	       "192.0.2.3:8080\n"
	       "[2001:db8::1]:443 # here\n"
	       "::ffff:192.0.2.9\n"
	       "192.0.2.5\t14\n",
	       LIST_PLAIN,
	       "range 192.0.2.1\n"
	       "range 192.0.2.0-192.0.2.15\n"
	       "range 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff [SBL1]\n"
	       "range 192.0.2.10-192.0.2.20\n"
	       "range 192.0.2.10-192.0.2.20\n"
	       "range 192.0.2.3 port 8080\n"
	       "range 2001:db8::1 port 443 [here]\n"
	       "range 192.0.2.9\n"
	       "range 192.0.2.5 [14]\n",
	       0, 0);
	expect("Example.COM.\n*.example.net\n**.example.org\n.example.edu\n_x.example.com\n\n"
	       "m\xc3\xbcnchen.example\nxn--mnchen-3ya.example\n"
	       "0-1.example\n10.example\nevil.example:8080\nevil.example/a.php\nhttp://192.0.2.1/"
	       "x\n/x.php\n"
	       "server=/dns.example/\naddress=/masq.example/0.0.0.0\n"
	       "44d88612fea8a8f36de82e1278abb02f\nt13d1516h2_8daaf6152771_b186095e22b6\n",
	       LIST_PLAIN,
	       "name example.com\nbelow example.net\ntree example.org\ntree example.edu\n"
	       "name _x.example.com\n"
	       "name xn--mnchen-3ya.example\nname xn--mnchen-3ya.example\n"
	       "name 0-1.example\nname 10.example\nname evil.example port 8080\nurl "
	       "evil.example/a.php\n"
	       "url http://192.0.2.1/x\npath /x.php\n"
	       "tree dns.example\ntree masq.example\n"
	       "hash 44d88612fea8a8f36de82e1278abb02f\nja4 t13d1516h2_8daaf6152771_b186095e22b6\n",
	       0, 0);
	/* dnsmasq names several between its slashes; Suricata's datasets of strings are Base64 */
	expect("address=/a.example/b.example/192.0.2.1\nserver=/c.example/\nlocal=/d.example/\n",
	       LIST_PLAIN, "tree a.example\ntree b.example\ntree c.example\ntree d.example\n", 0,
	       0);
	expect("YmFkLmV4YW1wbGU=\nd29yc2UuZXhhbXBsZS5jb20=\naHR0cDovL2EuZXhhbXBsZS94\n", LIST_PLAIN,
	       "name bad.example\nname worse.example.com\nurl http://a.example/x\n", 0, 0);
}

/* What looks like an address or a name and is none is said, never guessed at. */
static void what_a_plain_line_cannot_be(void **state)
{
	static const char *const lines[] = {
		"192.0.2.256",
		"192.0.2",
		"192.0.2.1/33",
		"0.0.0.0/0",
		"::/0",
		"192.0.2.9-192.0.2.1",
		"192.0.2.1-::1",
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"example",
		"-",
		"a..example",
		"two words.example x",
		"ex*mple.com",
		"*",
		"exa mple.com",
		"\xff\xfe.com",
		"<html>",
		"name.123",
	};
	struct list_report report;
	struct seen s;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int r = read_as(LIST_PLAIN, str_of(lines[i]), 0, &s, &report);

		if (r != -EINVAL || s.n || report.bad != 1 || report.first_bad_line != 1)
			fail_msg("'%s' was taken: %s", lines[i], s.text.p ? s.text.p : "");
		buf_done(&s.text);
	}
}

static void names_as_long_as_they_may_be(void **state)
{
	struct list_report report;
	char label[80], name[400];
	struct seen s;

	memset(label, 'a', sizeof(label));
	label[63] = 0;
	/* 3 * 64 + 61 = 253 */
	snprintf(name, sizeof(name), "%s.%s.%s.%.61s", label, label, label, label);
	assert_ok(read_as(LIST_PLAIN, str_of(name), 0, &s, &report));
	assert_int_equal(s.n, 1);
	buf_done(&s.text);
	snprintf(name, sizeof(name), "%s.%s.%s.%.62s", label, label, label, label);
	assert_err(read_as(LIST_PLAIN, str_of(name), 0, &s, &report), -EINVAL);
	snprintf(name, sizeof(name), "%sa.com", label);
	assert_err(read_as(LIST_PLAIN, str_of(name), 0, &s, &report), -EINVAL);
}

static void hosts_files(void **state)
{
	expect("# hosts\n127.0.0.1 localhost localhost.localdomain\n::1 ip6-localhost\n"
	       "0.0.0.0 Ads.Example.com tracker.example # both\n0.0.0.0\tone.example\n"
	       ":: six.example\n0.0.0.0 0.0.0.0\n0.0.0.0 bad..example\n",
	       LIST_HOSTS,
	       "name ads.example.com\nname tracker.example\nname one.example\nname six.example\n",
	       4, 1);
}

static void adblock_lists(void **state)
{
	expect("[Adblock Plus 2.0]\n! Title: "
	       "x\n||ads.example^\n||Track.Example^$important\n||x.example^|\n"
	       "||*.wild.example^\n||192.0.2.1^\n||zip^\n"
	       "||cdn.example^$third-party\n@@||good.example^\n||example.com/ads/\n/banner/\n"
	       "example.com##.ad\n||ads.*^\n# AdGuard Home\n",
	       LIST_ADBLOCK,
	       "tree ads.example\ntree track.example\ntree x.example\nbelow wild.example\n"
	       "range 192.0.2.1\ntree zip\n",
	       6, 0);
}

static void policy_zones(void **state)
{
	expect("$TTL 2h\n$ORIGIN rpz.example.\n"
	       "@ IN SOA localhost. root.localhost. (\n  1 ; serial\n  6h 1h 1w 2h )\n"
	       "  IN NS localhost.\n"
	       "bad.example CNAME .\n*.bad.example 300 IN CNAME *.\n"
	       "local.example A 127.0.0.1\n  AAAA ::1\n"
	       "good.example CNAME rpz-passthru.\n"
	       "drop.example.rpz.example. CNAME rpz-drop.\n"
	       "24.0.2.0.192.rpz-ip CNAME .\n"
	       "48.zz.101.db8.2001.rpz-ip CNAME .\n128.1.zz.2001.rpz-ip CNAME .\n"
	       "32.1.2.0.192.rpz-client-ip CNAME .\nns.example.rpz-nsdname CNAME .\n"
	       "txt.example TXT \"; not ( a comment\" ; one\n"
	       "elsewhere.example. CNAME .\n$ORIGIN sub\nbad CNAME .\n",
	       LIST_RPZ,
	       "name bad.example\nbelow bad.example\nname local.example\nname drop.example\n"
	       "range 192.0.2.0-192.0.2.255\n"
	       "range 2001:db8:101::-2001:db8:101:ffff:ffff:ffff:ffff:ffff\nrange 2001::1\n"
	       "name txt.example\nname bad.sub\n",
	       4, 0);
	/* as `dig axfr` prints it */
	expect("rpz.example. 3600 IN SOA a. b. 1 2 3 4 5\nrpz.example. 3600 IN NS a.\n"
	       "bad.example.rpz.example. 60 IN CNAME .\n*.bad.example.rpz.example. 60 IN CNAME .\n",
	       LIST_RPZ, "name bad.example\nbelow bad.example\n", 0, 0);
}

static void rpz_addresses_that_are_none(void **state)
{
	static const char *const owners[] = {
		"24.0.2.192.rpz-ip",     "33.1.2.0.192.rpz-ip",  "x.rpz-ip",
		"24.0.2.0.192.1.rpz-ip", "64.zz.zz.2001.rpz-ip", "128.00001.zz.rpz-ip"
	};
	struct list_report report;
	char text[128];
	struct seen s;

	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		snprintf(text, sizeof(text), "%s CNAME .\n", owners[i]);
		if (read_as(LIST_RPZ, str_of(text), 0, &s, &report) != -EINVAL || s.n)
			fail_msg("'%s' was taken", owners[i]);
		buf_done(&s.text);
	}
}

static void tables(void **state)
{
	/* the shape of Feodo Tracker's */
	expect("################\r\n# Feodo, a list, of C2 #\r\n#\r\n"
	       "\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\","
	       "\"malware\"\r\n"
	       "\"2026-01-01 "
	       "00:00:00\",\"192.0.2.1\",\"443\",\"online\",\"2026-02-01\",\"Dridex\"\r\n"
	       "# END 1 entries\r\n",
	       LIST_CSV, "range 192.0.2.1 port 443 [Dridex] seen 1769904000\n", 0, 0);
	/* SSLBL: addresses, certificates, JA3 */
	expect("# Firstseen,DstIP,DstPort\r\n2026-01-01 00:00:00,192.0.2.2,8443\r\n", LIST_CSV,
	       "range 192.0.2.2 port 8443 seen 1767225600\n", 0, 0);
	expect("# Listingdate,SHA1,Listingreason\n"
	       "2026-01-01 00:00:00,4B4A96BCEDA49EF45B8CFD74CB7AB8AFE20C9A13,Cobalt C&C\n",
	       LIST_CSV,
	       "cert 4b4a96bceda49ef45b8cfd74cb7ab8afe20c9a13 [Cobalt C&C] seen 1767225600\n", 0,
	       0);
	expect("# ja3_md5,Firstseen,Lastseen,Listingreason\n"
	       "b386946a5a44d1ddcc843bc75336dfce,2017-07-14 18:08:15,2019-07-27 20:42:54,Dridex\n",
	       LIST_CSV, "ja3 b386946a5a44d1ddcc843bc75336dfce [Dridex] seen 1564260174\n", 0, 0);
	/* URLhaus */
	expect("# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n"
	       "\"1\",\"2026-01-01 "
	       "00:00:00\",\"http://bad.example/a,b\",\"online\",\"\",\"malware_download\","
	       "\"elf,\"\"x\"\"\",\"https://urlhaus.example/1/\",\"me\"\n",
	       LIST_CSV, "url http://bad.example/a,b [malware_download] seen 1767225600\n", 0, 0);
	/* ThreatFox, with blanks behind its commas */
	expect("# "
	       "\"first_seen_utc\",\"ioc_id\",\"ioc_value\",\"ioc_type\",\"threat_type\",\"malware_"
	       "printable\",\"last_seen_utc\",\"confidence_level\"\n"
	       "\"2026-01-01\", \"1\", \"192.0.2.3:4444\", \"ip:port\", \"botnet_cc\", \"Mirai\", "
	       "\"2026-01-02 00:00:00\", \"75\"\n"
	       "\"2026-01-01\", \"2\", \"c2.example\", \"domain\", \"botnet_cc\", \"Mirai\"\n"
	       "\"2026-01-01\", \"3\", \"http://c2.example/x\", \"url\", \"botnet_cc\", \"Mirai\"\n"
	       "\"2026-01-01\", \"4\", \"44d88612fea8a8f36de82e1278abb02f\", \"md5_hash\", "
	       "\"payload\", \"X\"\n"
	       "\"2026-01-01\", \"5\", \"a@b.example\", \"email\", \"botnet_cc\", \"X\"\n",
	       LIST_CSV,
	       "range 192.0.2.3 port 4444 [Mirai] 75% seen 1767312000\n"
	       "tree c2.example [Mirai] seen 1767225600\nurl http://c2.example/x [Mirai] seen "
	       "1767225600\n"
	       "hash 44d88612fea8a8f36de82e1278abb02f [X] seen 1767225600\n",
	       1, 0);
}

static void tables_of_others(void **state)
{
	struct list_report report;
	struct seen s;

	expect("#fields\tindicator\tindicator_type\tmeta.desc\n"
	       "192.0.2.1\tIntel::ADDR\tTOR\nbad.example\tIntel::DOMAIN\tx\n192.0.2.0/"
	       "24\tIntel::SUBNET\ty\n"
	       "a@b.example\tIntel::EMAIL\tx\n",
	       LIST_CSV,
	       "range 192.0.2.1 [TOR]\ntree bad.example [x]\nrange 192.0.2.0-192.0.2.255 [y]\n", 1,
	       0);
	expect("uuid,event_id,category,type,value,comment,to_ids,date\n"
	       "\"5\",1,\"Network activity\",\"ip-dst|port\",\"192.0.2.1|443\",\"c2\",1,20260101\n"
	       "\"6\",1,\"Network activity\",\"domain\",\"context.example\",\"\",0,20260101\n",
	       LIST_CSV, "range 192.0.2.1 port 443 [c2]\n", 1, 0);
	/* without a header: what the first row shows */
	expect("bad.example,family one\nworse.example,family two\n", LIST_CSV,
	       "tree bad.example [family one]\ntree worse.example [family two]\n", 0, 0);
	expect("192.0.2.0,192.0.2.255,64500,\"Example, "
	       "Inc.\"\n198.51.100.0,198.51.100.127,64501,x\n",
	       LIST_CSV, "range 192.0.2.0-192.0.2.255\nrange 198.51.100.0-198.51.100.127\n", 0, 0);
	/* ';' begins a comment in other lists: a table of them is one only by its word */
	assert_ok(read_as(LIST_CSV, STR("2026-01-01;192.0.2.1;x\n2026-01-02;192.0.2.2;y\n"), 0, &s,
			  &report));
	assert_str(buf_str(&s.text), "range 192.0.2.1\nrange 192.0.2.2\n");
	buf_done(&s.text);
	expect("ip,port\n192.0.2.1,99999\n192.0.2.2,80\n192.0.2.3,81\n192.0.2.2,\"80\n", LIST_CSV,
	       "range 192.0.2.2 port 80\nrange 192.0.2.3 port 81\n", 0, 2);
}

#define INDICATOR(pattern, more)                                                                  \
	"{\"type\":\"indicator\",\"name\":\"n\",\"pattern_type\":\"stix\",\"pattern\":\"" pattern \
	"\"" more "}"

static void stix_bundles(void **state)
{
	expect("{\"type\":\"bundle\",\"id\":\"b\",\"objects\":[\n" INDICATOR(
		       "[ipv4-addr:value = '192.0.2.1']",
		       "") ",\n" INDICATOR("[ipv6-addr:value='2001:db8::/32']",
					   "") ",\n" INDICATOR("[domain-name:value = 'Bad.Example' "
							       "OR domain-name:value = "
							       "'x.example'] OR [url:value = "
							       "'http://x.example/']",
							       "") ",\n" INDICATOR("[file:hashes.'"
										   "SHA-256' = "
										   "'e3b0c44298fc1c"
										   "149afbf4c8996fb"
										   "92427ae41e4649b"
										   "934ca495991b785"
										   "2b855']",
										   "") "," INDICATOR("[file:hashes.MD5 = '44d88612fea8a8f36de82e1278abb02f']",
												     "") "," INDICATOR("[ipv4-addr:value IN ('192.0.2.2', '192.0.2.3')]",
														       "") "," INDICATOR("[ipv4-addr:value ISSUBSET '198.51.100.0/24']",
																	 "") "," INDICATOR("[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.4' "
																			   "AND network-traffic:dst_port = 443]",
																			   "") ","
																			       "{\"type\":\"malware\",\"name\":\"x\",\"objects\":[{\"type\":\"indicator\"}]}]}",
	       LIST_STIX,
	       "range 192.0.2.1 [n]\n"
	       "range 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff [n]\n"
	       "name bad.example [n]\nname x.example [n]\nurl http://x.example/ [n]\n"
	       "hash e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 [n]\n"
	       "hash 44d88612fea8a8f36de82e1278abb02f [n]\n"
	       "range 192.0.2.2 [n]\nrange 192.0.2.3 [n]\n"
	       "range 198.51.100.0-198.51.100.255 [n]\n"
	       "range 192.0.2.4 port 443 [n]\n",
	       1, 0);
}

/* Nothing broader than what was written: what needs two things, is over, or is not about bad things is left out. */
static void stix_that_is_not_taken(void **state)
{
	static const struct {
		const char *indicator;
		uint64_t skipped, bad;
	} cases[] = {
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1' AND domain-name:value = 'x.example']",
			    ""),
		  1, 0 },
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1'] AND [domain-name:value = 'x.example']",
			    ""),
		  1, 0 },
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = "
			    "'192.0.2.2']",
			    ""),
		  1, 0 },
		{ INDICATOR("[ipv4-addr:value != '192.0.2.1']", ""), 1, 0 },
		{ INDICATOR("[NOT ipv4-addr:value = '192.0.2.1']", ""), 1, 0 },
		{ INDICATOR("[ipv4-addr:value NOT IN ('192.0.2.1')]", ""), 1, 0 },
		{ INDICATOR("[domain-name:value LIKE '%.example']", ""), 1, 0 },
		{ INDICATOR("[domain-name:value MATCHES '.*']", ""), 1, 0 },
		{ INDICATOR("[email-addr:value = 'a@b.example']", ""), 1, 0 },
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1']", ",\"revoked\":true"), 1, 0 },
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1']",
			    ",\"valid_until\":\"2026-01-01T00:00:00Z\""),
		  1, 0 },
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1']",
			    ",\"valid_from\":\"2027-01-01T00:00:00.000Z\""),
		  1, 0 },
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1']", ",\"indicator_types\":[\"benign\"]"),
		  1, 0 },
		{ "{\"type\":\"indicator\",\"pattern_type\":\"sigma\",\"pattern\":\"x\"}", 1, 0 },
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1'", ""), 0, 1 },
		{ INDICATOR("[ipv4-addr:value = ]", ""), 0, 1 },
		{ INDICATOR("[ipv4-addr:value = 'x y']", ""), 0, 1 },
		{ INDICATOR("[ipv4-addr:value = '192.0.2.1'] OR", ""), 0, 1 },
		{ INDICATOR("", ""), 0, 1 },
		{ "{\"type\":\"indicator\"", 0, 1 },
		{ "{\"type\":indicator}", 0, 1 },
	};
	struct list_report report;
	struct seen s;
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "{\"objects\":[%s]}", cases[i].indicator);
		read_as(LIST_STIX, str_of(text), 1790000000, &s, &report);
		if (s.n || report.skipped != cases[i].skipped || report.bad != cases[i].bad)
			fail_msg("%s: %lu entries, %lu skipped, %lu bad", cases[i].indicator, s.n,
				 report.skipped, report.bad);
		buf_done(&s.text);
	}
	/* on a day when they hold */
	expect_on(1780000000,
		  "{\"objects\":[" INDICATOR(
			  "[ipv4-addr:value = '192.0.2.1']",
			  ",\"confidence\":90,\"valid_from\":\"2026-01-01T00:00:00Z\",\"valid_"
			  "until\":\"2027-01-01T00:00:00Z\"") "]}",
		  LIST_STIX, "range 192.0.2.1 [n] 90% seen 1767225600\n", 0, 0);
}

static void misp_events(void **state)
{
	expect("{\"response\":[{\"Event\":{\"info\":\"x [ { \\\" \",\"Attribute\":[\n"
	       "{\"type\":\"ip-dst\",\"value\":\"192.0.2.1\",\"to_ids\":true,\"comment\":\"c2\"},\n"
	       "{\"type\":\"ip-dst|port\",\"value\":\"192.0.2.2|443\",\"to_ids\":\"1\"},\n"
	       "{\"type\":\"ip-src|port\",\"value\":\"192.0.2.3|52000\",\"to_ids\":true},\n"
	       "{\"type\":\"domain\",\"value\":\"Bad.Example\",\"to_ids\":1,\"timestamp\":"
	       "\"1767225600\"},\n"
	       "{\"type\":\"hostname\",\"value\":\"h.bad.example\",\"to_ids\":true},\n"
	       "{\"type\":\"domain|ip\",\"value\":\"d.example|192.0.2.4\",\"to_ids\":true},\n"
	       "{\"type\":\"url\",\"value\":\"http://bad.example/x\",\"to_ids\":true},\n"
	       "{\"type\":\"ja3-fingerprint-md5\",\"value\":\"b386946a5a44d1ddcc843bc75336dfce\","
	       "\"to_ids\":true},\n"
	       "{\"type\":\"filename|md5\",\"value\":\"a.exe|44d88612fea8a8f36de82e1278abb02f\","
	       "\"to_ids\":true},\n"
	       "{\"type\":\"x509-fingerprint-sha1\",\"value\":"
	       "\"4b4a96bceda49ef45b8cfd74cb7ab8afe20c9a13\"},\n"
	       "{\"type\":\"domain\",\"value\":\"context.example\",\"to_ids\":false},\n"
	       "{\"type\":\"domain\",\"value\":\"gone.example\",\"to_ids\":true,\"deleted\":true},"
	       "\n"
	       "{\"type\":\"email-src\",\"value\":\"a@b.example\",\"to_ids\":true},\n"
	       "{\"type\":\"ip-dst\",\"value\":\"not an address\",\"to_ids\":true},\n"
	       "{\"value\":\"x\"}],\n"
	       "\"Object\":[{\"name\":\"o\",\"Attribute\":[{\"type\":\"hostname\",\"value\":\"o."
	       "example\","
	       "\"to_ids\":true}]}]}}]}",
	       LIST_MISP,
	       "range 192.0.2.1 [c2]\nrange 192.0.2.2 port 443\nrange 192.0.2.3\ntree bad.example "
	       "seen 1767225600\n"
	       "name h.bad.example\ntree d.example\nrange 192.0.2.4\nurl http://bad.example/x\n"
	       "ja3 b386946a5a44d1ddcc843bc75336dfce\nhash 44d88612fea8a8f36de82e1278abb02f\n"
	       "cert 4b4a96bceda49ef45b8cfd74cb7ab8afe20c9a13\nname o.example\n",
	       3, 2);
	expect("{\"name\":\"w\",\"list\":[\"a.example\",\"192.0.2.0/"
	       "24\"],\"matching_attributes\":[\"domain\"]}",
	       LIST_MISP, "name a.example\nrange 192.0.2.0-192.0.2.255\n", 0, 0);
}

static void what_is_no_list(void **state)
{
	static const char *const texts[] = {
		"<!DOCTYPE html>\n<html><head><title>404 Not "
		"Found</title></head>\n<body>x</body></html>\n",
		"{\"objects\":[{\"type\":\"indicator\"}",
		"{\"objects\":[}",
		"{\"Attribute\":[{]}",
		"{\"error\":\"no such feed\"}",
		"Your request was blocked. Please contact the administrator.\n",
	};
	struct list_report report;
	struct seen s;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int r = read_as(LIST_AUTO, str_of(texts[i]), 0, &s, &report);

		if (r != -EINVAL || !report.first_bad[0])
			fail_msg("%s: %d, '%s'", texts[i], r, report.first_bad);
		buf_done(&s.text);
	}
	/* nothing at all is a list, of nothing */
	assert_ok(read_as(LIST_AUTO, STR(""), 0, &s, &report));
	assert_ok(read_as(LIST_AUTO, STR("# only a comment\n"), 0, &s, &report));
	assert_int_equal(report.entries + report.bad + report.skipped, 0);
}

static void json_too_deep_or_too_large(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4 << 20);
	struct list_report report;
	struct seen s;

	for (int i = 0; i < 100000; i++)
		buf_putc(&b, '[');
	assert_err(read_as(LIST_STIX, buf_str(&b), 0, &s, &report), -EINVAL);
	buf_clear(&b);
	buf_puts(&b, "{\"objects\":[{\"a\":\"");
	for (int i = 0; i < 2 << 20; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\"}," INDICATOR("[ipv4-addr:value = '192.0.2.1']", "") "]}");
	assert_ok(read_as(LIST_STIX, buf_str(&b), 0, &s, &report));
	assert_int_equal(report.bad, 1);
	assert_int_equal(report.entries, 1);
	buf_done(&s.text);
}

static void the_sink_may_end_it(void **state)
{
	static const char *const texts[] = {
		"192.0.2.1\n192.0.2.2\n192.0.2.3\n",
		"0.0.0.0 a.example b.example c.example\n",
		"||a.example^\n||b.example^\n||c.example^\n",
		"$TTL 1\na.example CNAME .\nb.example CNAME .\nc.example CNAME .\n",
		"a.example,1\nb.example,1\nc.example,1\n",
		"{\"objects\":[" INDICATOR(
			"[ipv4-addr:value IN ('192.0.2.1','192.0.2.2','192.0.2.3')]", "") "]}",
		"{\"list\":[\"a.example\",\"b.example\",\"c.example\"]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct seen s = { .text = BUF_INIT(4096), .stop_after = 2 };
		struct list_report report = { 0 };

		assert_err(list_parse(LIST_AUTO, str_of(texts[i]),
				      (struct list_sink){ on_entry, &s }, &report),
			   -ECANCELED);
		assert_int_equal(s.n, 2);
		buf_done(&s.text);
	}
}

static void swallow(struct str text)
{
	for (int format = LIST_AUTO; format < LIST_FORMAT_COUNT; format++) {
		struct list_report report;
		struct seen s;

		read_as((enum list_format)format, text, 1, &s, &report);
		assert_int_equal(s.n, report.entries);
		buf_done(&s.text);
	}
}

static void hostile(void **state)
{
	hostile_variants(
		STR("$ORIGIN a.\n@ SOA (\n)\nx \"q\\\"\" CNAME .\n24.0.2.0.192.rpz-ip CNAME .\n"),
		swallow);
	hostile_variants(STR("# \"ip\",\"port\"\n\"192.0.2.1\",\"4\"\"3\"\n1,\"\n"), swallow);
	hostile_variants(STR("||a.b^$x\n@@||c^\n[2001:db8::1]:9\n1.2.3.4-1.2.3.5\nf\xc3\xbc.de\n"),
			 swallow);
	hostile_variants(
		STR("{\"objects\":[" INDICATOR(
			"[file:hashes.'MD5' = 'a\\\\'b' AND x[*] IN ('1', '2')]", "") "]}"),
		swallow);
}

/* --- the lists of others, see MANIFEST.md there ------------------------------------------------------------------- */

static struct str slurp(const char *command_or_path, bool is_xz)
{
	char quoted[600];
	struct str s;
	char *p = malloc(64 << 20);
	size_t n;
	FILE *f;

	assert_non_null(p);
	snprintf(quoted, sizeof(quoted), "xz -dc '%s'", command_or_path);
	f = is_xz ? popen(quoted, "r") : fopen(command_or_path, "r");
	assert_non_null(f);
	n = fread(p, 1, 64 << 20, f);
	if (is_xz)
		pclose(f);
	else
		fclose(f);
	s = (struct str){ p, n };
	return s;
}

static void real_lists(void **state)
{
	static const struct {
		const char *name;
		enum list_format format;
		uint64_t ranges, names, trees, bad;
	} lists[] = {
		{ "lists/doh-domains.txt", LIST_PLAIN, 0, 1376, 0, 0 },
		{ "lists/doh-ipv4.txt", LIST_PLAIN, 1975, 0, 0, 0 },
		{ "lists/ipsum-level3.txt", LIST_PLAIN, 14217, 0, 0, 0 },
		{ "lists/ipsum-level4.txt", LIST_PLAIN, 5354, 0, 0, 0 },
		{ "lists/ransomware.txt", LIST_HOSTS, 0, 1904, 0, 0 },
		{ "lists/ransomware-dnsmasq.txt", LIST_PLAIN, 0, 0, 1904, 0 },
		{ "lists/ransomware-ags.txt", LIST_ADBLOCK, 0, 0, 1904, 0 },
		{ "lists/abuse-ch-threatfox-ip.intel", LIST_CSV, 3493, 0, 0, 0 },
		{ "lists/tor-exit.intel", LIST_CSV, 3251, 0, 0, 0 },
		/* one of its ten thousand "domains" is the word "domain" */
		{ "lists/cloudflare-top10k.json", LIST_MISP, 0, 9991, 0, 1 },
		{ "lists/maltrail-native-format/trickbot.txt", LIST_PLAIN, 2438, 256, 0, 0 },
		{ "lists/maltrail-native-format/suspicious/parking_site.txt", LIST_PLAIN, 4344, 1,
		  0, 0 },
		{ "lists/asn-ipv4.csv.xz", LIST_CSV, 411961, 0, 0, 0 },
		/* 1,160,663 lines, of which four end in a label of digits */
		{ "lists/maltrail-domains.csv.xz", LIST_CSV, 0, 0, 1160659, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct list_report report;
		struct seen s;
		char path[512];
		struct str text;

		test_data(lists[i].name, path);
		text = slurp(path, strstr(path, ".xz"));
		if (read_as(LIST_AUTO, text, 0, &s, &report) || report.format != lists[i].format ||
		    s.kinds[LIST_RANGE] != lists[i].ranges ||
		    s.kinds[LIST_NAME] != lists[i].names || s.kinds[LIST_TREE] != lists[i].trees ||
		    report.bad != lists[i].bad)
			fail_msg("%s: format %d, %lu ranges, %lu names, %lu trees, %lu bad (%s)",
				 path, report.format, s.kinds[LIST_RANGE], s.kinds[LIST_NAME],
				 s.kinds[LIST_TREE], report.bad, report.first_bad);
		buf_done(&s.text);
		free((char *)text.p);
	}
}

static int count_only(void *ctx, const struct list_entry *e)
{
	++*(uint64_t *)ctx;
	return 0;
}

/* A million lines in half a second on a slow machine: allowed four times that here, for sanitizers and busy machines. */
static void a_million_lines(void **state)
{
	static const char *const prefixes[] = { "", "0.0.0.0 ", "||" };
	static const char *const suffixes[] = { "\n", "\n", "^\n" };

	for (size_t k = 0; k < ARRAY_SIZE(prefixes); k++) {
		struct list_report report = { 0 };
		struct timespec from, to;
		uint64_t n = 0;
		size_t room = 64 << 20, at = 0;
		char *p = malloc(room);
		double took;

		assert_non_null(p);
		for (unsigned i = 0; i < 1000000; i++)
			at += (size_t)snprintf(p + at, room - at, "%shost-%u.Example%u.com%s",
					       prefixes[k], i * 2654435761U, i % 1000, suffixes[k]);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		assert_ok(list_parse(LIST_AUTO, (struct str){ p, at },
				     (struct list_sink){ count_only, &n }, &report));
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		took = (double)(to.tv_sec - from.tv_sec) +
		       (double)(to.tv_nsec - from.tv_nsec) / 1e9;
		print_message("%s: 1,000,000 lines in %.3f s\n",
			      k == 2 ? "adblock"
			      : k    ? "hosts"
				     : "plain",
			      took);
		assert_int_equal(n, 1000000);
		assert_true(took < 2);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lists),
		cmocka_unit_test(what_a_plain_line_cannot_be),
		cmocka_unit_test(names_as_long_as_they_may_be),
		cmocka_unit_test(hosts_files),
		cmocka_unit_test(adblock_lists),
		cmocka_unit_test(policy_zones),
		cmocka_unit_test(rpz_addresses_that_are_none),
		cmocka_unit_test(tables),
		cmocka_unit_test(tables_of_others),
		cmocka_unit_test(stix_bundles),
		cmocka_unit_test(stix_that_is_not_taken),
		cmocka_unit_test(misp_events),
		cmocka_unit_test(what_is_no_list),
		cmocka_unit_test(json_too_deep_or_too_large),
		cmocka_unit_test(the_sink_may_end_it),
		cmocka_unit_test(hostile),
		cmocka_unit_test(real_lists),
		cmocka_unit_test(a_million_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
