/* SPDX-License-Identifier: Apache-2.0 */
/* The weight table. Read it with docs/detection.md beside it. */
#include "detect/evidence.h"

#include <errno.h>

#include "detect/finding.h"

/* One row a line; the words are for people. */
// clang-format off
const struct evidence_row evidence_rows[EVIDENCE_COUNT] = {
	[E_REGULAR] = { "regular", "beacon", GROUP_TIMING, CLASS_C2, false, 20, "T1071",
		"check-ins more regular than chance", "2 x -log10(p) - 4; p < 1e-9 for 36 of 2,004 benign pairs" },
	[E_ONE_SIZE] = { "one-size", "beacon", GROUP_SIZES, CLASS_C2, false, 3, "",
		"nearly all check-ins send the same amount", "reasoned" },
	[E_STEADY] = { "steady", "beacon", GROUP_SCHEDULE, CLASS_C2, false, 4, "T1029",
		"as many check-ins each hour, day and night", "reasoned" },

	[E_DGA_NX] = { "nxdomain-random", "dga", GROUP_DGA, CLASS_C2, true, 25, "T1568.002",
		"asks for names of random letters that do not exist", "1 in 100,000 groups of 10 ordinary names: bench/QUALITY.md" },
	[E_DGA_WORDS] = { "nxdomain-words", "dga", GROUP_DGA, CLASS_C2, false, 15, "T1568.002",
		"asks for names of words put together that do not exist", "as above; English-heavy clients come to it 5 to 20 times as often" },
	[E_DGA_NAME] = { "made-up-name", "dga", GROUP_DGA, CLASS_C2, false, 6, "T1568.002",
		"its name looks made up by a program", "people choose such names, one in a hundred to a thousand" },

	[E_LISTED] = { "listed", "intel", GROUP_INTEL, CLASS_INTEL, true, 36, "T1071",
		"a feed names the address, name, URL or certificate", "by kind and age, intel_index.h; up to 45 for address and port" },
	[E_LISTED_TOR] = { "listed-tor", "intel", GROUP_INTEL, CLASS_POLICY, false, 12, "T1090.003",
		"a feed names it as a Tor relay", "intel_index.h" },
	[E_LISTED_PLACE] = { "listed-place", "intel", GROUP_INTEL, CLASS_POLICY, false, 4, "",
		"a feed names it as a proxy, resolver, scanner or doubtful place", "intel_index.h" },
	[E_LISTED_PRINT] = { "listed-print", "intel", GROUP_INTEL, CLASS_INTEL, false, 6, "",
		"a feed names the TLS fingerprint", "weak: programs share libraries" },

	[E_SHELL_SOCKET] = { "shell", "shell", GROUP_CHANNEL, CLASS_C2, true, 40, "T1059.004",
		"a shell has the connection as its input and output", "0 of the ordinary day of tests/e2e/ordinary.py" },
	[E_SHELL_RELAY] = { "shell-relay", "shell", GROUP_CHANNEL, CLASS_C2, true, 40, "T1059.004",
		"a shell is joined to the connection by a program that only moves bytes", "0 of the same" },

	[E_RARE] = { "rare", "", GROUP_RARITY, CLASS_NONE, false, 15, "",
		"few here ever contacted it", "10 x log10((1 + all) / (1 + those))" },
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
		"a name that everybody knows", "-25 the core of the Internet, -15 the top 10,000" },
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
