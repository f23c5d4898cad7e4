// SPDX-License-Identifier: Apache-2.0
/* RowBinary against the columns of packaging/clickhouse/schema; the store that fills the spool; answers of a server in words. */
#include "base/file.h"
#include "store/clickhouse_row.h"
#include "store/leb.h"
#include "store/ship.h"
#include "store/spool.h"
#include "store/spool_pack.h"
#include "store_rig.h"

/* ---- the bytes, read by the schema ---- */

static char schema[65536];

static int load_schema(void **state)
{
	char path[512];
	size_t n = 0;
	FILE *f;

	for (int version = 1; version <= 2; version++) {
		snprintf(path, sizeof(path), "%s/packaging/clickhouse/schema/%d.sql",
			 getenv("EGRET_SOURCE") ?: ".", version);
		f = fopen(path, "r");
		if (!f)
			return -1;
		n += fread(schema + n, 1, sizeof(schema) - 1 - n, f);
		fclose(f);
	}
	schema[n] = 0;
	return 0;
}

/* The type of a column: "UInt64", "FixedString(16)", "Array(String)", "{word}". */
static struct str type_of(const char *table, struct str column)
{
	char mark[64];
	struct str body, one, name;
	const char *at;

	snprintf(mark, sizeof(mark), "{db}.%s{local} {cluster} (\n", table);
	at = strstr(schema, mark);
	assert_non_null(at);
	body = str_of(at + strlen(mark));
	body.n = (size_t)(strstr(body.p, "\n) ENGINE") - body.p);
	while (str_cut(&body, ',', &one)) {
		one = str_trim(one);
		assert_true(str_cut(&one, ' ', &name));
		if (str_eq(name, column))
			return one;
	}
	fail_msg("%s has no column %.*s", table, STR_FMT(column));
	return STR_NONE;
}

/* One value off the front: numbers as such, texts in `ret_text`, arrays by their count. */
static uint64_t take(struct str *in, struct str type, struct str *ret_text)
{
	uint64_t v = 0, n = 0;
	size_t bytes = str_eq(type, STR("UInt8"))    ? 1
		       : str_eq(type, STR("UInt16")) ? 2
		       : str_eq(type, STR("UInt32")) || str_eq(type, STR("Int32")) ||
				       str_eq(type, STR("DateTime"))
			       ? 4
		       : str_eq(type, STR("UInt64")) ? 8
						     : 0;

	*ret_text = STR_NONE;
	if (bytes) {
		assert_true(in->n >= bytes);
		for (size_t i = 0; i < bytes; i++)
			v |= (uint64_t)(uint8_t)in->p[i] << 8 * i;
		*in = str_sub(*in, bytes, in->n);
		return v;
	}
	if (str_has_prefix(type, STR("FixedString(16)"))) {
		assert_true(in->n >= 16);
		*ret_text = str_sub(*in, 0, 16);
		*in = str_sub(*in, 16, in->n);
		return 0;
	}
	assert_true(leb_take(in, &n));
	if (str_has_prefix(type, STR("Array("))) {
		struct str inner = str_sub(type, 6, type.n - 7), ignored;

		for (uint64_t i = 0; i < n; i++)
			take(in, inner, &ignored);
		return n;
	}
	assert_true(str_eq(type, STR("String")) || str_eq(type, STR("{word}")));
	assert_true(n <= in->n);
	*ret_text = str_sub(*in, 0, n);
	*in = str_sub(*in, n, in->n);
	return n;
}

/* Reads one row by the statement's columns and the schema's types; gives one of them. All bytes have to be used. */
static uint64_t column(enum clickhouse_table t, struct str row, const char *wanted,
		       struct str *ret_text)
{
	const char *table = clickhouse_table_name(t);
	struct str list = str_of(clickhouse_insert(t)), one, text;
	uint64_t v, ret = UINT64_MAX;
	uint32_t rows = 0;
	char head[64];

	assert_ok(clickhouse_walk(t, row, NULL, NULL, &rows)); /* its own reader agrees */
	assert_int_equal(rows, 1);
	snprintf(head, sizeof(head), "INSERT INTO %s (", table);
	assert_true(str_has_prefix(list, str_of(head)));
	list = str_sub(list, strlen(head), list.n - strlen(head) - strlen(") FORMAT RowBinary"));
	while (str_cut(&list, ',', &one)) {
		one = str_trim(one);
		v = take(&row, type_of(table, one), &text);
		if (!str_eq(one, str_of(wanted)))
			continue;
		ret = v;
		*ret_text = text;
	}
	assert_int_equal(row.n, 0);
	return ret;
}

#define NUMBER(t, b, name) column(t, buf_str(b), name, &(struct str){ 0 })

static struct str text_column(enum clickhouse_table t, struct buf *b, const char *name)
{
	struct str text = STR_NONE;

	assert_true(column(t, buf_str(b), name, &text) != UINT64_MAX);
	return text;
}

static void test_flow(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);

	for (uint64_t i = 1; i < 200; i++) {
		struct store_row row = dice_row((T0_S + i) * NSEC_PER_SEC + 123456789, i);
		const struct addr *peer = row.key_is_ours_dst ? &row.key.src : &row.key.dst;

		buf_clear(&b);
		clickhouse_put_flow(&b, STR("h1"), &row);
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "ts"), T0_S + i);
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "to_us"),
				 (T0_S + i) * 1000000 + 123456);
		assert_str(text_column(CLICKHOUSE_FLOW, &b, "host"), "h1");
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "flow_id"), i);
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "up_bytes"), row.up_bytes);
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "down_packets"), row.down_packets);
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "our_port"),
				 row.key_is_ours_dst ? row.key.dport : row.key.sport);
		assert_memory_equal(text_column(CLICKHOUSE_FLOW, &b, "peer_ip").p, peer->b, 16);
		assert_true(str_eq(text_column(CLICKHOUSE_FLOW, &b, "exe"), row.who.exe));
		assert_true(str_eq(text_column(CLICKHOUSE_FLOW, &b, "name"), row.peer.name));
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "names"), row.peer.n_names);
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "ancestor_exes"), row.who.n_ancestors);
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "args"), row.has_who ? 2 : 0);
		assert_true(str_eq(text_column(CLICKHOUSE_FLOW, &b, "rule_text"), row.rule.text));
		assert_true(str_eq(text_column(CLICKHOUSE_FLOW, &b, "ja4"), row.ja4));
		assert_int_equal(NUMBER(CLICKHOUSE_FLOW, &b, "uid"),
				 row.who.has_uid ? row.who.uid : UINT32_MAX);
		buf_clear(&again);
		clickhouse_put_flow(&again, STR("h1"), &row);
		assert_int_equal(again.n, b.n);
		assert_memory_equal(again.p, b.p, b.n);
	}
}

static void test_the_others(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct store_row row = dice_row(T0_S * NSEC_PER_SEC, 0);
	struct store_name name = { .time_ns = T0_S * NSEC_PER_SEC,
				   .name = STR("a.example"),
				   .type = 28,
				   .rcode = 3,
				   .n_answers = 2,
				   .answers = { STR("fd00::1"), STR("b.example") },
				   .ttl = 60,
				   .port = 53 };
	struct store_finding finding = { .time_ns = T0_S * NSEC_PER_SEC,
					 .id = STR("f1"),
					 .level = STR("high"),
					 .score_db = -7,
					 .acked = true,
					 .record = STR("{\"a\":1}") };

	struct store_host host = { .policy_mode = STR("watch"), .lost = 5, .waiting = 6 };
	struct store_policy policy = { .version = 42,
				       .group = STR("web"),
				       .state = STR("stepped-back"),
				       .rules = 7,
				       .after_hour = 9 };

	row.rule.action = 2;
	row.refused_packets = 3;
	clickhouse_put_verdict(&b, STR("h1"), &row);
	assert_int_equal(NUMBER(CLICKHOUSE_VERDICT, &b, "packets"), 3);
	assert_str(text_column(CLICKHOUSE_VERDICT, &b, "action"), "deny");
	buf_clear(&b);
	clickhouse_put_name(&b, STR("h1"), &name);
	assert_str(text_column(CLICKHOUSE_NAME, &b, "type"), "AAAA");
	assert_str(text_column(CLICKHOUSE_NAME, &b, "rcode"), "NXDOMAIN");
	assert_int_equal(NUMBER(CLICKHOUSE_NAME, &b, "answers"), 2);
	assert_int_equal(NUMBER(CLICKHOUSE_NAME, &b, "ttl"), 60);
	buf_clear(&b);
	clickhouse_put_host(&b, STR("h1"), &host);
	assert_int_equal(NUMBER(CLICKHOUSE_HOST, &b, "lost"), 5);
	assert_int_equal(NUMBER(CLICKHOUSE_HOST, &b, "waiting"), 6);
	assert_str(text_column(CLICKHOUSE_HOST, &b, "policy_mode"), "watch");
	buf_clear(&b);
	clickhouse_put_policy(&b, STR("h1"), &policy);
	assert_int_equal(NUMBER(CLICKHOUSE_POLICY, &b, "version"), 42);
	assert_int_equal(NUMBER(CLICKHOUSE_POLICY, &b, "rules"), 7);
	assert_int_equal(NUMBER(CLICKHOUSE_POLICY, &b, "refused_after_hour"), 9);
	assert_str(text_column(CLICKHOUSE_POLICY, &b, "group_name"), "web");
	assert_str(text_column(CLICKHOUSE_POLICY, &b, "state"), "stepped-back");
	buf_clear(&b);
	clickhouse_put_finding(&b, STR("h1"), &finding);
	assert_int_equal((int32_t)NUMBER(CLICKHOUSE_FINDING, &b, "score_db"), -7);
	assert_str(text_column(CLICKHOUSE_FINDING, &b, "level"), "high");
	assert_str(text_column(CLICKHOUSE_FINDING, &b, "record"), "{\"a\":1}");
}

/* Each column of a table is written, but for those that a server fills. */
static void test_every_column(void **state)
{
	for (int t = 0; t < CLICKHOUSE_TABLES; t++) {
		const char *insert = clickhouse_insert((enum clickhouse_table)t);
		char mark[64];
		struct str body, one, name;
		size_t in_schema = 0, in_insert = 1;

		snprintf(mark, sizeof(mark), "{db}.%s{local} {cluster} (\n",
			 clickhouse_table_name((enum clickhouse_table)t));
		body = str_of(strstr(schema, mark) + strlen(mark));
		body.n = (size_t)(strstr(body.p, "\n) ENGINE") - body.p);
		for (; str_cut(&body, ',', &one); in_schema++) {
			one = str_trim(one);
			str_cut(&one, ' ', &name);
		}
		for (const char *p = insert; (p = strchr(p, ',')); p++)
			in_insert++;
		assert_int_equal(in_schema, in_insert);
	}
}

static void test_statements(void **state)
{
	for (int t = 0; t < CLICKHOUSE_TABLES; t++) {
		struct str insert = str_of(clickhouse_insert((enum clickhouse_table)t));

		assert_int_equal(clickhouse_table_of(insert), t);
		assert_int_equal(clickhouse_table_of(str_sub(insert, 0, insert.n - 1)), -1);
	}
	assert_int_equal(clickhouse_table_of(STR("DROP TABLE flow_1")), -1);
	assert_int_equal(clickhouse_table_of(STR_NONE), -1);
}

struct seen {
	uint32_t rows, ts;
	int stop_at;
};

static int on_walked(void *ctx, uint32_t ts, struct str host)
{
	struct seen *s = ctx;

	assert_str(host, "h1");
	s->rows++;
	s->ts = ts;
	return (int)s->rows == s->stop_at ? -EPERM : 0;
}

static void test_walk(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	size_t ends[21] = { 0 };
	struct seen seen = { 0 };
	uint32_t rows;

	for (uint64_t i = 1; i <= 20; i++) {
		struct store_row row = dice_row((T0_S + i) * NSEC_PER_SEC, i);

		clickhouse_put_flow(&b, STR("h1"), &row);
		ends[i] = b.n;
	}
	assert_ok(clickhouse_walk(CLICKHOUSE_FLOW, buf_str(&b), on_walked, &seen, &rows));
	assert_int_equal(rows, 20);
	assert_int_equal(seen.rows, 20);
	assert_int_equal(seen.ts, T0_S + 20);
	seen = (struct seen){ .stop_at = 3 };
	assert_err(clickhouse_walk(CLICKHOUSE_FLOW, buf_str(&b), on_walked, &seen, &rows), -EPERM);
	assert_int_equal(seen.rows, 3);
	/* cut anywhere but between rows, it is not whole */
	for (size_t cut = 0, whole = 0; cut < b.n; cut++) {
		int r = clickhouse_walk(CLICKHOUSE_FLOW, str_sub(buf_str(&b), 0, cut), NULL, NULL,
					&rows);

		if (cut == ends[whole]) {
			assert_ok(r);
			assert_int_equal(rows, whole++);
		} else {
			assert_err(r, -EBADMSG);
		}
	}
}

/* A row of `host_1`, with this in the place of its host. */
static int walk_host(struct str host)
{
	_cleanup_buf_ struct buf good = BUF_INIT(4096), b = BUF_INIT(4U << 20);
	struct store_host h = { .watch = STR("host") };
	uint32_t rows;

	clickhouse_put_host(&good, STR("h1"), &h);
	buf_put(&b, good.p, 4);
	buf_put_str(&b, host);
	buf_put(&b, good.p + 7, good.n - 7);
	return clickhouse_walk(CLICKHOUSE_HOST, buf_str(&b), NULL, NULL, &rows);
}

static void test_hostile_counts(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4U << 20);

	assert_ok(walk_host(STR("\x02h1")));
	assert_err(walk_host(STR("\x82\x00h1")),
		   -EBADMSG); /* 2, written longer than it has to be */
	assert_err(walk_host(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), -EBADMSG);
	assert_err(walk_host(STR("\x82\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00h1")), -EBADMSG);
	assert_err(walk_host(STR("\x81\x80\x80\x01")), -EBADMSG);
	/* a text as long as a row may be does not fit into one */
	buf_put(&b, "\x80\x80\x40", 3);
	memset(buf_reserve(&b, 1 << 20), 'x', 1 << 20);
	b.n += 1 << 20;
	assert_err(walk_host(buf_str(&b)), -EBADMSG);
}

/* ---- the store ---- */

/* A batch holds what its name says, of the host h1. */
static void check_batch(const char *file_name, const struct spool_name *name)
{
	_cleanup_buf_ struct buf file = BUF_INIT(1 << 24), rows = BUF_INIT(1 << 26);
	_cleanup_close_ int dir = file_open_folder(rig_dir);
	struct seen seen = { 0 };
	struct str body, head;
	uint32_t n;

	assert_ok(file_read(dir, file_name, &file));
	body = buf_str(&file);
	assert_true(str_cut(&body, '\n', &head));
	assert_ok(spool_unpack(&rows, body));
	assert_ok(clickhouse_walk((enum clickhouse_table)clickhouse_table_of(head), buf_str(&rows),
				  on_walked, &seen, &n));
	assert_int_equal(n, name->rows);
}

static uint64_t rows_of(const char *kind)
{
	struct dirent **list;
	int n = scandir(rig_dir, &list, NULL, alphasort);
	uint64_t rows = 0;

	for (int i = 0; i < n; i++) {
		struct spool_name name;

		if (spool_name_parse(str_of(list[i]->d_name), &name) &&
		    str_eq(name.kind, str_of(kind))) {
			check_batch(list[i]->d_name, &name);
			rows += name.rows;
		}
		free(list[i]);
	}
	free(list);
	return rows;
}

static struct store *open_store(void)
{
	struct store_config cfg = { .dir = rig_dir, .host = "h1", .max_bytes = 1 << 30 };
	struct store *s = NULL;

	assert_ok(store_open(&s, &store_clickhouse, &cfg));
	assert_ok(store_start(s));
	return s;
}

static void test_store(void **state)
{
	struct store *s = open_store();
	struct store_name name = { .name = STR("a.example") };
	struct store_finding finding = { .id = STR("f1"), .record = STR("{}") };
	struct store_host host = { .version = STR("1") };
	uint64_t refused = 0;
	struct store_stats st;

	for (uint64_t i = 1; i <= 60000; i++) {
		struct store_row row = dice_row((T0_S + i) * NSEC_PER_SEC, i % 100 ? i : 0);

		row.refused_calls = row.flow_id ? 0 : 1;
		refused += row.refused_calls || row.refused_packets;
		store_put(s, &row);
		if (i % 10000 == 0)
			assert_ok(store_flush(s, 20 * NSEC_PER_SEC));
	}
	store_put_name(s, &name);
	store_put_finding(s, &finding);
	store_put_host(s, &host);
	assert_ok(store_flush(s, 20 * NSEC_PER_SEC));
	store_stats(s, &st);
	assert_int_equal(st.rows, 60002);
	assert_int_equal(st.findings, 1);
	assert_int_equal(st.lost_queue + st.lost_write + st.dropped, 0);
	assert_in_range(rows_of("flow_1"), 10000, SPOOL_BATCH_ROWS); /* the rest is open */
	store_close(s);
	store_close(open_store()); /* takes up what was open */
	assert_int_equal(rows_of("flow_1"), 60000 - 600);
	assert_int_equal(rows_of("verdict_1"), refused);
	assert_int_equal(rows_of("name_1"), 1);
	assert_int_equal(rows_of("finding_1"), 1);
	assert_int_equal(rows_of("host_1"), 1);
}

static void test_a_folder_that_cannot_be_made(void **state)
{
	struct store_config cfg = { .dir = "/proc/none/spool", .host = "h1", .max_bytes = 1 << 30 };
	struct store_row row = dice_row(T0_S * NSEC_PER_SEC, 1);
	struct store_stats st;
	struct store *s;

	assert_ok(store_open(&s, &store_clickhouse, &cfg));
	assert_ok(store_start(s));
	store_put(s, &row);
	assert_err(store_flush(s, NSEC_PER_SEC), -ETIMEDOUT);
	store_stats(s, &st);
	assert_non_null(strstr(st.problem, "the spool cannot be written"));
	store_close(s);
}

/* ---- what a server says ---- */

static void test_explain(void **state)
{
	static const struct {
		long status;
		const char *body, *words;
		enum ship_verdict verdict;
	} rows[] = {
		{ 500,
		  "Code: 193, e.displayText() = DB::Exception: Wrong password for user egret, "
		  "e.what() = DB::Exception\n",
		  "wrong user or password", SHIP_RETRY },
		{ 403, "Code: 516. DB::Exception: egret: Authentication failed",
		  "wrong user or password", SHIP_RETRY },
		{ 401, "", "wrong user or password (status 401)", SHIP_RETRY },
		{ 404, "Code: 60. DB::Exception: Table egret.flow_1 doesn't exist. (UNKNOWN_TABLE)",
		  "egret-clickhouse migrate", SHIP_RETRY },
		{ 500, "Code: 252, e.displayText() = DB::Exception: Too many parts (300)",
		  "too many parts", SHIP_RETRY },
		{ 500, "Code: 33, e.displayText() = DB::Exception: Cannot read all data",
		  "cannot read a batch", SHIP_NEVER },
		{ 502, "<html>\r\n\033[2Jbad gateway", "it answers with status 502: <html>?",
		  SHIP_RETRY },
		{ 500, "Code: 99999999, what", "it answers with status 500", SHIP_RETRY },
		{ 500, "", "it answers with status 500: nothing", SHIP_RETRY },
	};
	char why[SHIP_WHY_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(ship_explain(rows[i].status, str_of(rows[i].body), "egret", why),
				 rows[i].verdict);
		if (!strstr(why, rows[i].words))
			fail_msg("%s: not '%s'", why, rows[i].words);
	}
}

static void test_hello(void **state)
{
	char version[SHIP_VERSION_MAX];
	bool async;

	assert_ok(ship_hello_parse(STR("18.16.1\t0\n"), version, &async));
	assert_string_equal(version, "18.16.1");
	assert_false(async);
	assert_ok(ship_hello_parse(STR("26.7.2.1\t1\n"), version, &async));
	assert_true(async);
	assert_err(ship_hello_parse(STR("1.1.54378\t0\n"), version, &async), -ENOTSUP);
	assert_string_equal(version, "1.1.54378");
	assert_err(ship_hello_parse(STR("18.14.9\t0\n"), version, &async), -ENOTSUP);
	assert_err(ship_hello_parse(STR("<html>\n"), version, &async), -EINVAL);
	assert_err(ship_hello_parse(STR("18.16.1"), version, &async), -EINVAL);
	assert_err(ship_hello_parse(STR("\t1"), version, &async), -EINVAL);
	assert_err(ship_hello_parse(STR(""), version, &async), -EINVAL);
}

static void test_url(void **state)
{
	assert_null(ship_check_url(STR("https://ch.example:8443")));
	assert_null(ship_check_url(STR("http://[::1]:8123/ch")));
	assert_non_null(
		strstr(ship_check_url(STR("https://egret:secret@ch.example")), "password-file"));
	assert_non_null(ship_check_url(STR("ftp://ch.example")));
	assert_non_null(ship_check_url(STR("https://")));
	assert_non_null(ship_check_url(STR("https://ch.example/?user=x")));
	assert_non_null(ship_check_url(STR("")));
	assert_null(ship_check_word(STR("egret_1")));
	assert_non_null(ship_check_word(STR("egret;")));
	assert_non_null(ship_check_word(STR("")));
}

static void test_settings(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 16);
	struct ship_settings s = { .url = "https://a",
				   .more_urls = { "https://b" },
				   .database = "egret",
				   .certificate = "/c.pem",
				   .key = "key" },
			     got;

	ship_settings_put(&text, &s);
	assert_ok(ship_settings_take(&got, buf_str(&text)));
	assert_memory_equal(&got, &s, sizeof(s));
	assert_err(ship_settings_take(&got, str_sub(buf_str(&text), 0, 30)), -EINVAL);
	buf_puts(&text, "more");
	assert_err(ship_settings_take(&got, buf_str(&text)), -EINVAL);
	buf_clear(&text);
	for (int i = 0; i < 300; i++)
		buf_putc(&text, 'x');
	buf_puts(&text, "\n\n\n\n\n\n\n\n\n\n\n\n\n\n");
	assert_err(ship_settings_take(&got, buf_str(&text)), -EINVAL); /* longer than its place */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_the_others),
		cmocka_unit_test(test_every_column),
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_hostile_counts),
		cmocka_unit_test_setup_teardown(test_store, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_a_folder_that_cannot_be_made, rig_setup,
						rig_teardown),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, load_schema, NULL);
}
