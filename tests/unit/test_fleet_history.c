// SPDX-License-Identifier: Apache-2.0
/* Questions to a fleet: filters in the words of ClickHouse, and rows of its answers. tests/e2e/clickhouse_history.py asks a real one. */
#include "flow/filter.h"
#include "history/fleet_cover.h"
#include "history/fleet_sql.h"
#include "store/clickhouse_read.h"
#include "policy/verdict.h"
#include "store/clickhouse_row.h"
#include "store_rig.h"

/* ---- filters ---- */

static char sql[65536];

static const char *sql_of(const char *text, enum fleet_table t, bool *exact)
{
	struct buf out = BUF_INIT(sizeof(sql));
	struct filter_error error = { 0 };
	struct filter *f = NULL;

	assert_ok(filter_parse(str_of(text), &f, &error));
	assert_true(fleet_put_filter(&out, f, t, exact));
	snprintf(sql, sizeof(sql), "%.*s", STR_FMT(buf_str(&out)));
	buf_done(&out);
	filter_free(f);
	return sql;
}

static void test_filters(void **state)
{
	static const struct {
		const char *text;
		enum fleet_table table;
		bool exact;
		const char *sql;
	} cases[] = {
		{ "", FLEET_FLOW, true, "1" },
		{ "host:web-*", FLEET_FLOW, true, "((host != '' AND host LIKE 'web-%'))" },
		{ "host:A_b%", FLEET_FLOW, true, "((host = 'a_b%'))" },
		{ "host:A_b%*", FLEET_FLOW, true, "((host != '' AND host LIKE 'a\\\\_b\\\\%%'))" },
		{ "domain:\"o'x\\\"", FLEET_FLOW, true, "((domain = 'o\\'x\\\\'))" },
		{ "port:>80", FLEET_FLOW, true,
		  "(if(inbound, our_port, peer_port) > 80 AND proto IN (6, 17, 33, 132, 136))" },
		{ "asn:5 -host:a", FLEET_FLOW, true,
		  "((asn = 5 AND asn != 0) AND (NOT ((host = 'a'))))" },
		{ "proto:tcp", FLEET_FLOW, true, "(proto IN (6))" },
		{ "proto:nothing", FLEET_FLOW, true, "(0 AND proto IN (0))" },
		{ "addr:192.0.2.0/24", FLEET_FLOW, true,
		  "(peer_ip >= toFixedString(unhex('00000000000000000000ffffc0000200'), 16) AND "
		  "peer_ip <= toFixedString(unhex('00000000000000000000ffffc00002ff'), 16))" },
		/* what pieces cannot tell is no condition; turned round, too */
		{ "up:>1kb", FLEET_FLOW, false, "1" },
		{ "-up:>1kb", FLEET_FLOW, false, "(NOT 0)" },
		{ "up:>1kb host:a", FLEET_FLOW, false, "(1 AND ((host = 'a')))" },
		{ "up:>1kb or host:a", FLEET_FLOW, false, "(1 OR ((host = 'a')))" },
		{ "up:>1kb", FLEET_WHOLE, true, "(sum(up_bytes) > 1000)" },
		/* of a flow asked for as a whole no piece may be missing: a name comes late */
		{ "up:>1kb host:a name:b", FLEET_KEY, false, "((1 AND ((host = 'a'))) AND 1)" },
		{ "machine:x", FLEET_FLOW, true, "0" },
		/* sums know the best name alone */
		{ "name:x", FLEET_USAGE_NAME, true, "((name = 'x'))" },
		{ "host:x", FLEET_USAGE_NAME, false, "1" },
		{ "host:x name:y", FLEET_USAGE_DAY, true, "(((host = 'x')) AND ((name = 'y')))" },
		{ "proc:x", FLEET_USAGE_DAY, false, "1" },
		{ "-name:y segment:x", FLEET_USAGE_PROGRAM, true,
		  "((NOT ((name = 'y'))) AND ((lower(segment) = 'x')))" },
	};
	bool exact;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_string_equal(sql_of(cases[i].text, cases[i].table, &exact), cases[i].sql);
		assert_int_equal(exact, cases[i].exact);
	}
}

static void test_in_part(void **state)
{
	static const struct {
		const char *text;
		bool name, host, program, day, hour, verdict;
	} cases[] = {
		{ "", true, true, true, true, true, true },
		{ "name:x", true, false, true, true, true, true },
		{ "proc:x name:y", false, false, true, false, true, true },
		{ "host:x proc:y", false, true, false, false, true, true },
		{ "host:x name:y", false, false, false, true, true, true },
		{ "host:x name:y proc:z", false, false, false, false, true, true },
		{ "domain:x or segment:y", true, false, true, true, true, true },
		{ "port:443", false, false, false, false, false, true },
		{ "args:x", false, false, false, false, false, false },
		{ "up:>1", false, false, false, false, false, true },
		{ "word", false, false, false, false, false, true },
	};
	struct filter_error error = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct filter *f = NULL;

		assert_ok(filter_parse(str_of(cases[i].text), &f, &error));
		assert_int_equal(fleet_holds_in_part(f, FLEET_USAGE_NAME), cases[i].name);
		assert_int_equal(fleet_holds_in_part(f, FLEET_USAGE_HOST), cases[i].host);
		assert_int_equal(fleet_holds_in_part(f, FLEET_USAGE_PROGRAM), cases[i].program);
		assert_int_equal(fleet_holds_in_part(f, FLEET_USAGE_PROGRAM_DAY), cases[i].program);
		assert_int_equal(fleet_holds_in_part(f, FLEET_USAGE_DAY), cases[i].day);
		assert_int_equal(fleet_holds_in_part(f, FLEET_USAGE_HOUR), cases[i].hour);
		assert_int_equal(fleet_holds_in_part(f, FLEET_VERDICT), cases[i].verdict);
		filter_free(f);
	}
}

/* ---- which table ---- */

#define HOUR_NS (3600 * NSEC_PER_SEC)
#define DAY_NS (24 * HOUR_NS)
#define DAY_0 (20000 * DAY_NS)

static struct fleet_cover *cover;
static struct filter *asked;

static void ask_for(const char *filter)
{
	struct filter_error error;

	asked = filter_free(asked);
	assert_ok(filter_parse(str_of(filter), &asked, &error));
}

static void cover_of(uint64_t from_ns, uint64_t to_ns)
{
	fleet_cover_free(cover);
	assert_ok(fleet_cover_new(&cover, (struct store_span){ from_ns, to_ns }, asked));
}

/* Hours of a table as being whole. */
static void mark(enum fleet_table t, uint64_t from_ns, uint64_t to_ns)
{
	for (uint64_t at = from_ns; at < to_ns; at += fleet_step_s(t) * NSEC_PER_SEC)
		fleet_cover_mark(cover, t, at);
}

/* In minutes after DAY_0: "day 0-1440 flow 1440-1500". */
static const char *parts(void)
{
	static const char *const words[FLEET_SUMS] = { "flow",        "",        "name", "host",
						       "program-day", "program", "day",  "peer",
						       "hour" };
	static char text[512];
	struct fleet_part p;
	size_t at = 0, n = 0;

	text[0] = 0;
	while (fleet_cover_next(cover, &at, &p))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %ld-%ld", n ? " " : "",
				      words[p.table],
				      (long)(p.span.from_ns - DAY_0) / (60 * (long)NSEC_PER_SEC),
				      (long)(p.span.to_ns - DAY_0) / (60 * (long)NSEC_PER_SEC));
	return text;
}

static void test_cover(void **state)
{
	static const struct {
		const char *filter, *parts;
	} orders[] = {
		{ "", "hour 0-1440 peer 1440-2880 day 2880-4320" },
		{ "host:web-*", "hour 0-1440 peer 1440-2880 day 2880-4320" },
		{ "host:web-1 name:a", "hour 0-1440 peer 1440-4320" },
		{ "name:a", "hour 0-2880 day 2880-4320" },
		{ "-name:a", "hour 0-1440 peer 1440-2880 day 2880-4320" },
	};
	uint64_t minute = 60 * NSEC_PER_SEC;

	/* nothing is whole: pieces, to the second */
	cover_of(DAY_0 + 90 * minute, DAY_0 + 600 * minute);
	assert_string_equal(parts(), "flow 90-600");
	/* hours: widened where they are whole, up to the one that rollup is at */
	mark(FLEET_USAGE_HOUR, DAY_0, DAY_0 + 9 * HOUR_NS);
	assert_string_equal(parts(), "hour 60-540 flow 540-600");
	mark(FLEET_USAGE_HOUR, DAY_0 + 9 * HOUR_NS, DAY_0 + 20 * HOUR_NS);
	assert_string_equal(parts(), "hour 60-600");
	/* a hole comes from pieces, or from what has it */
	cover_of(DAY_0 + 30 * minute, DAY_0 + 10 * HOUR_NS + 1);
	mark(FLEET_USAGE_NAME, DAY_0, DAY_0 + 3 * HOUR_NS);
	mark(FLEET_USAGE_NAME, DAY_0 + 5 * HOUR_NS, DAY_0 + 10 * HOUR_NS);
	assert_string_equal(parts(), "name 0-180 flow 180-300 name 300-600 flow 600-600");
	mark(FLEET_USAGE_HOUR, DAY_0 + 2 * HOUR_NS, DAY_0 + 4 * HOUR_NS);
	assert_string_equal(parts(),
			    "name 0-180 hour 180-240 flow 240-300 name 300-600 flow 600-600");
	/* the smallest of several; days where the span has all of them */
	cover_of(DAY_0 - 90 * minute, DAY_0 + 3 * DAY_NS + 90 * minute);
	mark(FLEET_USAGE_HOUR, DAY_0 - DAY_NS, DAY_0 + 3 * DAY_NS + HOUR_NS);
	mark(FLEET_USAGE_DAY, DAY_0 - DAY_NS, DAY_0 + 2 * DAY_NS);
	assert_string_equal(parts(), "hour -120-0 day 0-2880 hour 2880-4380 flow 4380-4410");
	cover_of(DAY_0 + 1, DAY_0 + DAY_NS);
	mark(FLEET_USAGE_DAY, DAY_0, DAY_0 + DAY_NS);
	assert_string_equal(parts(), "flow 0-1440");
	cover_of(DAY_0, DAY_0 + DAY_NS);
	mark(FLEET_USAGE_DAY, DAY_0, DAY_0 + DAY_NS);
	mark(FLEET_USAGE_DAY, DAY_0 + HOUR_NS, DAY_0 + 2 * HOUR_NS); /* no begin of a day */
	assert_string_equal(parts(), "day 0-1440");
	/* a day of which some hours come from what is better is not read beside them: nothing counts twice, nothing is missing */
	cover_of(DAY_0, DAY_0 + 2 * DAY_NS);
	mark(FLEET_USAGE_DAY, DAY_0, DAY_0 + 2 * DAY_NS);
	mark(FLEET_USAGE_NAME, DAY_0 + 14 * HOUR_NS, DAY_0 + 23 * HOUR_NS);
	mark(FLEET_USAGE_PEER, DAY_0, DAY_0 + HOUR_NS);
	assert_string_equal(parts(),
			    "peer 0-60 flow 60-840 name 840-1380 flow 1380-1440 day 1440-2880");
	/* programs, too: whole days, and their hours at both ends */
	cover_of(DAY_0 - 60 * minute, DAY_0 + 2 * DAY_NS + 30 * minute);
	mark(FLEET_USAGE_PROGRAM_DAY, DAY_0 - DAY_NS, DAY_0 + 3 * DAY_NS);
	mark(FLEET_USAGE_HOUR, DAY_0 - DAY_NS, DAY_0 + 3 * DAY_NS);
	assert_string_equal(parts(), "hour -60-0 program-day 0-2880 hour 2880-2940");
	mark(FLEET_USAGE_PROGRAM, DAY_0 - DAY_NS, DAY_0 + 3 * DAY_NS);
	assert_string_equal(parts(), "program -60-0 program-day 0-2880 program 2880-2940");
	mark(FLEET_USAGE_NAME, DAY_0 - DAY_NS, DAY_0 + 3 * DAY_NS);
	assert_string_equal(parts(), "name -60-0 program-day 0-2880 name 2880-2940");
	/* in the order of what is asked for */
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		ask_for(orders[i].filter);
		cover_of(DAY_0, DAY_0 + 3 * DAY_NS);
		mark(FLEET_USAGE_HOUR, DAY_0, DAY_0 + 3 * DAY_NS);
		mark(FLEET_USAGE_PEER, DAY_0 + DAY_NS, DAY_0 + 3 * DAY_NS);
		mark(FLEET_USAGE_DAY, DAY_0 + 2 * DAY_NS, DAY_0 + 3 * DAY_NS);
		assert_string_equal(parts(), orders[i].parts);
	}
	asked = filter_free(asked);
	/* nothing, and all that there can be */
	cover_of(DAY_0, DAY_0);
	assert_string_equal(parts(), "");
	cover_of(DAY_0 + HOUR_NS, DAY_0);
	assert_string_equal(parts(), "");
	cover_of(0, UINT64_MAX);
	mark(FLEET_USAGE_DAY, DAY_0, DAY_0 + DAY_NS);
	fleet_cover_mark(cover, FLEET_USAGE_HOUR, UINT64_MAX / HOUR_NS * HOUR_NS);
	cover = fleet_cover_free(cover);
}

/* ---- rows ---- */

/* What was written is what is read: the columns of the statement, in its order. "ts" is read as a bucket's time. */
static size_t columns_written(uint8_t columns[COLUMN_COUNT])
{
	struct str list = str_of(clickhouse_insert(CLICKHOUSE_FLOW)), one;
	size_t n = 0;

	list = str_sub(list, strlen("INSERT INTO flow_1 ("), list.n);
	list.n -= strlen(") FORMAT RowBinary");
	while (str_cut(&list, ',', &one)) {
		int c = COLUMN_BUCKET;

		for (int i = 0; i < COLUMNS_OF_FLOW; i++)
			if (str_eq(str_trim(one),
				   str_of(clickhouse_column_name((enum clickhouse_column)i))))
				c = i;
		assert_true(c != COLUMN_BUCKET || str_eq(str_trim(one), STR("ts")));
		assert_true(n < COLUMN_COUNT);
		columns[n++] = (uint8_t)c;
	}
	assert_int_equal(n, COLUMNS_OF_FLOW + 1);
	return n;
}

static struct store_row example(void)
{
	struct store_row row = {
		.boot = 7,
		.flow_id = 11,
		.seq = 2,
		.ends = true,
		.start_ns = T0_S * NSEC_PER_SEC,
		.from_ns = T0_S * NSEC_PER_SEC,
		.to_ns = (T0_S + 5) * NSEC_PER_SEC,
		.up_bytes = 1000,
		.down_bytes = 1ULL << 40,
		.up_packets = 3,
		.down_packets = 4,
		.up_payload = 5,
		.down_payload = 6,
		.payload_known = true,
		.tcp_flags = { 0x1b, 0x13 },
		.retransmits = 8,
		.resets = 9,
		.rtt_us = 10,
		.state = FLOW_CLOSED,
		.end = 3,
		.direction = FLOW_EGRESS,
		.app = APP_TLS,
		.ifindex = 2,
		.has_who = true,
		.ja3 = STR("abc"),
		.ja4 = STR("def"),
	};

	row.key = (struct event_key){
		.sport = 40000, .dport = 443, .proto = IPPROTO_TCP, .zone = 12
	};
	addr_parse(STR("10.0.0.1"), &row.key.src);
	addr_parse(STR("2001:db8::5"), &row.key.dst);
	row.who = (struct store_who){ .pid = 99,
				      .ppid = 98,
				      .has_uid = true,
				      .uid = 33,
				      .exe = STR("/usr/bin/curl"),
				      .comm = STR("curl"),
				      .user = STR("www-data"),
				      .unit = STR("a.service"),
				      .container_name = STR("box"),
				      .n_ancestors = 1 };
	row.who.ancestors[0].pid = 98;
	row.who.ancestors[0].exe = STR("/bin/sh");
	row.peer = (struct store_peer){ .name = STR("www.example.org"),
					.name_source = NAME_SNI,
					.n_names = 1,
					.domain = STR("example.org"),
					.segment = STR("internet"),
					.country = "DE",
					.asn = 64496,
					.as_org = STR("Example") };
	row.peer.names[0] = STR("alias.example.org");
	row.rule = (struct store_rule){ .action = EG_ALLOW,
					.line = 4,
					.file = STR("p.egret"),
					.text = STR("allow all"),
					.note = STR("why") };
	return row;
}

static void test_round_trip(void **state)
{
	struct store_row row = example();
	struct buf bytes = BUF_INIT(4096), once = BUF_INIT(4096), again = BUF_INIT(4096);
	uint8_t columns[COLUMN_COUNT];
	size_t n = columns_written(columns);
	struct clickhouse_piece p;
	struct str in;

	for (int way = 0; way < 2; way++) {
		buf_clear(&bytes);
		buf_clear(&once);
		buf_clear(&again);
		row.key_is_ours_dst = way;
		clickhouse_put_flow(&bytes, STR("web-1"), &row);
		in = buf_str(&bytes);
		assert_int_equal(clickhouse_take_row(&in, columns, n, &p), 1);
		assert_int_equal(in.n, 0);
		assert_int_equal(p.bucket_ns, row.to_ns);
		assert_true(str_eq(p.row.host, STR("web-1")));
		assert_true(p.row.boot != row.boot); /* told apart from another machine's */
		p.row.host = STR_NONE;
		p.row.boot = row.boot;
		store_row_encode(&row, &once);
		store_row_encode(&p.row, &again);
		assert_true(str_eq(buf_str(&once), buf_str(&again)));
	}
	/* cut anywhere it is no row yet, and nothing is taken */
	for (size_t cut = 0; cut < bytes.n; cut++) {
		char *copy = malloc(cut + 1);

		memcpy(copy, bytes.p, cut);
		in = (struct str){ copy, cut };
		assert_int_equal(clickhouse_take_row(&in, columns, n, &p), 0);
		assert_int_equal(in.n, cut);
		free(copy);
	}
	buf_done(&bytes);
	buf_done(&once);
	buf_done(&again);
}

static void test_hostile_rows(void **state)
{
	static const uint8_t text = COLUMN_NAME, names = COLUMN_NAMES, time = COLUMN_TO;
	struct clickhouse_piece p;
	struct str in = STR("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
			    "x");

	assert_int_equal(clickhouse_take_row(&in, &text, 1, &p), -EBADMSG);
	in = STR("\xff\xff\xff\x7f"
		 "x");
	assert_int_equal(clickhouse_take_row(&in, &names, 1, &p), -EBADMSG);
	in = STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	assert_int_equal(clickhouse_take_row(&in, &text, 1, &p), -EBADMSG);
	in = STR("\xff\xff\xff\xff\xff\xff\xff\xff");
	assert_int_equal(clickhouse_take_row(&in, &time, 1, &p), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters),      cmocka_unit_test(test_in_part),
		cmocka_unit_test(test_cover),        cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hostile_rows),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
