/* SPDX-License-Identifier: Apache-2.0 */
#include "store/retention.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/pieces.h"
#include "store/read_day.h"
#include "store/read_files.h"
#include "store/sums_write.h"

#define PATH_SIZE 512
#define JUMP_NS (3600 * NSEC_PER_SEC)

/* All that lies in the folder, files that were set aside included. */
static uint64_t bytes_of(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	uint64_t bytes = 0;
	struct stat st;

	while (d && (e = readdir(d)))
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_blocks * 512;
	if (d)
		closedir(d);
	return bytes;
}

static void remove_file(const char *dir, const char *name)
{
	static const char *const tails[] = { "", "-wal", "-shm", "-journal" };
	char path[PATH_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", dir, name, tails[i]);
		unlink(path);
	}
}

static void remove_day(const char *dir, int64_t day)
{
	char name[DAY_NAME_MAX];

	remove_file(dir, day_file_name(day, name));
}

/* What was set aside is for somebody to look at, but not for ever, and not while there is no room for what is good. */
static void remove_damaged(const char *dir, uint64_t before_ns)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	uint64_t s;

	while (d && (e = readdir(d))) {
		const char *at = strstr(e->d_name, ".db.damaged-");
		struct str number = at ? str_of(at + strlen(".db.damaged-")) : STR_NONE, digits;

		if (str_cut(&number, '-', &digits) && str_parse_u64(digits, &s) == 0 &&
		    s < before_ns / NSEC_PER_SEC)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* Makes rows of what is over, and forgets minutes and hours. 0 or -errno. */
static int tend_month(const struct store_config *cfg, int64_t month, uint64_t now_ns,
		      int64_t minutes_s, int64_t hours_s)
{
	char error[DB_ERROR_MAX];
	struct sums *s = NULL;
	int r = sums_open(&s, cfg->dir, month, error);

	if (r == 0)
		r = sums_roll(s, (int64_t)(now_ns / NSEC_PER_SEC) - PIECE_LATE_US / 1000000);
	if (r == 0)
		r = sums_forget(s, minutes_s, hours_s);
	sums_close(s);
	return r;
}

static int64_t seconds_before(uint64_t now_ns, uint64_t ns)
{
	return now_ns > ns ? (int64_t)((now_ns - ns) / NSEC_PER_SEC) : 0;
}

/* What is older than it may get. */
static void forget_old(const struct store_config *cfg, uint64_t now_ns, int64_t open_day)
{
	int64_t today = (int64_t)(now_ns / NSEC_PER_SEC) / 86400, oldest;
	struct store_files files;
	char name[MONTH_NAME_MAX];

	if (cfg->flows_ns && store_files(cfg->dir, day_file_parse, &files) == 0) {
		oldest = seconds_before(now_ns, cfg->flows_ns) / 86400;
		for (size_t i = 0; i < files.n; i++)
			if (files.v[i] < oldest && files.v[i] != open_day && files.v[i] < today)
				remove_day(cfg->dir, files.v[i]);
		remove_damaged(cfg->dir, now_ns - MIN(now_ns, cfg->flows_ns));
	}
	if (!cfg->rollups_ns || store_files(cfg->dir, month_file_parse, &files) < 0)
		return;
	oldest = month_of_day(seconds_before(now_ns, cfg->rollups_ns) / 86400);
	for (size_t i = 0; i < files.n; i++)
		if (files.v[i] < oldest)
			remove_file(cfg->dir, month_file_name(files.v[i], name));
}

/* Sums lose their minutes and hours with age. */
static void tend_months(const struct store_config *cfg, uint64_t now_ns, int64_t minutes_s,
			int64_t hours_s)
{
	struct store_files files;

	if (store_files(cfg->dir, month_file_parse, &files) < 0)
		return;
	for (size_t i = 0; i < files.n; i++)
		tend_month(cfg, files.v[i], now_ns, minutes_s, hours_s);
}

/* What is too much: set aside, then days of pieces, then minutes, then hours. */
static void forget_much(const struct store_config *cfg, uint64_t now_ns, int64_t open_day)
{
	struct store_files files;

	if (!cfg->max_bytes || bytes_of(cfg->dir) <= cfg->max_bytes)
		return;
	remove_damaged(cfg->dir, UINT64_MAX);
	if (store_files(cfg->dir, day_file_parse, &files) < 0)
		return;
	for (size_t i = 0; i < files.n && bytes_of(cfg->dir) > cfg->max_bytes; i++)
		if (files.v[i] != open_day)
			remove_day(cfg->dir, files.v[i]);
	if (bytes_of(cfg->dir) > cfg->max_bytes)
		tend_months(cfg, now_ns, INT64_MAX, 0);
	if (bytes_of(cfg->dir) > cfg->max_bytes)
		tend_months(cfg, now_ns, INT64_MAX, INT64_MAX);
}

/* A clock that is an hour further than the time that passed may be wrong: nothing is thrown away for its age until an hour later. */
static bool clock_is_doubtful(struct retention *r, uint64_t now_ns)
{
	uint64_t boot_ns = time_now_boot(), offset = now_ns - boot_ns;

	if (r->clock_offset_ns && offset > r->clock_offset_ns + JUMP_NS)
		r->doubt_until_ns = boot_ns + JUMP_NS;
	r->clock_offset_ns = offset;
	return boot_ns < r->doubt_until_ns;
}

static uint64_t oldest_piece(const char *dir)
{
	char name[DAY_NAME_MAX], path[PATH_SIZE], error[DB_ERROR_MAX];
	struct store_files files;
	uint64_t ns = 0;

	if (store_files(dir, day_file_parse, &files) < 0)
		return 0;
	for (size_t i = 0; !ns && i < files.n; i++) {
		struct day *d = NULL;

		snprintf(path, sizeof(path), "%s/%s", dir, day_file_name(files.v[i], name));
		if (day_open(&d, path, error) == 0)
			ns = day_first_ns(d);
		day_close(d);
	}
	return ns;
}

void retention_run(struct retention *r, const struct store_config *cfg, uint64_t now_ns,
		   int64_t open_day)
{
	if (!clock_is_doubtful(r, now_ns)) {
		forget_old(cfg, now_ns, open_day);
		tend_months(cfg, now_ns, seconds_before(now_ns, STORE_MINUTES_NS),
			    seconds_before(now_ns, STORE_HOURS_NS));
	}
	forget_much(cfg, now_ns, open_day);
	r->disk_bytes = bytes_of(cfg->dir);
	r->oldest_ns = oldest_piece(cfg->dir);
}
