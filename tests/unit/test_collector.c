// SPDX-License-Identifier: Apache-2.0
/* What a collector had, in ranges and on disk; batches that it takes once, whatever comes in between. */
#include "base/file.h"
#include "collector/had.h"
#include "collector/intake.h"
#include "store/clickhouse_row.h"
#include "store/spool_pack.h"
#include "store_rig.h"

#define DAY_S 86400ULL

static struct spool_tag tag(uint32_t spool, uint64_t seq)
{
	struct spool_tag t = { .seq = seq };

	memcpy(t.id, &spool, sizeof(spool));
	return t;
}

static struct had *open_had(int folder, uint64_t now_s)
{
	struct had *h = NULL;

	assert_ok(had_open(&h, folder, now_s));
	return h;
}

static void add(struct had *h, uint32_t spool, uint64_t seq, uint64_t now_s)
{
	struct spool_tag t = tag(spool, seq);

	had_add(h, &t, now_s);
}

static bool has(const struct had *h, uint32_t spool, uint64_t seq)
{
	struct spool_tag t = tag(spool, seq);

	return had_has(h, &t);
}

static struct had_stats stats_of(const struct had *h)
{
	struct had_stats st;

	had_stats(h, &st);
	return st;
}

/* In any order, against a plain set. */
static void test_ranges(void **state)
{
	_cleanup_close_ int folder = file_open_folder(rig_dir);
	struct had *h = open_had(folder, 1000);
	bool had[24] = { 0 };

	srand(5);
	for (int round = 0; round < 20000; round++) {
		uint64_t seq = (uint64_t)(rand() % 24);

		if (round % 24 == 0) {
			h = had_free(h);
			h = open_had(folder, 1000);
			memset(had, 0, sizeof(had));
		}
		add(h, 1, seq, 1000);
		had[seq] = true;
		for (uint64_t i = 0; i < 24; i++)
			assert_int_equal(has(h, 1, i), had[i]);
		assert_false(has(h, 2, seq));
	}
	assert_int_equal(stats_of(h).forgotten, 0);
	had_free(h);
}

static void test_too_many_ranges(void **state)
{
	_cleanup_close_ int folder = file_open_folder(rig_dir);
	struct had *h = open_had(folder, 1000);

	for (uint64_t i = 0; i <= HAD_RANGES; i++)
		add(h, 1, 100 + 2 * i, 1000);
	assert_int_equal(stats_of(h).forgotten, 1);
	assert_false(has(h, 1, 100)); /* the lowest */
	assert_true(has(h, 1, 102));
	assert_true(has(h, 1, 100 + 2 * HAD_RANGES));
	add(h, 1, 50, 1000); /* lower than all: what is remembered is newer */
	assert_false(has(h, 1, 50));
	assert_true(has(h, 1, 102));
	assert_int_equal(stats_of(h).forgotten, 2);
	add(h, 1, 103, 1000); /* closes a gap, and makes room */
	add(h, 1, 9000, 1000);
	assert_int_equal(stats_of(h).forgotten, 2);
	had_free(h);
}

static void test_had_on_disk(void **state)
{
	_cleanup_close_ int folder = file_open_folder(rig_dir);
	_cleanup_buf_ struct buf file = BUF_INIT(1 << 20);
	struct had *h = open_had(folder, 1000);

	for (uint32_t spool = 1; spool <= 1000; spool++)
		for (uint64_t seq = 1; seq <= 3; seq++)
			add(h, spool, 10 * seq, 1000 + spool);
	assert_ok(had_save(h, 2000));
	had_free(h);
	h = open_had(folder, 2000);
	assert_int_equal(stats_of(h).spools, 1000);
	for (uint32_t spool = 1; spool <= 1000; spool++)
		assert_true(has(h, spool, 10) && has(h, spool, 30) && !has(h, spool, 11));
	/* who was silent for 30 days goes, when something is to be written */
	add(h, 1, 11, 30 * DAY_S + 1500);
	assert_ok(had_save(h, 30 * DAY_S + 1500));
	assert_true(has(h, 1, 30));
	assert_false(has(h, 499, 30));
	assert_true(has(h, 500, 30));
	assert_int_equal(stats_of(h).forgotten, 498);
	had_free(h);
	/* damaged anywhere, it is set aside */
	assert_ok(file_read(folder, "had", &file));
	for (size_t at = 0; at < file.n; at += 101) {
		file.p[at] ^= 1;
		assert_ok(file_replace(folder, "had", buf_str(&file), STR_NONE));
		file.p[at] ^= 1;
		assert_err(had_open(&h, folder, 2000), -EBADMSG);
		assert_int_equal(stats_of(h).spools, 0);
		had_free(h);
	}
	for (size_t n = 0; n < file.n; n += 97) {
		assert_ok(file_replace(folder, "had", str_sub(buf_str(&file), 0, n), STR_NONE));
		assert_err(had_open(&h, folder, 2000), -EBADMSG);
		had_free(h);
	}
}

static void test_too_many_spools(void **state)
{
	_cleanup_close_ int folder = file_open_folder(rig_dir);
	struct had *h = open_had(folder, 1000);
	struct spool_tag more = tag(HAD_SPOOLS_MAX + 1, 1);

	for (uint32_t spool = 1; spool <= HAD_SPOOLS_MAX; spool++)
		add(h, spool, 1, 1000);
	assert_err(had_reserve(h, more.id, 1000 + DAY_S - 1), -ENOSPC);
	assert_ok(had_reserve(h, tag(7, 1).id, 1000));
	assert_ok(had_reserve(h, more.id, 1000 + DAY_S)); /* in the place of the silent */
	had_free(h);
}

/* ---- batches ---- */

static bool may(void *ctx, const char *host)
{
	return !strcmp(host, ctx);
}

static struct intake *open_intake(uint64_t max_bytes)
{
	struct intake_config cfg = { .dir = rig_dir, .max_bytes = max_bytes };
	struct intake *in = NULL;

	assert_ok(intake_open(&in, &cfg));
	return in;
}

#define SPOOL "0123456789abcdef0123456789abcdef"

/* `rows` rows of how a machine is, of so many different days. 0: it is put in. */
static unsigned put(struct intake *in, uint64_t seq, uint32_t rows, uint32_t days, const char *host,
		    struct spool_tag *ret_tag)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT(64 << 20), body = BUF_INIT(64 << 20);
	struct intake_batch b = { .statement = str_of(clickhouse_insert(CLICKHOUSE_HOST)),
				  .spool = STR(SPOOL),
				  .may = may,
				  .ctx = "h1" };
	char name[64], why[INTAKE_WHY_MAX];

	for (uint32_t i = 0; i < rows; i++) {
		struct store_host h = { .time_ns = (seq * 100 + i % days) * DAY_S * NSEC_PER_SEC,
					.lost = i };

		clickhouse_put_host(&bytes, str_of(host), &h);
	}
	assert_ok(spool_pack(&body, buf_str(&bytes)));
	snprintf(name, sizeof(name), "%016llx-host_1-%u", (unsigned long long)seq, rows);
	b.name = str_of(name);
	b.body = buf_str(&body);
	return intake_put(in, &b, ret_tag, why);
}

static uint64_t rows_waiting(void)
{
	char path[128];
	struct dirent **list;
	uint64_t rows = 0;
	int n;

	snprintf(path, sizeof(path), "%s/" INTAKE_SPOOL, rig_dir);
	n = scandir(path, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		struct spool_name name;

		if (spool_name_parse(str_of(list[i]->d_name), &name))
			rows += name.rows;
		free(list[i]);
	}
	free(list);
	return rows;
}

static void test_taken_once(void **state)
{
	struct intake *in = open_intake(1 << 30);
	struct spool_tag one, two, same;

	assert_int_equal(put(in, 1, 10, 1, "h1", &one), 0);
	assert_int_equal(put(in, 2, 20, 1, "h1", &two), 0);
	assert_int_equal(put(in, 1, 10, 1, "h1", &same), 0); /* while it is not committed yet */
	assert_false(intake_has(in, &one));
	assert_ok(intake_commit(in));
	assert_true(intake_has(in, &one) && intake_has(in, &two));
	assert_int_equal(put(in, 2, 20, 1, "h1", &same), 0);
	assert_ok(intake_commit(in));
	assert_int_equal(put(in, 3, 5, 1, "h1", &same), 0); /* and is lost with the process */
	intake_free(in);
	in = open_intake(1 << 30); /* what was committed is known again, by its journal */
	assert_int_equal(rows_waiting(), 30);
	assert_true(intake_has(in, &one) && intake_has(in, &two));
	assert_false(intake_has(in, &same));
	intake_free(in);
	in = open_intake(1 << 30); /* and without one, by the file */
	assert_true(intake_has(in, &one) && intake_has(in, &two));
	assert_int_equal(put(in, 1, 10, 1, "h1", &same), 0);
	assert_ok(intake_commit(in));
	intake_free(in);
	intake_free(open_intake(1 << 30));
	assert_int_equal(rows_waiting(), 30);
}

static void test_refused_batches(void **state)
{
	struct intake *in = open_intake(1 << 20);
	struct intake_stats st;
	struct spool_tag t;

	assert_int_equal(put(in, 1, 10, 1, "h2", &t), 403);
	assert_int_equal(put(in, 1, 10, 9, "h1", &t), 400);
	assert_int_equal(put(in, 1, 10, 8, "h1", &t), 0);
	assert_int_equal(put(in, 2, SPOOL_BATCH_ROWS, 1, "h1", &t), 503); /* is full */
	assert_ok(intake_commit(in));
	intake_stats(in, &st);
	assert_int_equal(st.refused, 2);
	assert_int_equal(st.busy, 1);
	assert_int_equal(st.rows, 10);
	intake_free(in);
}

/* A block of few days and rows, whatever comes. */
static void test_closes_in_time(void **state)
{
	struct intake *in = open_intake(1 << 30);
	struct intake_stats st;
	struct spool_tag t;

	for (uint64_t i = 1; i <= 8; i++)
		assert_int_equal(put(in, i, 8, 8, "h1", &t), 0);
	intake_stats(in, &st);
	assert_int_equal(st.spool.waiting_files, 0);
	assert_int_equal(put(in, 9, 8, 8, "h1", &t), 0); /* the 65th day */
	intake_stats(in, &st);
	assert_int_equal(st.spool.waiting_files, 1);
	assert_int_equal(rows_waiting(), 64);
	assert_ok(intake_commit(in));
	assert_int_equal(put(in, 10, SPOOL_BATCH_ROWS - 4, 1, "h1", &t), 0);
	assert_ok(intake_commit(in));
	assert_int_equal(rows_waiting(), 72);
	intake_free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ranges, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_too_many_ranges, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_had_on_disk, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_too_many_spools, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_taken_once, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_refused_batches, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_closes_in_time, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
