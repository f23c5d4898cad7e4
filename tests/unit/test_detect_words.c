/* SPDX-License-Identifier: Apache-2.0 */
/* Small pure parts of detection: fame of domains, kinds of programs, names of severities and classes, split domains, times. */
#include "test.h"

#include <errno.h>

#include "base/time.h"
#include "detect/finding.h"
#include "detect/popular.h"
#include "detect/program.h"
#include "flow/domain.h"

static void fame(void **state)
{
	assert_int_equal(popular_fame(STR("google.com")), FAME_CORE);
	assert_int_equal(popular_fame(STR("debian.org")), FAME_CORE);
	assert_int_equal(popular_fame(STR("dropbox.com")), FAME_KNOWN);
	assert_int_equal(popular_fame(STR("xkjqzw-nobody-knows.example")), FAME_NONE);
	assert_int_equal(popular_fame(STR_NONE), FAME_NONE);
}

static void programs(void **state)
{
	static const struct {
		const char *exe;
		enum program_class class;
	} cases[] = {
		{ "/usr/bin/bash", PROGRAM_SHELL },
		{ "/bin/dash", PROGRAM_SHELL },
		{ "/usr/bin/python3.11", PROGRAM_INTERPRETER },
		{ "/usr/bin/ncat", PROGRAM_RELAY },
		{ "/usr/bin/openssl", PROGRAM_RELAY },
		{ "/usr/bin/curl", PROGRAM_TRANSFER },
		{ "/usr/lib/apt/methods/https", PROGRAM_PACKAGE },
		{ "/usr/lib/firefox-esr/firefox-esr", PROGRAM_BROWSER },
		{ "/usr/sbin/unbound", PROGRAM_RESOLVER },
		{ "/usr/sbin/exim4", PROGRAM_MTA },
		{ "/tmp/.x", PROGRAM_UNKNOWN },
		{ "", PROGRAM_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(program_class(str_of(cases[i].exe)), cases[i].class);
	}
	for (int c = 0; c < PROGRAM_CLASSES; c++)
		assert_non_null(program_class_name((enum program_class)c));
}

static void words(void **state)
{
	enum severity s;

	for (enum severity k = SEVERITY_LOW; k <= SEVERITY_CRITICAL; k++) {
		assert_ok(severity_parse(str_of(severity_name(k)), &s));
		assert_int_equal(s, k);
	}
	assert_err(severity_parse(STR("worst"), &s), -EINVAL);
	assert_null(finding_class_name(CLASS_NONE));
	assert_string_equal(finding_class_name(CLASS_EXFIL), "exfil");
	for (int i = 0; i < EVIDENCE_COUNT; i++) {
		const struct evidence_row *row = &evidence_rows[i];

		assert_non_null(row->word);
		assert_true(row->most != 0 && *row->means && *row->from);
		assert_true(row->most < 0 || row->group != GROUP_ORDINARY);
	}
}

static void domains(void **state)
{
	struct str label, suffix;

	assert_true(domain_split(STR("www.example.co.uk"), &label, &suffix));
	assert_true(str_eq(label, STR("example")));
	assert_true(str_eq(suffix, STR("co.uk")));
	assert_false(domain_split(STR("printer.lan"), &label, &suffix));
	assert_false(domain_split(STR("com"), &label, &suffix));
	assert_false(domain_split(STR("10.0.0.1"), &label, &suffix));
	assert_true(str_eq(domain_of(STR("a.b.example.org")), STR("example.org")));
	assert_int_equal(domain_of(STR("")).n, 0);
}

static void times(void **state)
{
	char text[TIME_TEXT_MAX];
	uint64_t ns;

	for (uint64_t t = 0; t < 4102444800ULL * NSEC_PER_SEC;
	     t += 86399 * 37 * NSEC_PER_SEC + 123456000) {
		assert_ok(time_parse(str_of(time_format(t, text)), &ns));
		assert_true(ns == t / NSEC_PER_USEC * NSEC_PER_USEC);
	}
	assert_err(time_parse(STR("2026-13-01T00:00:00.000000+0000"), &ns), -EINVAL);
	assert_err(time_parse(STR("2026-01-01"), &ns), -EINVAL);
	assert_err(time_parse(STR("not a time, but long enough"), &ns), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fame),    cmocka_unit_test(programs), cmocka_unit_test(words),
		cmocka_unit_test(domains), cmocka_unit_test(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
