/* SPDX-License-Identifier: Apache-2.0 */
/* What a month cost, by prices for sets, lists, countries and systems, and how budgets stand; the figures are reckoned by hand. */
#include <jansson.h>

#include "history/answer.h"
#include "policy/policy.h"
#include "store_rig.h"

#define DAY_NS (24 * HOUR_NS)
#define MB 1000000ULL
#define NOV_S (T0_S - 30 * 86400) /* 2025-11-01 00:00 UTC */

static uint64_t next_id = 1;
static char list_path[96];

/* A flow of one piece that sent so much. */
static void sent(struct store *s, uint64_t at_ns, const char *to, const char *name,
		 const char *country, uint32_t asn, uint64_t up, const char *exe)
{
	struct store_row row = { .boot = 7, .flow_id = next_id++, .to_ns = at_ns, .ends = true };

	row.start_ns = row.from_ns = at_ns - NSEC_PER_SEC;
	row.key.src = addr_from_v4("\x0a\0\0\x05");
	assert_ok(addr_parse(str_of(to), &row.key.dst));
	row.key.sport = 40000;
	row.key.dport = 443;
	row.key.proto = IPPROTO_TCP;
	row.peer.segment = STR("internet");
	row.peer.name = str_of(name);
	row.peer.domain = row.peer.name;
	snprintf(row.peer.country, sizeof(row.peer.country), "%s", country);
	row.peer.asn = asn;
	row.up_bytes = up;
	row.down_bytes = 5 * MB;
	row.state = FLOW_CLOSED;
	row.direction = FLOW_EGRESS;
	row.has_who = true;
	row.who = (struct store_who){ .pid = 9, .exe = str_of(exe), .comm = STR("x") };
	rig_now_ns = at_ns;
	store_put(s, &row);
}

static int setup(void **state)
{
	struct store *s;
	FILE *f;

	if (rig_setup(state))
		return -1;
	snprintf(list_path, sizeof(list_path), "%s/region.txt", rig_dir);
	f = fopen(list_path, "we");
	fputs("203.0.113.0/24\n*.region.example\n", f);
	fclose(f);
	rig_now_ns = NOV_S * NSEC_PER_SEC;
	s = rig_open();
	/* November: 300 MB to the set, 200 MB to the list's addresses, 100 MB to its names, 50 MB to Germany, 40 MB to AS64500, 30 MB else */
	sent(s, NOV_S * NSEC_PER_SEC + DAY_NS, "198.51.100.7", "cdn.example", "US", 1, 300 * MB,
	     "/usr/bin/a");
	sent(s, NOV_S * NSEC_PER_SEC + 2 * DAY_NS, "203.0.113.9", "bucket.example", "US", 1,
	     200 * MB, "/usr/bin/a");
	sent(s, NOV_S * NSEC_PER_SEC + 3 * DAY_NS, "8.8.4.1", "x.region.example", "US", 1, 100 * MB,
	     "/usr/bin/b");
	sent(s, NOV_S * NSEC_PER_SEC + 4 * DAY_NS, "8.8.4.2", "de.example", "DE", 1, 50 * MB,
	     "/usr/bin/b");
	sent(s, NOV_S * NSEC_PER_SEC + 5 * DAY_NS, "8.8.4.3", "as.example", "US", 64500, 40 * MB,
	     "/usr/bin/b");
	sent(s, NOV_S * NSEC_PER_SEC + 6 * DAY_NS, "8.8.4.4", "other.example", "US", 1, 30 * MB,
	     "/usr/bin/b");
	/* December: 10 MB a day to the rest, of ten days */
	for (unsigned day = 0; day < 10; day++)
		sent(s, T0_S * NSEC_PER_SEC + day * DAY_NS + HOUR_NS, "8.8.4.4", "other.example",
		     "US", 1, 10 * MB, "/usr/bin/b");
	rig_now_ns = T0_S * NSEC_PER_SEC + 10 * DAY_NS;
	assert_ok(store_flush(s, 60 * NSEC_PER_SEC));
	store_close(s);
	return 0;
}

static json_t *lines;

/* The last line of the answer; the others are in `lines`. */
static const json_t *ask(const char *policy_text, const char *question)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(65536);
	struct policy *p = NULL;
	struct history_source source = { .dir = rig_dir, .now_ns = rig_now_ns };
	char *text = NULL, *line, *save = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (policy_parse(&p, "p.egret", str_of(policy_text), STR_NONE, &messages) < 0)
		fail_msg("%.*s", STR_FMT(buf_str(&messages)));
	source.policy = p;
	assert_ok(history_answer(&source, str_of(question), f));
	fclose(f);
	json_decref(lines);
	lines = json_array();
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		json_array_append_new(lines, json_loads(line, 0, NULL));
	free(text);
	policy_free(p);
	return json_array_get(lines, json_array_size(lines) - 1);
}

static double amount(const json_t *cost)
{
	return json_number_value(json_object_get(cost, "amount"));
}

#define assert_money(cost, want) assert_float_equal(amount(cost), want, 1e-9)

static const json_t *price_at_line(const json_t *end, size_t i)
{
	return json_array_get(json_object_get(end, "prices"), i);
}

static const char *policy_of_all(void)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		 "set cdn = 198.51.100.0/24\n"
		 "list region = file \"%s\"\n"
		 "price set cdn = 0.00 USD/GB, 10 USD/GB after 100 MB\n"
		 "price list region = 2 USD/GB\n"
		 "price country DE = 3 USD/GB\n"
		 "price asn 64500 = 4 EUR/GB\n"
		 "price internet = 0.00 USD/GB, 1 USD/GB after 10 MB, 0.5 USD/GB after 20 MB\n"
		 "budget all = 3 USD/month\n"
		 "budget far = 0.01 USD/month for country DE, internet\n"
		 "budget euro = 0.16 EUR/month for asn 64500\n"
		 "default allow\n",
		 list_path);
	return text;
}

static const char november[] =
	"{\"do\":\"usage\",\"by\":\"app\",\"sort\":\"cost\",\"from\":1761955200,"
	"\"to\":1764547200}";

static void each_destination(void **state)
{
	const json_t *end = ask(policy_of_all(), november), *row = json_array_get(lines, 0);

	/* 200 MB above the free 100 at 10 USD/GB; 300 MB at 2: the list's addresses and its names */
	assert_money(json_object_get(price_at_line(end, 0), "cost"), 2.0);
	assert_int_equal(json_integer_value(json_object_get(price_at_line(end, 0), "up")),
			 300 * MB);
	assert_money(json_object_get(price_at_line(end, 1), "cost"), 0.6);
	assert_money(json_object_get(price_at_line(end, 2), "cost"), 0.15);
	assert_money(json_object_get(price_at_line(end, 3), "cost"), 0.16);
	/* 10 MB free, 10 MB at 1, 10 MB at 0.5 */
	assert_money(json_object_get(price_at_line(end, 4), "cost"), 0.015);
	assert_string_equal(json_string_value(json_object_get(price_at_line(end, 4), "price")),
			    "internet");
	assert_int_equal(json_array_size(json_object_get(end, "notes")), 0);
	assert_string_equal(json_string_value(json_object_get(end, "source")), "flows");
	/* a: the set, and 200 of the 300 MB of the list */
	assert_string_equal(json_string_value(json_object_get(row, "app")), "/usr/bin/a");
	assert_money(json_object_get(row, "cost"), 2.4);
	/* b has two currencies */
	row = json_array_get(json_object_get(json_array_get(lines, 1), "cost"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "currency")), "USD");
	assert_money(row, 0.2 + 0.15 + 0.015);
}

static void without_addresses(void **state)
{
	/* Prices of countries, systems and classes are told from sums. */
	const json_t *end = ask("price country DE = 3 USD/GB\nprice asn 64500 = 4 USD/GB\n"
				"price internet = 1 USD/GB\ndefault allow\n",
				november);

	assert_string_equal(json_string_value(json_object_get(end, "source")), "days");
	assert_money(json_object_get(json_object_get(end, "totals"), "cost"), 0.15 + 0.16 + 0.63);
}

static void list_that_is_gone(void **state)
{
	const json_t *end = ask("list gone = file \"/nowhere/list\" optional\n"
				"price list gone = 5 USD/GB\nprice internet = 1 USD/GB\n"
				"default allow\n",
				november);
	const char *note = json_string_value(json_array_get(json_object_get(end, "notes"), 0));

	assert_money(json_object_get(json_object_get(end, "totals"), "cost"), 0.72);
	assert_non_null(note);
	assert_non_null(strstr(note, "list 'gone' cannot be read"));
}

static const json_t *budget(const json_t *end, size_t i)
{
	return json_array_get(json_object_get(end, "budgets"), i);
}

static double number(const json_t *j, const char *key)
{
	assert_non_null(json_object_get(j, key));
	return json_number_value(json_object_get(j, key));
}

static const char *text(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key)) ?: "";
}

static void budgets_of_a_month_that_is_over(void **state)
{
	const json_t *end = ask(policy_of_all(), november);

	assert_int_equal(json_array_size(json_object_get(end, "budgets")), 3);
	assert_string_equal(text(budget(end, 0), "budget"), "all");
	assert_float_equal(number(budget(end, 0), "used"), 2.765, 1e-9);
	assert_string_equal(text(budget(end, 0), "state"), "ok");
	assert_float_equal(number(budget(end, 1), "used"), 0.165, 1e-9);
	assert_string_equal(text(budget(end, 1), "state"), "over");
	assert_string_equal(text(budget(end, 1), "text"),
			    "far = 0.01 USD/month for country DE, internet");
	assert_float_equal(number(budget(end, 2), "used"), 0.16, 1e-9);
	assert_string_equal(text(budget(end, 2), "state"), "over");
	assert_null(json_object_get(budget(end, 0), "forecast"));
}

/* Ten days of 10 MB: 100 MB, 310 MB by the end of December. */
static void budgets_of_a_month_that_goes_on(void **state)
{
	const json_t *end = ask("price internet = 10 USD/GB after 50 MB\n"
				"budget tight = 2.5 USD/month\nbudget wide = 2.7 USD/month\n"
				"budget least = 0.5 USD/month for internet\ndefault allow\n",
				"{\"do\":\"usage\",\"last\":60}");

	assert_float_equal(number(budget(end, 0), "used"), 0.5, 1e-9);
	assert_float_equal(number(budget(end, 0), "forecast"), 2.6, 1e-9);
	assert_string_equal(text(budget(end, 0), "state"), "ahead");
	assert_string_equal(text(budget(end, 1), "state"), "ok");
	assert_string_equal(text(budget(end, 2), "state"), "over");
	assert_int_equal(number(budget(end, 0), "from"), T0_S);
	/* on its first day a month has no forecast */
	rig_now_ns -= 9 * DAY_NS + HOUR_NS;
	end = ask("price internet = 10 USD/GB\nbudget tight = 2.5 USD/month\ndefault allow\n",
		  "{\"do\":\"usage\",\"last\":60}");
	rig_now_ns += 9 * DAY_NS + HOUR_NS;
	assert_null(json_object_get(budget(end, 0), "forecast"));
	assert_string_equal(text(budget(end, 0), "state"), "ok");
}

static void without_prices(void **state)
{
	const json_t *end = ask("default allow\n", november);

	assert_null(json_object_get(end, "prices"));
	assert_null(json_object_get(end, "budgets"));
}

static int teardown(void **state)
{
	json_decref(lines);
	return rig_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_destination),
		cmocka_unit_test(without_addresses),
		cmocka_unit_test(list_that_is_gone),
		cmocka_unit_test(budgets_of_a_month_that_is_over),
		cmocka_unit_test(budgets_of_a_month_that_goes_on),
		cmocka_unit_test(without_prices),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
