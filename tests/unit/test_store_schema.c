/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of history: that of every version is written down in tests/unit/schema/, and leads to that of today; every statement
 * that is run goes by an index; what is too old or too much goes, the oldest detail first.
 */
#include <inttypes.h>

#include "store_rig.h"

#define STATEMENTS_MAX 512

static const struct db_schema *const schemas[] = { &db_flows, &db_sums, &db_findings };

/* ---- versions ---- */

/* What the tables are, as a text. */
static void layout(sqlite3 *db, struct buf *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;

	assert_ok(db_prepare(
		db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name", &s));
	buf_clear(ret);
	while (sqlite3_step(s) == SQLITE_ROW)
		buf_printf(ret, "%.*s;\n", STR_FMT(db_bytes(s, 0)));
}

static void snapshot(const struct db_schema *schema, size_t version, struct buf *ret)
{
	const char *root = getenv("EGRET_SOURCE");
	_cleanup_fclose_ FILE *f = NULL;
	char path[512], block[4096];
	size_t n;

	snprintf(path, sizeof(path), "%s/tests/unit/schema/%s-%zu.sql", root ? root : "..",
		 schema->name, version);
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: each version of a schema is written down", path);
	buf_clear(ret);
	while ((n = fread(block, 1, sizeof(block), f)))
		buf_put(ret, block, n);
}

/* A version that was released never changes: a step that was edited, or one without a snapshot, is found here. */
static void test_versions(void **state)
{
	_cleanup_buf_ struct buf is = BUF_INIT(1 << 16), was = BUF_INIT(1 << 16);
	char path[128], error[DB_ERROR_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++) {
		for (size_t v = 1; v <= schemas[i]->n_steps; v++) {
			sqlite3 *db = NULL;
			int64_t version = 0;

			snprintf(path, sizeof(path), "%s/%s-%zu.db", rig_dir, schemas[i]->name, v);
			assert_ok(db_open_at(&db, path, schemas[i], v, error));
			assert_ok(db_number(db, "PRAGMA user_version", &version));
			assert_int_equal(version, v);
			layout(db, &is);
			snapshot(schemas[i], v, &was);
			assert_string_equal(is.p, was.p);
			db_close(db);
		}
	}
}

/* From each version to today's, with what was in it. */
static void test_migrations(void **state)
{
	_cleanup_buf_ struct buf is = BUF_INIT(1 << 16), today = BUF_INIT(1 << 16);
	char path[128], error[DB_ERROR_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++) {
		snapshot(schemas[i], schemas[i]->n_steps, &today);
		for (size_t v = 1; v <= schemas[i]->n_steps; v++) {
			sqlite3 *db = NULL;

			snprintf(path, sizeof(path), "%s/from-%s-%zu.db", rig_dir, schemas[i]->name,
				 v);
			assert_ok(db_open_at(&db, path, schemas[i], v, error));
			db_close(db);
			assert_ok(db_open(&db, path, schemas[i], DB_WRITE, error));
			layout(db, &is);
			assert_string_equal(is.p, today.p);
			db_close(db);
		}
	}
}

/* The mechanism itself, on a schema of its own: steps are taken once, in order, all of one or nothing. */
static void test_steps(void **state)
{
	static const char *const steps[] = {
		"CREATE TABLE a(x INTEGER)",
		"ALTER TABLE a ADD COLUMN y INTEGER; INSERT INTO a VALUES(1, 2)",
		"CREATE TABLE b(z INTEGER); INSERT INTO nothing VALUES(1)"
	};
	struct db_schema schema = { "tests", 77, 2, steps };
	char path[128], error[DB_ERROR_MAX];
	sqlite3 *db = NULL;
	int64_t n = 0;

	snprintf(path, sizeof(path), "%s/steps.db", rig_dir);
	assert_ok(db_open_at(&db, path, &schema, 1, error));
	assert_ok(db_exec(db, "INSERT INTO a VALUES(7)"));
	db_close(db);
	assert_err(db_open(&db, path, &schema, DB_READ, error), -EPROTO);
	assert_non_null(strstr(error, "version 1"));
	for (int i = 0; i < 2; i++) {
		assert_ok(db_open(&db, path, &schema, DB_WRITE, error));
		assert_ok(db_number(db, "SELECT sum(x) * 10 + count(y) FROM a", &n));
		assert_int_equal(n, 81);
		db_close(db);
	}
	schema.n_steps = 3;
	assert_err(db_open(&db, path, &schema, DB_WRITE, error), -EBADMSG);
	schema.n_steps = 2;
	assert_ok(db_open(&db, path, &schema, DB_READ, error));
	assert_ok(db_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'", &n));
	assert_int_equal(n, 0);
	db_close(db);
	schema.n_steps = 1;
	assert_err(db_open(&db, path, &schema, DB_WRITE, error), -EPROTO);
	assert_non_null(strstr(error, "newer egret"));
}

/* ---- how statements go ---- */

static struct statement {
	char sql[1024], file[128];
} statements[STATEMENTS_MAX];
static size_t n_statements;

static int on_statement(unsigned what, void *ctx, void *p, void *x)
{
	const char *sql = sqlite3_sql(p), *file = sqlite3_db_filename(sqlite3_db_handle(p), "main");

	for (size_t i = 0; i < n_statements; i++)
		if (!strcmp(statements[i].sql, sql) && !strcmp(statements[i].file, file))
			return 0;
	assert_true(n_statements < STATEMENTS_MAX);
	snprintf(statements[n_statements].file, sizeof(statements[0].file), "%s", file);
	snprintf(statements[n_statements++].sql, sizeof(statements[0].sql), "%s", sql);
	return 0;
}

static int on_open(sqlite3 *db, const char **error, const struct sqlite3_api_routines *api)
{
	return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, NULL);
}

/* Read as a whole, knowingly: what is loaded once, and tables that stay small. */
static bool may_scan(const char *sql, const char *step)
{
	static const char *const small[] = { "SCAN zone",  "SCAN boot",     "SCAN span",
					     "SCAN image", "SCAN CONSTANT", "SCAN (subquery" };
	static const char *const whole[] = { "SELECT id, image FROM proc", "SELECT id, t FROM text",
					     "SELECT id, dims FROM key",
					     "SELECT count(*) FROM sqlite_schema" };
	const char *tail = strstr(sql, " ORDER BY id");

	if (str_has_prefix(str_of(sql), STR("SELECT id, ")) && tail &&
	    !tail[strlen(" ORDER BY id")] && !strstr(sql, "WHERE"))
		return true; /* dim_open() */
	for (size_t i = 0; i < ARRAY_SIZE(small); i++)
		if (strstr(step, small[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (str_has_prefix(str_of(sql), str_of(whole[i])))
			return true;
	return false;
}

static void check_plan(const struct statement *st)
{
	_cleanup_(db_closep) sqlite3 *db = NULL;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	char sql[1100];

	snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", st->sql);
	assert_int_equal(sqlite3_open_v2(st->file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_ok(db_exec(db, "PRAGMA automatic_index=OFF")); /* as db_open() does */
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		return; /* of a file that is gone, or a PRAGMA */
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(s, 3);

		if (strstr(step, "AUTOMATIC") || strstr(step, "TEMP B-TREE") ||
		    (strstr(step, "SCAN") && !may_scan(st->sql, step)))
			fail_msg("%s\n  %s", st->sql, step);
	}
}

static int on_any_sum(void *ctx, const struct store_sum *s)
{
	return 0;
}

static int on_finding(void *ctx, uint64_t time_ns, struct str id, struct str record)
{
	struct rows *r = ctx;

	assert_str(id, r->n ? "b" : "a");
	assert_str(record, r->n ? "{\"b\":1}" : "{\"a\":2}");
	r->n++;
	return 0;
}

static void put_hours(struct store *s, uint64_t from_ns, unsigned hours)
{
	for (unsigned i = 0; i < hours * 60; i++) {
		struct store_row row = dice_row(from_ns + i * 60 * NSEC_PER_SEC,
						(T0_S * 1000 << 12) + from_ns / NSEC_PER_SEC + i);

		store_put(s, &row);
	}
	rig_now_ns = from_ns + hours * HOUR_NS;
}

static void ask_everything(void)
{
	struct addr one = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 9 } };
	const struct store_hint hints[] = { { .name = STR("h1.example.org") },
					    { .name_below = STR("example.org") },
					    { .peer = &one },
					    { .peer = &one, .peer_bits = 120 },
					    { .exe_name = STR("tool1") },
					    { .flow_id = (T0_S * 1000 << 12) + T0_S } };
	struct store_reader *r = rig_reader();
	struct rows got = ROWS_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		assert_ok(store_read_pieces(r, rig_all, &hints[i], i % 2, on_row, &got));
	for (enum store_step step = 0; step < STORE_STEP_COUNT; step++)
		for (int series = 0; series < 2; series++)
			assert_ok(store_read_sums(r, step, rig_all, series, on_any_sum, NULL));
	assert_true(store_oldest_piece(r) / NSEC_PER_SEC == T0_S);
	assert_true(store_oldest_sum(r, STORE_DAY) / NSEC_PER_SEC == T0_S);
	got.n = 0;
	assert_ok(store_read_findings(r, rig_all, on_finding, &got));
	assert_int_equal(got.n, 2);
	assert_int_equal(store_reader_skipped(r), 0);
	store_reader_close(r);
	buf_done(&got.bytes);
}

static void put_finding(struct store *s, uint64_t time_ns, struct str id, struct str record)
{
	store_put_finding(
		s, &(struct store_finding){ .time_ns = time_ns, .id = id, .record = record });
}

static void test_plans(void **state)
{
	struct store *s;

	assert_int_equal(sqlite3_auto_extension((void (*)(void))on_open), SQLITE_OK);
	s = rig_open();
	put_hours(s, T0_S * NSEC_PER_SEC, 30);
	put_finding(s, T0_S * NSEC_PER_SEC, STR("a"), STR("{\"a\":1}"));
	put_finding(s, (T0_S + 2) * NSEC_PER_SEC, STR("b"), STR("{\"b\":1}"));
	put_finding(s, (T0_S + 1) * NSEC_PER_SEC, STR("a"), STR("{\"a\":2}"));
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	usleep(1200000); /* the house-keeping's, too */
	store_close(s);
	ask_everything();
	sqlite3_cancel_auto_extension((void (*)(void))on_open);
	assert_true(n_statements > 40);
	for (size_t i = 0; i < n_statements; i++)
		check_plan(&statements[i]);
}

/* ---- what goes ---- */

static unsigned count_kept(enum store_step step)
{
	_cleanup_(db_closep) sqlite3 *db = NULL;
	char path[128], name[MONTH_NAME_MAX], sql[128];
	int64_t n = 0;

	snprintf(path, sizeof(path), "%s/%s", rig_dir,
		 month_file_name(month_of_day(T0_S / 86400), name));
	if (access(path, F_OK) < 0)
		return 0;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM sum WHERE step = %d", (int)step);
	assert_ok(db_number(db, sql, &n));
	return (unsigned)n;
}

static unsigned count_days(void)
{
	DIR *d = opendir(rig_dir);
	struct dirent *e;
	unsigned n = 0;
	int64_t day;

	while ((e = readdir(d)))
		n += day_file_parse(e->d_name, &day);
	closedir(d);
	return n;
}

/* A life of the store at that time, long enough for its house-keeping. */
static uint64_t live(struct store_config cfg, uint64_t from_ns, unsigned hours)
{
	struct store *s = rig_open_with(cfg);
	struct store_stats stats;

	put_hours(s, from_ns, hours);
	assert_ok(store_flush(s, 10 * NSEC_PER_SEC));
	usleep(1300000);
	store_stats(s, &stats);
	assert_string_equal(stats.problem, "");
	assert_true(stats.disk_bytes > 0 && stats.oldest_ns > 0);
	store_close(s);
	return stats.disk_bytes;
}

static void test_retention_by_age(void **state)
{
	const struct store_config cfg = { .flows_ns = 3 * 86400 * NSEC_PER_SEC,
					  .rollups_ns = 100 * 86400 * NSEC_PER_SEC };

	live((struct store_config){ 0 }, T0_S * NSEC_PER_SEC, 60);
	assert_int_equal(count_days(), 3);
	assert_true(count_kept(STORE_MINUTE) > 3000 && count_kept(STORE_HOUR) >= 59 &&
		    count_kept(STORE_DAY) == 2);
	live(cfg, (T0_S + 4 * 86400) * NSEC_PER_SEC, 2);
	assert_int_equal(count_days(), 3); /* 2 and 3 December, and the 5th */
	live(cfg, (T0_S + 20 * 86400) * NSEC_PER_SEC, 2);
	assert_int_equal(count_days(), 1);
	assert_true(count_kept(STORE_MINUTE) < 200 && count_kept(STORE_HOUR) > 60 &&
		    count_kept(STORE_DAY) >= 4);
	live(cfg, (T0_S + 80 * 86400) * NSEC_PER_SEC, 2);
	assert_true(count_kept(STORE_DAY) >= 4);
	live(cfg, (T0_S + 140 * 86400) * NSEC_PER_SEC, 2);
	assert_int_equal(count_kept(STORE_DAY), 0);
}

static void test_retention_by_size(void **state)
{
	uint64_t all = live((struct store_config){ 0 }, T0_S * NSEC_PER_SEC, 80), left;

	assert_int_equal(count_days(), 4);
	left = live((struct store_config){ .max_bytes = all * 3 / 4 },
		    (T0_S + 80 * 3600) * NSEC_PER_SEC, 1);
	assert_true(left <= all * 3 / 4);
	assert_in_range(count_days(), 1, 3);
	assert_true(count_kept(STORE_MINUTE) > 3000);
	live((struct store_config){ .max_bytes = 1 }, (T0_S + 81 * 3600) * NSEC_PER_SEC, 1);
	assert_int_equal(count_days(), 1); /* the one that is written */
	assert_true(count_kept(STORE_MINUTE) < 200 && count_kept(STORE_HOUR) < 20);
	assert_true(count_kept(STORE_DAY) >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_versions, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_migrations, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_steps, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_plans, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_retention_by_age, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_retention_by_size, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
