// SPDX-License-Identifier: Apache-2.0
/* The spool: what was committed is there once, whenever it is killed; it is bounded and counts what it gives up. */
#include <signal.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/hash.h"
#include "store/spool.h"
#include "store/spool_pack.h"
#include "store_rig.h"

#define LOW 0
#define HIGH 1
#define SECONDS(n) ((n)*NSEC_PER_SEC)

static uint64_t boot_ns; /* of keep_house: begins far from 0 */

static struct spool *open_spool(uint64_t max_bytes)
{
	struct spool_config cfg = { .dir = rig_dir,
				    .kinds = { { "low", "INSERT low", 0 },
					       { "high", "INSERT high", 1 } },
				    .n_kinds = 2,
				    .max_bytes = max_bytes,
				    .sent_ns = SECONDS(600) };
	struct spool *s = NULL;

	assert_ok(spool_open(&s, &cfg));
	return s;
}

static void put(struct spool *s, size_t kind, uint32_t n)
{
	struct buf *out = spool_begin(s, kind);

	assert_non_null(out);
	buf_put(out, &n, sizeof(n));
	assert_ok(spool_row(s, kind));
}

/* Closes what is open: a batch is closed at an age. */
static void keep_house(struct spool *s, uint64_t later_ns)
{
	boot_ns = MAX(boot_ns, time_now_boot()) + later_ns;
	assert_ok(spool_keep_house(s, boot_ns));
}

static struct spool_stats stats_of(struct spool *s)
{
	struct spool_stats st;

	spool_stats(s, &st);
	return st;
}

/* Names in a folder of the spool, sorted. */
static size_t names_of(const char *below, char names[][SPOOL_NAME_MAX], size_t max)
{
	char path[128];
	struct dirent **list;
	int n, found = 0;

	snprintf(path, sizeof(path), "%s/%s", rig_dir, below);
	n = scandir(path, &list, NULL, alphasort);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		struct spool_name name;

		if (spool_name_parse(str_of(list[i]->d_name), &name)) {
			assert_true((size_t)found < max);
			snprintf(names[found++], SPOOL_NAME_MAX, "%.63s", list[i]->d_name);
		}
		free(list[i]);
	}
	free(list);
	return (size_t)found;
}

/* Numbers of the rows of a batch, appended; its head is checked. */
static void read_batch(const char *name, const char *head, struct buf *out)
{
	_cleanup_buf_ struct buf file = BUF_INIT(1 << 24);
	_cleanup_close_ int dir = file_open_folder(rig_dir);
	struct str body, line;

	assert_ok(file_read(dir, name, &file));
	body = buf_str(&file);
	assert_true(str_cut(&body, '\n', &line));
	assert_str(line, head);
	assert_ok(spool_unpack(out, body));
}

/* All batches of `low` that wait hold first, first + 1, … : how many. */
static uint32_t rows_from(uint32_t first)
{
	_cleanup_buf_ struct buf rows = BUF_INIT(1 << 26);
	char names[256][SPOOL_NAME_MAX];
	size_t n = names_of(".", names, 256);
	uint32_t got;

	for (size_t i = 0; i < n; i++)
		read_batch(names[i], "INSERT low", &rows);
	for (size_t i = 0; i < rows.n / sizeof(got); i++) {
		memcpy(&got, rows.p + i * sizeof(got), sizeof(got));
		assert_int_equal(got, first + i);
	}
	return (uint32_t)(rows.n / sizeof(got));
}

static void test_a_batch_is_closed_by_age(void **state)
{
	struct spool *s = open_spool(1 << 30);
	char names[4][SPOOL_NAME_MAX];

	for (uint32_t i = 0; i < 10; i++)
		put(s, LOW, i);
	assert_int_equal(stats_of(s).waiting, 0); /* nothing was committed */
	assert_ok(spool_commit(s));
	assert_int_equal(stats_of(s).waiting, 10);
	keep_house(s, SECONDS(1));
	assert_int_equal(names_of(".", names, 4), 0);
	keep_house(s, SECONDS(5));
	assert_int_equal(names_of(".", names, 4), 1);
	assert_string_equal(names[0], "0000000000000001-low-10");
	assert_int_equal(rows_from(0), 10);
	assert_int_equal(stats_of(s).waiting, 10);
	assert_int_equal(stats_of(s).waiting_files, 1);
	spool_close(s);
}

static void test_a_batch_is_closed_by_size(void **state)
{
	struct spool *s = open_spool(1 << 30);
	char names[4][SPOOL_NAME_MAX];

	for (uint32_t i = 0; i < SPOOL_BATCH_ROWS; i++)
		put(s, LOW, i);
	assert_null(spool_begin(s, LOW)); /* commit first */
	assert_non_null(spool_begin(s, HIGH));
	assert_ok(spool_commit(s));
	assert_int_equal(names_of(".", names, 4), 1);
	assert_int_equal(rows_from(0), SPOOL_BATCH_ROWS);
	put(s, LOW, 1);
	spool_close(s);
}

static void test_what_is_not_committed_is_forgotten(void **state)
{
	struct spool *s = open_spool(1 << 30);

	put(s, LOW, 0);
	assert_ok(spool_commit(s));
	put(s, LOW, 99);
	spool_abort(s);
	put(s, LOW, 1);
	assert_ok(spool_commit(s));
	put(s, LOW, 98); /* and then killed */
	spool_close(s);
	s = open_spool(1 << 30);
	assert_int_equal(rows_from(0), 2);
	assert_int_equal(stats_of(s).waiting, 2);
	spool_close(s);
}

static void test_a_row_that_does_not_fit(void **state)
{
	struct spool *s = open_spool(1 << 30);
	char *large = calloc(1, 40 << 20);

	put(s, LOW, 0);
	buf_put(spool_begin(s, LOW), large, 40 << 20);
	assert_err(spool_row(s, LOW), -E2BIG);
	put(s, LOW, 1);
	assert_ok(spool_commit(s));
	free(large);
	spool_close(s);
	s = open_spool(1 << 30);
	assert_int_equal(rows_from(0), 2);
	spool_close(s);
}

/* A frame that is cut or damaged ends what is taken of a journal; what stands before it is there. */
static void test_a_torn_journal(void **state)
{
	char path[128];
	struct spool *s;
	FILE *f;

	for (int how = 0; how < 3; how++) {
		s = open_spool(1 << 30);
		put(s, LOW, 0);
		assert_ok(spool_commit(s));
		put(s, LOW, 1);
		assert_ok(spool_commit(s));
		spool_close(s);
		snprintf(path, sizeof(path), "%s/open-low", rig_dir);
		if (how == 0) { /* half of a third one */
			f = fopen(path, "a");
			assert_non_null(f);
			fwrite("\4\0\0\0\1\0\0\0abcdefgh12", 1, 18, f);
			fclose(f);
		} else if (how == 1) { /* the second is short */
			assert_int_equal(truncate(path, 16 + 20 + 19), 0);
		} else { /* a bit of the second is wrong */
			f = fopen(path, "r+");
			assert_non_null(f);
			fseek(f, -1, SEEK_END);
			fputc(1, f);
			fclose(f);
		}
		s = open_spool(1 << 30);
		assert_int_equal(rows_from(0), how == 0 ? 2 : 1);
		spool_close(s);
		assert_int_equal(rig_teardown(NULL), 0);
		assert_int_equal(rig_setup(NULL), 0);
	}
}

#define WIDE 1000 /* bytes of a row, so that a commit of many is packed at once */

static void put_wide(struct spool *s, uint32_t from, uint32_t to)
{
	char row[WIDE] = { 0 };

	for (uint32_t i = from; i < to; i++) {
		memcpy(row, &i, sizeof(i));
		buf_put(spool_begin(s, LOW), row, sizeof(row));
		assert_ok(spool_row(s, LOW));
	}
}

/* Rows of the one batch that waits; small and large commits come in no order. */
static void assert_wide(const char *name, uint32_t n)
{
	_cleanup_buf_ struct buf rows = BUF_INIT(1 << 26);
	_cleanup_free_ bool *seen = calloc(n, sizeof(*seen));
	uint32_t is;

	read_batch(name, "INSERT low", &rows);
	assert_int_equal(rows.n, n * WIDE);
	for (size_t at = 0; at < rows.n; at += WIDE) {
		memcpy(&is, rows.p + at, sizeof(is));
		assert_true(is < n && !seen[is]);
		seen[is] = true;
	}
}

static void test_large_commits_are_packed_at_once(void **state)
{
	struct spool *s = open_spool(1 << 30);

	put_wide(s, 0, 3);
	assert_ok(spool_commit(s));
	put_wide(s, 3, 500);
	assert_ok(spool_commit(s));
	assert_true(stats_of(s).bytes < 40000);
	put_wide(s, 500, 510);
	assert_ok(spool_commit(s));
	put_wide(s, 900, 1500); /* taken back */
	spool_abort(s);
	put_wide(s, 510, 1100);
	assert_ok(spool_commit(s));
	put_wide(s, 1100, 1700); /* and then killed */
	spool_close(s);
	s = open_spool(1 << 30);
	assert_int_equal(stats_of(s).waiting, 1100);
	assert_wide("0000000000000001-low-1100", 1100);
	put_wide(s, 0, 2000);
	assert_ok(spool_commit(s));
	keep_house(s, SECONDS(6));
	assert_wide("0000000000000002-low-2000", 2000);
	spool_close(s);
}

/* The limit of a batch is that of its rows, unpacked. */
static void test_packed_rows_fill_a_batch(void **state)
{
	struct spool *s = open_spool(1 << 30);
	char names[4][SPOOL_NAME_MAX];
	uint32_t n = 0;

	while (!names_of(".", names, 4)) {
		for (uint32_t to = n + 400; n < to && spool_begin(s, LOW); n++)
			put_wide(s, n, n + 1);
		assert_ok(spool_commit(s));
	}
	assert_wide(names[0], n);
	assert_int_equal(n, SPOOL_BATCH_BYTES / WIDE + 1);
	spool_close(s);
}

/* As an egretd of before wrote it. */
static void test_a_journal_of_an_earlier_egretd(void **state)
{
	struct {
		uint64_t magic, seq;
		uint32_t n, rows;
		uint64_t hash;
		uint32_t row;
	} __attribute__((packed)) journal = { 0x316c6f6f70736765ULL, 7, 4, 1, 0, 0 };
	_cleanup_close_ int dir = file_open_folder(rig_dir);
	struct spool *s;

	journal.hash = hash_bytes(&journal.row, sizeof(journal.row), 0);
	assert_ok(file_replace(dir, "open-low", (struct str){ (char *)&journal, sizeof(journal) },
			       STR_NONE));
	s = open_spool(1 << 30);
	assert_int_equal(stats_of(s).waiting, 1);
	assert_int_equal(rows_from(0), 1);
	spool_close(s);
}

/* A kind that cannot be written takes the others with it: what is given again is not there twice. */
static void test_all_kinds_or_none(void **state)
{
	_cleanup_close_ int dir = file_open_folder(rig_dir);
	struct spool *s = open_spool(1 << 30);

	assert_int_equal(mkdirat(dir, "open-high", 0700), 0); /* in the place of its journal */
	put(s, LOW, 0);
	put(s, HIGH, 0);
	assert_err(spool_commit(s), -EISDIR);
	spool_abort(s);
	assert_int_equal(stats_of(s).waiting, 0);
	assert_int_equal(unlinkat(dir, "open-high", AT_REMOVEDIR), 0);
	put(s, LOW, 0);
	put(s, HIGH, 0);
	assert_ok(spool_commit(s));
	assert_int_equal(stats_of(s).waiting, 2);
	spool_close(s);
	s = open_spool(1 << 30);
	assert_int_equal(stats_of(s).waiting, 2);
	spool_close(s);
}

/* Old enough while rows wait for their commit: they go with it, and count. */
static void test_closed_between_commits(void **state)
{
	char names[4][SPOOL_NAME_MAX];
	struct spool *s = open_spool(1 << 30);

	put(s, LOW, 0);
	assert_ok(spool_commit(s));
	put(s, LOW, 1);
	keep_house(s, SECONDS(6));
	assert_int_equal(names_of(".", names, 4), 1);
	assert_string_equal(names[0], "0000000000000001-low-2");
	assert_int_equal(rows_from(0), 2);
	assert_int_equal(stats_of(s).waiting, 2);
	spool_close(s);
}

/* Killed between a batch's rename and the end of its journal: it is there once. */
static void test_killed_while_closing(void **state)
{
	_cleanup_close_ int dir = file_open_folder(rig_dir);
	_cleanup_buf_ struct buf journal = BUF_INIT(1 << 20);
	char sent[SPOOL_NAME_MAX + 8];
	char names[4][SPOOL_NAME_MAX];
	struct spool *s;

	for (int moved = 0; moved < 2; moved++) {
		s = open_spool(1 << 30);
		put(s, LOW, 7);
		assert_ok(spool_commit(s));
		buf_clear(&journal);
		assert_ok(file_read(dir, "open-low", &journal));
		keep_house(s, SECONDS(6));
		spool_close(s);
		assert_ok(file_replace(dir, "open-low", buf_str(&journal), STR_NONE));
		assert_int_equal(names_of(".", names, 4), 1);
		if (moved) { /* taken at once */
			snprintf(sent, sizeof(sent), "sent/%s", names[0]);
			assert_int_equal(renameat(dir, names[0], dir, sent), 0);
		}
		s = open_spool(1 << 30);
		assert_int_equal(names_of(".", names, 4), moved ? 0 : 1);
		assert_int_equal(stats_of(s).waiting, moved ? 0 : 1);
		assert_true(faccessat(dir, "open-low", F_OK, 0) < 0);
		spool_close(s);
		if (!moved)
			unlinkat(dir, names[0], 0);
	}
}

static void test_what_was_taken_is_kept_a_while(void **state)
{
	_cleanup_close_ int dir = file_open_folder(rig_dir);
	struct spool *s = open_spool(1 << 30);
	char names[4][SPOOL_NAME_MAX];

	put(s, LOW, 0);
	put(s, HIGH, 0);
	assert_ok(spool_commit(s));
	keep_house(s, SECONDS(6));
	assert_int_equal(names_of(".", names, 4), 2);
	assert_int_equal(renameat(dir, names[0], dir, "sent/0000000000000001-low-1"), 0);
	assert_int_equal(renameat(dir, names[1], dir, "refused/0000000000000002-high-1"), 0);
	keep_house(s, SECONDS(6));
	assert_int_equal(stats_of(s).waiting, 0);
	assert_int_equal(stats_of(s).sent_rows, 1);
	assert_int_equal(stats_of(s).refused, 1);
	assert_int_equal(stats_of(s).dropped, 0);
	keep_house(s, SECONDS(590));
	assert_int_equal(names_of("sent", names, 4), 1);
	keep_house(s, SECONDS(20));
	assert_int_equal(names_of("sent", names, 4), 0);
	assert_int_equal(names_of("refused", names, 4), 1); /* for whoever looks why */
	spool_close(s);
}

/* What was taken goes first, then what ranks low, the oldest first; the rest is counted. */
static void test_it_is_bounded(void **state)
{
	_cleanup_close_ int dir = file_open_folder(rig_dir);
	char names[64][SPOOL_NAME_MAX];
	struct spool *s = open_spool(60000);
	uint64_t dropped = 0;
	struct buf *out;
	char row[5000];
	size_t n;

	for (uint32_t i = 0; i < 20; i++) {
		for (size_t kind = 0; kind < 2; kind++) {
			for (size_t k = 0; k < sizeof(row); k++)
				row[k] = (char)dice(256);
			out = spool_begin(s, kind);
			buf_put(out, row, sizeof(row));
			assert_ok(spool_row(s, kind));
		}
		assert_ok(spool_commit(s));
		keep_house(s, SECONDS(61));
		assert_true(stats_of(s).bytes <= 60000);
		if (i == 0) /* one is taken */
			assert_int_equal(renameat(dir, "0000000000000001-low-1", dir,
						  "sent/0000000000000001-low-1"),
					 0);
		if (i == 5)
			assert_int_equal(stats_of(s).dropped,
					 0); /* room came from what was taken */
		assert_true(stats_of(s).dropped >= dropped);
		dropped = stats_of(s).dropped;
		assert_int_equal(stats_of(s).waiting + dropped, 2 * i + 1 + (i == 0));
	}
	n = names_of(".", names, 64);
	assert_int_equal(n, stats_of(s).waiting_files);
	for (size_t i = 0; i < n; i++) { /* of 20 low ones none is left; of the others the newest */
		assert_non_null(strstr(names[i], "-high-"));
		assert_true(strcmp(names[i], "0000000000000010") > 0);
	}
	spool_close(s);
	s = open_spool(30000); /* a smaller one: seen at the next start */
	keep_house(s, SECONDS(3));
	assert_true(stats_of(s).bytes <= 30000 && stats_of(s).waiting_files >= 5);
	spool_close(s);
}

/* Puts rows 0, 1, 2 … and tells after each commit how many there are, until it is killed. */
static _Noreturn void fill_until_killed(int fd, uint32_t first)
{
	struct spool *s = open_spool(1 << 30);
	uint32_t n = first;

	for (;;) {
		for (uint32_t i = 1 + dice(200); i; i--)
			put(s, LOW, n++);
		if (spool_commit(s) < 0 || write(fd, &n, sizeof(n)) != sizeof(n))
			_exit(1);
		if (!dice(5)) {
			boot_ns += SECONDS(6);
			if (spool_keep_house(s, time_now_boot() + SECONDS(6)) < 0)
				_exit(1);
		}
	}
}

static void test_killed_at_any_time(void **state)
{
	uint32_t have = 0;

	for (int round = 0; round < 25; round++) {
		int ends[2];
		pid_t pid;
		uint32_t told = have, last;

		assert_int_equal(pipe(ends), 0);
		rig_seed += 77;
		pid = fork();
		if (pid == 0)
			fill_until_killed(ends[1], have);
		close(ends[1]);
		usleep(1000 + dice(20000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(ends[0], &last, sizeof(last)) == sizeof(last))
			told = last;
		close(ends[0]);
		spool_close(open_spool(1 << 30)); /* the next run */
		have = rows_from(0);
		assert_true(have >= told); /* all that was committed, none of it twice */
	}
	assert_true(have > 1000);
}

static void test_names(void **state)
{
	struct spool_name n;

	assert_true(spool_name_parse(STR("00000000000000ff-flow_1-12"), &n));
	assert_int_equal(n.seq, 255);
	assert_int_equal(n.rows, 12);
	assert_str(n.kind, "flow_1");
	assert_false(spool_name_parse(STR("open-flow_1"), &n));
	assert_false(spool_name_parse(STR("00000000000000ff-flow_1-12.new"), &n));
	assert_false(spool_name_parse(STR("00000000000000ff-flow_1-0"), &n));
	assert_false(spool_name_parse(STR("0000000000000xff-flow_1-1"), &n));
	assert_false(spool_name_parse(STR("00000000000000ff--1"), &n));
	assert_false(spool_name_parse(STR("00000000000000ff-a-1-2"), &n));
}

static uint64_t tags_told;

static void on_tag(void *ctx, const struct spool_tag *tag)
{
	tags_told = tags_told * 10 + tag->seq;
}

static int closing_fails;

static int on_close(void *ctx)
{
	return closing_fails;
}

static struct spool *open_joining(void)
{
	struct spool_config cfg = { .dir = rig_dir,
				    .kinds = { { "low", "INSERT low", 0 } },
				    .n_kinds = 1,
				    .max_bytes = 1 << 30,
				    .sent_ns = SECONDS(600),
				    .on_tag = on_tag,
				    .on_close = on_close };
	struct spool *s = NULL;

	tags_told = 0;
	assert_ok(spool_open(&s, &cfg));
	return s;
}

static void add_batch(struct spool *s, uint32_t first, uint32_t rows, uint64_t seq)
{
	struct spool_tag tag = { .seq = seq };
	uint32_t n[16];

	for (uint32_t i = 0; i < rows; i++)
		n[i] = first + i;
	assert_ok(spool_add(s, 0, (struct str){ (const char *)n, rows * sizeof(*n) }, rows, &tag));
}

/* Batches of others: told when they hold, and again by the journal. */
static void test_batches_of_others(void **state)
{
	struct spool *s = open_joining();

	add_batch(s, 0, 10, 1);
	add_batch(s, 10, 5, 2);
	assert_int_equal(tags_told, 0);
	assert_ok(spool_commit(s));
	assert_int_equal(tags_told, 12);
	add_batch(s, 15, 3, 3);
	keep_house(
		s,
		SECONDS(120)); /* the third is not committed: so it is, before it is in a batch */
	assert_int_equal(stats_of(s).waiting_files, 1);
	assert_int_equal(tags_told, 123);
	assert_int_equal(rows_from(0), 18);
	add_batch(s, 18, 1, 4);
	spool_abort(s);
	add_batch(s, 18, 2, 5);
	assert_ok(spool_commit(s));
	spool_close(s);
	closing_fails =
		-ENOSPC; /* it cannot be kept elsewhere what the journal says: the journal stays */
	assert_err(spool_open(&s, &(struct spool_config){ .dir = rig_dir,
							  .kinds = { { "low", "INSERT low", 0 } },
							  .n_kinds = 1,
							  .on_close = on_close }),
		   -ENOSPC);
	closing_fails = 0;
	s = open_joining();
	assert_int_equal(tags_told, 5);
	assert_int_equal(rows_from(0), 20);
	spool_close(s);
	s = open_joining();
	assert_int_equal(tags_told, 0);
	spool_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		TEST(test_a_batch_is_closed_by_age),
		TEST(test_a_batch_is_closed_by_size),
		TEST(test_what_is_not_committed_is_forgotten),
		TEST(test_a_row_that_does_not_fit),
		TEST(test_a_torn_journal),
		TEST(test_large_commits_are_packed_at_once),
		TEST(test_packed_rows_fill_a_batch),
		TEST(test_a_journal_of_an_earlier_egretd),
		TEST(test_all_kinds_or_none),
		TEST(test_closed_between_commits),
		TEST(test_killed_while_closing),
		TEST(test_what_was_taken_is_kept_a_while),
		TEST(test_it_is_bounded),
		TEST(test_killed_at_any_time),
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_batches_of_others, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
