/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to history when it is killed, when the disk is full, and when its files are damaged, old, or somebody else's. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store_rig.h"
#include "store_sums_rig.h"

#define DAY0 ((int64_t)(T0_S / 86400))

static uint64_t next_flow;

/* `n` rows, a second apart, from `from_ns` on. */
static void put_rows(struct store *s, uint64_t from_ns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct store_row row =
			dice_row(from_ns + i * NSEC_PER_SEC, (T0_S * 1000 << 12) + ++next_flow);

		store_put(s, &row);
	}
}

static size_t count_pieces(void)
{
	struct store_reader *r = rig_reader();
	struct rows got = ROWS_INIT;

	assert_ok(store_read_pieces(r, rig_all, NULL, false, on_row, &got));
	assert_int_equal(store_reader_skipped(r), 0);
	store_reader_close(r);
	buf_done(&got.bytes);
	return got.n;
}

static char *path_of(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", rig_dir, name);
	return path;
}

static char *path_of_day(int64_t day, char path[128])
{
	char name[DAY_NAME_MAX];

	return path_of(day_file_name(day, name), path);
}

static char *path_of_month(char path[128])
{
	char name[MONTH_NAME_MAX];

	return path_of(month_file_name(month_of_day(DAY0), name), path);
}

static unsigned count_files(const char *part)
{
	DIR *d = opendir(rig_dir);
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(d)))
		n += strstr(e->d_name, part) != NULL;
	closedir(d);
	return n;
}

/* ---- killed ---- */

/* Writes until it is killed, and says how far it is known to be. */
static void write_for_ever(int say, uint64_t from_ns)
{
	struct store *s = rig_open();
	uint32_t told = 0;

	for (unsigned i = 0;; i++) {
		put_rows(s, from_ns + i * 10 * NSEC_PER_SEC, 10);
		if (i % 4 == 3 && store_flush(s, 5 * NSEC_PER_SEC) == 0) {
			told = 10 * (i + 1);
			if (write(say, &told, sizeof(told)) != sizeof(told))
				_exit(1);
		}
	}
}

static void test_kill(void **state)
{
	size_t before = 0;

	for (unsigned round = 0; round < 6; round++) {
		uint64_t from_ns = T0_S * NSEC_PER_SEC + round * 40000 * NSEC_PER_SEC;
		uint32_t told = 0, least = 40 + dice(400);
		struct store *s;
		int says[2], status;
		size_t after;
		pid_t pid;

		assert_ok(pipe2(says, O_CLOEXEC));
		pid = fork();
		if (pid == 0) {
			next_flow = round * 100000;
			write_for_ever(says[1], from_ns);
		}
		close(says[1]);
		while (told < least && read(says[0], &told, sizeof(told)) == sizeof(told))
			;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		while (read(says[0], &told, sizeof(told)) == sizeof(told))
			;
		close(says[0]);
		after = count_pieces();
		assert_in_range(after - before, told, told + 2000);
		/* The next life begins with one row of its own, and with sums that are whole. */
		s = rig_open();
		put_rows(s, from_ns + 30000 * NSEC_PER_SEC, 1);
		assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
		store_close(s);
		before = count_pieces();
		assert_int_equal(before, after + 1);
		assert_sums_agree();
	}
}

/* Between the two commits: pieces are there, sums are not. As if killed there, sums catch up; and never count twice. */
static void test_sums_catch_up(void **state)
{
	struct store *s = rig_open();
	sqlite3 *db = NULL;
	char path[128], error[DB_ERROR_MAX];

	put_rows(s, T0_S * NSEC_PER_SEC, 300);
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	assert_ok(db_open(&db, path_of_month(path), &db_sums, DB_WRITE, error));
	assert_ok(db_exec(db, "BEGIN EXCLUSIVE")); /* longer than the store waits */
	put_rows(s, (T0_S + 300) * NSEC_PER_SEC, 300);
	assert_ok(store_flush(s, 20 * NSEC_PER_SEC));
	assert_int_equal(count_pieces(), 600);
	assert_ok(db_exec(db, "ROLLBACK"));
	db_close(db);
	put_rows(s, (T0_S + 600) * NSEC_PER_SEC, 300);
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	assert_sums_agree();
	store_close(s);
	assert_sums_agree();
}

/* ---- a clock that is set ---- */

static void test_clock_set_back(void **state)
{
	struct store *s = rig_open();
	uint64_t t = (T0_S + 5 * 86400) * NSEC_PER_SEC;
	char path[128];

	put_rows(s, t + HOUR_NS, 200);
	put_rows(s, t, 200);                            /* an hour back, the same day */
	put_rows(s, t - 6 * 86400 * NSEC_PER_SEC, 200); /* into the month before */
	put_rows(s, t + 2 * HOUR_NS, 200);
	store_close(s);
	assert_int_equal(count_pieces(), 800);
	assert_ok(access(path_of_day(DAY0 + 5, path), F_OK));
	assert_ok(access(path_of_day(DAY0 - 1, path), F_OK));
	assert_sums_agree();
}

/* ---- damage ---- */

static void overwrite(const char *path, off_t at, size_t n)
{
	_cleanup_close_ int fd = open(path, O_WRONLY);
	char noise[8192];

	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)dice(256);
	for (size_t done = 0; done < n; done += sizeof(noise))
		assert_true(pwrite(fd, noise, MIN(sizeof(noise), n - done), at + (off_t)done) > 0);
}

static void hurt_all(const char *path)
{
	struct stat st;

	assert_ok(stat(path, &st));
	overwrite(path, 0, (size_t)st.st_size);
}

static void hurt_half(const char *path)
{
	struct stat st;

	assert_ok(stat(path, &st));
	assert_ok(truncate(path, st.st_size / 2 + 100));
}

static void hurt_schema(const char *path)
{
	overwrite(path, 100, 8000);
}

static void hurt_to_nothing(const char *path)
{
	assert_ok(truncate(path, 0));
}

static void hurt_to_text(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "w");

	fputs("this is not a database\n", f);
}

static void hurt_version(const char *path)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_ok(db_exec(db, "PRAGMA user_version=99"));
	db_close(db);
}

static void hurt_tables(const char *path)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "DROP TABLE piece", NULL, NULL,
		     NULL); /* of one kind of file or the other */
	sqlite3_exec(db, "DROP TABLE sum", NULL, NULL, NULL);
	db_close(db);
}

static void hurt_application(const char *path)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_ok(db_exec(db, "PRAGMA application_id=7"));
	db_close(db);
}

static const struct {
	const char *name;
	void (*hurt)(const char *path);
	bool aside; /* it is noticed; an empty file is a new one */
} hurts[] = {
	{ "all of it", hurt_all, true },           { "half of it is missing", hurt_half, true },
	{ "its tables' page", hurt_schema, true }, { "empty", hurt_to_nothing, false },
	{ "a text", hurt_to_text, true },          { "of a newer egret", hurt_version, true },
	{ "without tables", hurt_tables, true },   { "somebody else's", hurt_application, true },
};

/* The day's file is hurt between two lives: what it had is set aside, what comes is kept, sums stay. */
static void test_damaged_day(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(hurts); i++) {
		struct store_stats stats;
		struct store *s = rig_open();
		char path[128];

		put_rows(s, T0_S * NSEC_PER_SEC, 500);
		store_close(s);
		hurts[i].hurt(path_of_day(DAY0, path));
		s = rig_open();
		put_rows(s, (T0_S + 600) * NSEC_PER_SEC, 50);
		if (store_flush(s, 10 * NSEC_PER_SEC) < 0)
			fail_msg("%s: not written", hurts[i].name);
		store_stats(s, &stats);
		assert_int_equal(stats.rows, 50);
		assert_int_equal(stats.lost_queue + stats.lost_write, 0);
		store_close(s);
		if (count_pieces() != 50 || (count_files("damaged") > 0) != hurts[i].aside ||
		    (stats.damaged > 0) != hurts[i].aside)
			fail_msg("%s: %zu pieces, %u set aside, %d told", hurts[i].name,
				 count_pieces(), count_files("damaged"), (int)stats.damaged);
		rig_teardown(state);
		assert_ok(mkdir(rig_dir, 0700));
	}
}

/* The month's file is hurt: sums are made anew from the pieces that are there, of this day and others. */
static void test_damaged_month(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(hurts); i++) {
		struct store_stats stats;
		struct store *s = rig_open();
		char path[128];

		put_rows(s, T0_S * NSEC_PER_SEC, 300);
		put_rows(s, (T0_S + 2 * 86400) * NSEC_PER_SEC, 300);
		store_close(s);
		hurts[i].hurt(path_of_month(path));
		s = rig_open();
		for (unsigned k = 0; k < 3;
		     k++) { /* the first may find it, the next makes it good */
			put_rows(s, (T0_S + 2 * 86400 + 600 + 20 * k) * NSEC_PER_SEC, 10);
			assert_ok(store_flush(s, 10 * NSEC_PER_SEC));
		}
		usleep(1300000); /* other days' sums are looked at by the house-keeping, once a second */
		store_stats(s, &stats);
		store_close(s);
		if ((stats.damaged > 0) != hurts[i].aside)
			fail_msg("%s: %d told", hurts[i].name, (int)stats.damaged);
		assert_int_equal(count_pieces(), 630);
		assert_sums_agree();
		rig_teardown(state);
		assert_ok(mkdir(rig_dir, 0700));
	}
}

/* Sums of a key that is not there, and whose number is the size of a gigabyte: damage, told, and no memory for it. */
static void test_key_that_is_not_there(void **state)
{
	struct rusage before, after;
	struct store *s = rig_open();
	struct store_reader *r;
	sqlite3 *db = NULL;
	char path[128];

	put_rows(s, T0_S * NSEC_PER_SEC, 300);
	put_rows(s, (T0_S + 2 * 86400) * NSEC_PER_SEC, 300); /* then those before are packed */
	store_close(s);
	assert_int_equal(sqlite3_open(path_of_month(path), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE sum SET data = x'C0C3930700000000000000'", NULL,
				      NULL, NULL),
			 SQLITE_OK);
	assert_true(sqlite3_changes(db) > 0);
	db_close(db);
	getrusage(RUSAGE_SELF, &before);
	r = rig_reader();
	have.n = 0;
	assert_ok(store_read_sums(r, STORE_HOUR, rig_all, false, on_sum, &have));
	assert_true(store_reader_skipped(r) > 0);
	store_reader_close(r);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10);
}

/* Random bytes anywhere, read while they are so: an answer or none, never a crash; and what can be written is. */
static void test_random_bytes(void **state)
{
	for (unsigned i = 0; i < 12; i++) {
		struct store *s = rig_open();
		struct store_reader *r;
		struct rows got = ROWS_INIT;
		struct stat st;
		char path[128];

		put_rows(s, T0_S * NSEC_PER_SEC, 400);
		store_close(s);
		for (unsigned k = 0; k < 1 + i % 4; k++) {
			path_of_day(DAY0, path);
			assert_ok(stat(i % 2 ? path : path_of_month(path), &st));
			overwrite(path, dice((uint32_t)st.st_size), 1 + dice(64));
		}
		r = rig_reader();
		assert_ok(store_read_pieces(r, rig_all, NULL, i % 3, on_row, &got));
		assert_ok(store_read_pieces(r, rig_all,
					    &(struct store_hint){ .name_below = STR("org") }, false,
					    on_row, &got));
		have.n = 0;
		assert_ok(store_read_sums(r, STORE_HOUR, rig_all, i % 2, on_sum, &have));
		store_reader_close(r);
		buf_done(&got.bytes);
		s = rig_open();
		put_rows(s, (T0_S + 1000) * NSEC_PER_SEC, 100);
		assert_ok(store_flush(s, 10 * NSEC_PER_SEC));
		store_close(s);
		rig_teardown(state);
		assert_ok(mkdir(rig_dir, 0700));
	}
}

/* ---- no room ---- */

static void test_full_disk(void **state)
{
	struct store_stats stats;
	struct store *s;
	char path[128];
	static const char ballast[4096];
	int fd, tries = 0;

	if (mount("none", rig_dir, "tmpfs", 0, "size=3m") < 0)
		skip();
	s = rig_open_with((struct store_config){ .queue_bytes = 2 << 20 });
	put_rows(s, T0_S * NSEC_PER_SEC, 100);
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	fd = open(path_of("ballast", path), O_WRONLY | O_CREAT, 0600);
	while (write(fd, ballast, sizeof(ballast)) > 0)
		;
	close(fd);
	put_rows(s, (T0_S + 100) * NSEC_PER_SEC, 2000);
	assert_err(store_flush(s, 3 * NSEC_PER_SEC), -ETIMEDOUT);
	store_stats(s, &stats);
	assert_non_null(strstr(stats.problem, "No space"));
	assert_true(stats.queued_bytes > 0);
	assert_int_equal(stats.lost_queue + stats.lost_write, 0);
	/* It waits for room as long as the queue has some, and counts the rest. */
	put_rows(s, (T0_S + 2100) * NSEC_PER_SEC, 20000);
	store_stats(s, &stats);
	assert_true(stats.lost_queue > 0);
	unlink(path_of("ballast", path));
	assert_ok(mount("none", rig_dir, "tmpfs", MS_REMOUNT, "size=64m"));
	assert_ok(store_flush(s, 10 * NSEC_PER_SEC));
	do { /* the house-keeping takes the words back */
		usleep(100000);
		store_stats(s, &stats);
	} while (stats.problem[0] && ++tries < 30);
	assert_string_equal(stats.problem, "");
	assert_int_equal(stats.rows + stats.lost_queue, 22100);
	store_close(s);
	assert_int_equal(count_pieces(), stats.rows);
	assert_ok(umount(rig_dir));
}

static void test_locked(void **state)
{
	struct store *s = rig_open();
	struct store_stats stats;
	sqlite3 *db = NULL;
	char path[128], error[DB_ERROR_MAX];

	put_rows(s, T0_S * NSEC_PER_SEC, 100);
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	assert_ok(db_open(&db, path_of_day(DAY0, path), &db_flows, DB_WRITE, error));
	assert_ok(db_exec(db, "BEGIN EXCLUSIVE"));
	put_rows(s, (T0_S + 100) * NSEC_PER_SEC, 100);
	assert_err(store_flush(s, 4 * NSEC_PER_SEC), -ETIMEDOUT);
	store_stats(s, &stats);
	assert_true(stats.problem[0]);
	assert_ok(db_exec(db, "COMMIT"));
	db_close(db);
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	store_close(s);
	assert_int_equal(count_pieces(), 200);
	assert_sums_agree();
}

static void test_no_folder(void **state)
{
	struct store *s;
	struct store_stats stats;
	char path[128], dir[64];

	close(open(path_of("file", path), O_WRONLY | O_CREAT, 0600));
	memcpy(dir, rig_dir, sizeof(dir));
	snprintf(rig_dir + strlen(rig_dir), 16, "/file");
	s = rig_open();
	put_rows(s, T0_S * NSEC_PER_SEC, 10);
	assert_err(store_flush(s, 2 * NSEC_PER_SEC), -ETIMEDOUT);
	store_stats(s, &stats);
	assert_true(stats.problem[0]);
	unlink(path);
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	store_close(s);
	assert_int_equal(count_pieces(), 10);
	memcpy(rig_dir, dir, sizeof(dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kill, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_sums_catch_up, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_clock_set_back, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_day, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_month, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_key_that_is_not_there, rig_setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(test_random_bytes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_locked, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_no_folder, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
