/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"
#include "flow/flow.h"
#include "test.h"

static struct intern *texts;

static struct text *text(const char *c)
{
	return intern_get(texts, str_of(c));
}

/* curl of user www-data in nginx.service, started by bash, to api.example.org:443. */
static struct flow *example(void)
{
	static struct workload w;
	static struct proc parent, proc;
	static struct name other;
	static struct flow f;

	w = (struct workload){ .cgroup = text("/system.slice/nginx.service"),
			       .unit = text("nginx.service"),
			       .container_id = text("0123abcd"),
			       .container_name = text("shop"),
			       .container_image = text("registry.local/shop:2") };
	parent = (struct proc){ .pid = 1, .exe = text("/usr/bin/bash") };
	proc = (struct proc){ .pid = 77,
			      .uid = 33,
			      .user = text("www-data"),
			      .exe = text("/usr/bin/curl"),
			      .args = intern_get(texts, STR("curl\0-s\0https://x")),
			      .parent = &parent,
			      .workload = &w };
	other = (struct name){ .asked = text("edge.cdn.example.net") };
	f = (struct flow){
		.key = { .proto = IPPROTO_TCP, .sport = 40000, .dport = 443 },
		.start_ns = 100 * NSEC_PER_SEC,
		.last_ns = 130 * NSEC_PER_SEC,
		.half = { { .packets = 10, .bytes = 2000000 }, { .packets = 5, .bytes = 500 } },
		.rtt_us = 20000,
		.app = APP_TLS,
		.direction = FLOW_EGRESS,
		.state = FLOW_ESTABLISHED,
		.name = text("api.example.org"),
		.name_source = NAME_SNI,
		.names = { &other },
		.n_names = 1,
		.ja4 = text("t13d1516h2_8daaf6152771_e5627efa2ab1"),
		.proc = &proc,
	};
	assert_ok(addr_parse(STR("10.0.0.5"), &f.key.src));
	assert_ok(addr_parse(STR("203.0.113.9"), &f.key.dst));
	return &f;
}

static void test_what_matches(void **state)
{
	static const struct {
		const char *filter;
		bool match;
	} cases[] = {
		{ "", true },
		{ "  ", true },
		{ "proc:curl", true },
		{ "proc:/usr/bin/curl", true },
		{ "proc:cur", false }, /* whole words with a key */
		{ "proc:/usr/bin/*", true },
		{ "PROC:CURL", true },
		{ "cur", true }, /* parts without one */
		{ "example.org", true },
		{ "203.0.113", true },
		{ "nothing", false },
		{ "name:*.example.org", true },
		{ "name:example.org", false },
		{ "name:edge.cdn.example.net", true },
		{ "port:443", true },
		{ "port:80,443", true },
		{ "port:400-450", true },
		{ "port:1-80", false },
		{ "port:0", false },
		{ "proto:tcp", true },
		{ "app:tls", true },
		{ "app:http", false },
		{ "up:>1mb", true },
		{ "up:>2mb", false },
		{ "up:>=2mb", true },
		{ "down:<1kb", true },
		{ "bytes:2000500", true },
		{ "packets:15", true },
		{ "age:>1m", true }, /* began at 100 s, now is 200 s */
		{ "age:>2m", false },
		{ "rtt:<50ms", true },
		{ "addr:203.0.113.0/24", true },
		{ "addr:10.0.0.0/8", false },
		{ "src:10.0.0.0/8", true },
		{ "user:www-data", true },
		{ "user:33", true },
		{ "unit:nginx.*", true },
		{ "container:shop", true },
		{ "container:registry.local/*", true },
		{ "cgroup:/system.slice/*", true },
		{ "parent:bash", true },
		{ "args:-s", true },
		{ "pid:77", true },
		{ "source:sni", true },
		{ "dir:egress", true },
		{ "state:established", true },
		{ "ja4:t13d*", true },
		{ "proc:curl port:443 up:>1mb", true },
		{ "proc:curl and port:80", false },
		{ "proc:wget or port:443", true },
		{ "-port:443", false },
		{ "not port:80", true },
		{ "port:80 or (proc:curl -user:root)", true },
		{ "proc:wget or proc:curl port:80", false }, /* "and" binds tighter */
		{ "not (port:80 or port:443)", false },
		{ "name:\"api.example.org\"", true },
		{ "::1", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct filter_error error = { 0 };
		struct filter *f = NULL;

		if (filter_parse(str_of(cases[i].filter), &f, &error) < 0)
			fail_msg("%s: column %zu: %s", cases[i].filter, error.column,
				 error.message);
		if (filter_match(f, example(), 200 * NSEC_PER_SEC) != cases[i].match)
			fail_msg("%s: should%s match", cases[i].filter,
				 cases[i].match ? "" : " not");
		filter_free(f);
	}
}

static void test_unknown_facts_do_not_match(void **state)
{
	struct flow f = { .key = { .proto = IPPROTO_ICMP } };
	static const char *const cases[] = { "port:0", "rtt:<1s", "proc:*", "name:*", "pid:0" };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct filter_error error;
		struct filter *filter;

		assert_ok(filter_parse(str_of(cases[i]), &filter, &error));
		assert_false(filter_match(filter, &f, 0));
		filter_free(filter);
	}
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *filter;
		size_t column;
		const char *message;
	} cases[] = {
		{ "porrt:443", 1, "unknown key 'porrt'; did you mean 'port'?" },
		{ "a zzzzzz:1", 3, "unknown key 'zzzzzz'" },
		{ "port:http", 6, "a port, or a range as 8000-8100 is expected here" },
		{ "port:70000", 6, "a port, or a range as 8000-8100 is expected here" },
		{ "port:90-80", 6, "a port, or a range as 8000-8100 is expected here" },
		{ "up:>x", 4, "a size, as >1mb or <=64kib is expected here" },
		{ "age:5", 5, "a duration, as >5m or <250ms is expected here" },
		{ "pid:x", 5, "a number, as 5 or >100 is expected here" },
		{ "addr:10.0.0.0/99", 6, "an address or network, as 10.0.0.0/8 is expected here" },
		{ "name:", 6, "a value is missing here" },
		{ "name:a,", 8, "a value is missing here" },
		{ "(port:1", 1, "this '(' is never closed" },
		{ "port:1)", 7, "no '(' belongs to this ')'" },
		{ "()", 2, "a condition is missing before this ')'" },
		{ "port:1 or", 10, "a condition is missing here" },
		{ "not", 4, "a condition is missing here" },
		{ "name:\"x", 6, "the quote is never closed" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct filter_error error = { 0 };
		struct filter *f = NULL;

		assert_err(filter_parse(str_of(cases[i].filter), &f, &error), -EINVAL);
		assert_string_equal(error.message, cases[i].message);
		assert_int_equal(error.column, cases[i].column);
	}
}

static void test_limits(void **state)
{
	static char text[8192];
	struct filter_error error;
	struct filter *f;

	memset(text, '(', 4000);
	assert_err(filter_parse((struct str){ text, 4000 }, &f, &error), -EINVAL);
	assert_string_equal(error.message, "nested deeper than 64");
	for (size_t i = 0; i < 4000; i += 2)
		memcpy(text + i, "a ", 2);
	assert_err(filter_parse((struct str){ text, 4000 }, &f, &error), -E2BIG);
	assert_err(filter_parse((struct str){ text, 5000 }, &f, &error), -E2BIG);
}

/* The table in docs/filter.md has a row for every key, with its help, and no other. */
static void test_documentation(void **state)
{
	const char *root = getenv("EGRET_SOURCE");
	const struct filter_key_help *keys;
	char path[512], line[512], want[256];
	size_t n, rows = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/docs/filter.md", root ? root : ".");
	f = fopen(path, "r");
	assert_non_null(f);
	keys = filter_keys(&n);
	while (fgets(line, sizeof(line), f)) {
		if (!str_has_prefix(str_of(line), STR("| `")))
			continue;
		assert_true(rows < n);
		snprintf(want, sizeof(want), "| `%s` | %s |\n", keys[rows].key, keys[rows].help);
		assert_string_equal(line, want);
		rows++;
	}
	fclose(f);
	assert_int_equal(rows, n);
}

static int setup(void **state)
{
	return intern_new(&texts, 1000);
}

static int teardown(void **state)
{
	texts = intern_free(texts);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_matches),
		cmocka_unit_test(test_unknown_facts_do_not_match),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_documentation),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
