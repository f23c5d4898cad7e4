// SPDX-License-Identifier: Apache-2.0
/* What of a list only detection uses: paths, ports of names, dates, confidence. */
#include "list_rig.h"

/* What Maltrail's own files hold. */
static void trails(void **state)
{
	expect("# Copyright\n\n# Aliases: one, two\n\n# Reference: https://x.example/\n\n"
	       "bad.example\n192.0.2.1\n192.0.2.1:2077\nhttp://192.0.2.2\nhttp://192.0.2.3/jeff/"
	       "fre.php\n"
	       "occe.example/image1/fre.php\nmeuble.example/black/\n198.51.100.0/"
	       "24\nduck.example:5552 # both\n"
	       "/neam.meow\n192.0.2.9/a/b.php\n",
	       LIST_PLAIN,
	       "name bad.example\nrange 192.0.2.1\nrange 192.0.2.1 port 2077\nurl "
	       "http://192.0.2.2\n"
	       "url http://192.0.2.3/jeff/fre.php\nurl occe.example/image1/fre.php\nurl "
	       "meuble.example/black/\n"
	       "range 198.51.100.0-198.51.100.255\nname duck.example port 5552 [both]\npath "
	       "/neam.meow\n"
	       "url 192.0.2.9/a/b.php\n",
	       0, 0);
}

/* Suricata: reputation of addresses (address, category, score of 127), and of strings in Base64. */
static void reputations(void **state)
{
	expect("192.0.2.1,1,127\n192.0.2.0/28,20,64\n2001:db8::1,2,1\n", LIST_CSV,
	       "range 192.0.2.1 100%\nrange 192.0.2.0-192.0.2.15 50%\nrange 2001:db8::1\n", 0, 0);
	expect("YmFkLmV4YW1wbGU=,80\nd29yc2UuZXhhbXBsZS5jb20=,1000\n", LIST_CSV,
	       "name bad.example 80%\nname worse.example.com 100%\n", 0, 0);
	expect("192.0.2.1,443\n192.0.2.2,80\n", LIST_CSV,
	       "range 192.0.2.1 port 443\nrange 192.0.2.2 port 80\n", 0, 0);
}

static void times(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = {
		{ "2026-01-01", 1767225600 },
		{ "2026-01-01 00:00:01", 1767225601 },
		{ "2026-01-01 00:00:01 UTC", 1767225601 },
		{ "2026-01-01T00:00:01.25Z", 1767225601 },
		{ " 2026-01-01 ", 1767225600 },
		{ "1767225600", 1767225600 },
		{ "2026-13-01", 0 },
		{ "2026-00-01", 0 },
		{ "2026-01-01 25:00:00", 0 },
		{ "0000-00-00", 0 },
		{ "2026", 0 },
		{ "None", 0 },
		{ "", 0 },
		{ "99999999999", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (list_time(str_of(cases[i].text)) != cases[i].want)
			fail_msg("'%s': %lld", cases[i].text,
				 (long long)list_time(str_of(cases[i].text)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trails),
		cmocka_unit_test(reputations),
		cmocka_unit_test(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
