/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite store: which files are open, and what happens when one fails.
 *
 *     a row ─► the file of its day ─► commit ─► the file of that day's month: sums, and how far they are ─► commit
 *
 * Pieces come first: they are what was promised. Whatever keeps sums from being written (a kill between the two, damage, a full disk)
 * only leaves them behind, and they catch up from the pieces after their mark, so that no piece is summed twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/kind.h"
#include "store/pieces.h"
#include "store/read_day.h"
#include "store/read_files.h"
#include "store/retention.h"
#include "store/sums_write.h"

#define HOUSE_NS (60 * NSEC_PER_SEC)
#define CATCH_UP_ROWS 20000

struct sqlite {
	struct store_config cfg;
	struct pieces *pieces;
	bool begun; /* a transaction of pieces */
	struct sums *sums;
	bool behind; /* sums lack pieces of the open day: they are read from its file first */
	sqlite3 *findings;
	sqlite3_stmt *put_finding;
	bool findings_begun;
	bool days_checked; /* sums of all other days are known to be complete */
	uint64_t next_house_ns;
	struct retention retention;
	struct store_health health;
	char pieces_problem[256], sums_problem[256], findings_problem[256];
};

static uint64_t now(const struct sqlite *w)
{
	return w->cfg.now ? w->cfg.now() : time_now();
}

/* Remembers why, and moves what is damaged (or newer than we know) out of the way, so that the next try begins a new file. */
static int fail(struct sqlite *w, int r, const char *path, const char *error, char problem[256])
{
	w->health.errors++;
	snprintf(problem, 256, "%s: %s", path, error);
	if (r != -EBADMSG && r != -EPROTO)
		return r;
	w->health.damaged++;
	if (db_set_aside(path, now(w)) < 0)
		return -EACCES;
	snprintf(problem, 256, "%s %s; it was set aside", path, error);
	return r;
}

/* ---- opening and closing ---- */

static int sqlite_open(void **ret, const struct store_config *cfg)
{
	struct sqlite *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->cfg = *cfg;
	*ret = w;
	return 0;
}

static void close_findings(struct sqlite *w)
{
	sqlite3_finalize(w->put_finding);
	w->put_finding = NULL;
	w->findings = db_close(w->findings);
	w->findings_begun = false;
}

static void sqlite_close(void *ctx)
{
	struct sqlite *w = ctx;

	pieces_close(w->pieces, false);
	sums_close(w->sums);
	close_findings(w);
	free(w);
}

/* Files may have lost what caches of them say they have: all is opened anew. */
static void sqlite_abort(void *ctx)
{
	struct sqlite *w = ctx;

	w->pieces = pieces_close(w->pieces, false);
	w->sums = sums_close(w->sums);
	w->begun = false;
	w->behind = true;
	close_findings(w);
}

static int open_sums(struct sqlite *w, int64_t month)
{
	char error[DB_ERROR_MAX], name[MONTH_NAME_MAX], path[512];
	int r;

	if (w->sums && sums_month(w->sums) == month)
		return 0;
	w->sums = sums_close(w->sums);
	r = sums_open(&w->sums, w->cfg.dir, month, error);
	if (r < 0) {
		snprintf(path, sizeof(path), "%s/%s", w->cfg.dir, month_file_name(month, name));
		w->days_checked = false;
		fail(w, r, path, error, w->sums_problem);
	}
	return r;
}

/* They are written anew from the pieces, when they can be. */
static void failed_sums(struct sqlite *w, int r)
{
	char path[512];

	snprintf(path, sizeof(path), "%s", sums_path(w->sums));
	w->sums = sums_close(w->sums);
	w->behind = true;
	w->days_checked = w->days_checked && r != -EBADMSG;
	fail(w, r, path, r == -EBADMSG ? "is damaged" : strerror(-r), w->sums_problem);
}

/* ---- sums that are behind ---- */

struct catching {
	struct sqlite *w;
	int64_t day, file, last_id;
	unsigned n;
	int failed; /* of sums; what fails else is the day's file */
};

static int on_missing(void *ctx, const struct store_row *row, int64_t id)
{
	struct catching *c = ctx;

	c->failed = sums_add(c->w->sums, row);
	c->last_id = id;
	if (c->failed == 0 && ++c->n % CATCH_UP_ROWS == 0)
		c->failed = sums_commit(c->w->sums, c->day, c->file, id);
	return c->failed;
}

/* Sums of one day's file, from their mark to its last piece. */
static int catch_up(struct sqlite *w, const char *path)
{
	char error[DB_ERROR_MAX] = "";
	struct catching c = { .w = w };
	struct day *d = NULL;
	int64_t mark;
	int r = day_open(&d, path, error);

	if (r < 0)
		return r;
	c.day = day_of(d);
	c.file = day_file(d);
	c.failed = open_sums(w, month_of_day(c.day));
	if (c.failed < 0) {
		day_close(d);
		return c.failed;
	}
	c.failed = sums_mark(w->sums, c.day, c.file, &mark);
	c.last_id = mark;
	r = c.failed < 0 ? 0 : day_read(d, mark + 1, INT64_MAX, NULL, false, on_missing, &c);
	if (c.failed == 0 && c.last_id > mark)
		c.failed = sums_commit(w->sums, c.day, c.file, c.last_id);
	if (c.failed < 0)
		failed_sums(w, c.failed);
	else if (r < 0) /* what cannot be read is lost to sums, too; new pieces are not */
		w->health.errors++;
	day_close(d);
	return c.failed;
}

/* ---- rows ---- */

static int open_day(struct sqlite *w, int64_t day)
{
	char error[DB_ERROR_MAX], name[DAY_NAME_MAX], path[512];
	bool over = w->pieces && pieces_day(w->pieces) < day;
	int r;

	w->pieces = pieces_close(w->pieces, over);
	if (mkdir(w->cfg.dir, 0750) < 0 && errno != EEXIST) {
		r = -errno;
		snprintf(w->pieces_problem, sizeof(w->pieces_problem), "%s: %s", w->cfg.dir,
			 strerror(-r));
		w->health.errors++;
		return r;
	}
	r = pieces_open(&w->pieces, w->cfg.dir, day, error);
	if (r < 0) {
		snprintf(path, sizeof(path), "%s/%s", w->cfg.dir, day_file_name(day, name));
		return fail(w, r, path, error, w->pieces_problem);
	}
	w->behind = true;
	w->next_house_ns = 0; /* the day before may be packed, or be too old */
	return 0;
}

static int failed_row(struct sqlite *w, int r)
{
	char path[512];

	if (r == -EINVAL || r == -EOVERFLOW)
		return r;
	snprintf(path, sizeof(path), "%s", pieces_path(w->pieces));
	sqlite_abort(w);
	return fail(w, r, path, r == -EBADMSG ? "is damaged" : strerror(-r), w->pieces_problem);
}

static int begin(struct sqlite *w, const struct store_row *row)
{
	int r;

	if (!w->pieces || !pieces_takes(w->pieces, row)) {
		if (w->begun)
			return -EAGAIN;
		r = open_day(w, (int64_t)(row->to_ns / NSEC_PER_USEC) / DAY_US);
		if (r < 0)
			return r;
	}
	if (w->begun)
		return 0;
	if (w->behind && catch_up(w, pieces_path(w->pieces)) == 0)
		w->behind = false;
	r = pieces_begin(w->pieces);
	if (r < 0)
		return failed_row(w, r);
	w->begun = true;
	return 0;
}

static int sqlite_row(void *ctx, const struct store_row *row)
{
	struct sqlite *w = ctx;
	int r = begin(w, row);

	if (r < 0)
		return r;
	r = pieces_add(w->pieces, row);
	if (r < 0)
		return failed_row(w, r);
	r = w->behind ? 0 : sums_add(w->sums, row);
	if (r < 0)
		failed_sums(w, r);
	return 0;
}

static int open_findings(struct sqlite *w)
{
	char error[DB_ERROR_MAX], path[512];
	int r;

	if (mkdir(w->cfg.dir, 0750) < 0 && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%s/" STORE_FINDINGS_FILE, w->cfg.dir);
	r = db_open(&w->findings, path, &db_findings, DB_WRITE, error);
	if (r == 0)
		r = db_prepare(w->findings,
			       "INSERT INTO finding(id, time, record) VALUES(?, ?, ?) ON "
			       "CONFLICT(id) DO UPDATE SET "
			       "time = excluded.time, record = excluded.record",
			       &w->put_finding);
	if (r == 0)
		return 0;
	close_findings(w);
	return fail(w, r, path, error, w->findings_problem);
}

static int sqlite_finding(void *ctx, const struct store_finding *f)
{
	struct sqlite *w = ctx;
	char path[512];
	int r = w->findings ? 0 : open_findings(w);

	if (r < 0)
		return r;
	if (!w->findings_begun)
		r = db_exec(w->findings, "BEGIN IMMEDIATE");
	w->findings_begun = w->findings_begun || r == 0;
	sqlite3_bind_text(w->put_finding, 1, f->id.p, (int)f->id.n, SQLITE_STATIC);
	sqlite3_bind_int64(w->put_finding, 2, (int64_t)(f->time_ns / NSEC_PER_USEC));
	sqlite3_bind_text(w->put_finding, 3, f->record.p, (int)f->record.n, SQLITE_STATIC);
	if (r == 0)
		r = db_step_done(w->put_finding);
	if (r == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/" STORE_FINDINGS_FILE, w->cfg.dir);
	sqlite_abort(w);
	return fail(w, r, path, r == -EBADMSG ? "is damaged" : strerror(-r), w->findings_problem);
}

static int sqlite_commit(void *ctx)
{
	struct sqlite *w = ctx;
	int r = 0;

	if (w->findings_begun) {
		r = db_exec(w->findings, "COMMIT");
		w->findings_begun = false;
		if (r < 0) {
			snprintf(w->findings_problem, 256, "findings cannot be written: %s",
				 strerror(-r));
			w->health.errors++;
			return r;
		}
		w->findings_problem[0] = 0;
	}
	if (!w->begun)
		return 0;
	r = pieces_commit(w->pieces);
	w->begun = false;
	if (r < 0)
		return failed_row(w, r);
	w->pieces_problem[0] = 0;
	if (w->behind)
		return 0;
	r = sums_commit(w->sums, pieces_day(w->pieces), pieces_file(w->pieces),
			pieces_last_id(w->pieces));
	if (r < 0)
		failed_sums(w, r);
	else
		w->sums_problem[0] = 0;
	return 0;
}

/* ---- house-keeping ---- */

/* Days whose sums lack something, but for the open one: after a kill at midnight, or when a month's file was set aside. */
static void catch_up_days(struct sqlite *w)
{
	char name[DAY_NAME_MAX], path[512];
	struct store_files days;
	int failed = 0;

	if (store_files(w->cfg.dir, day_file_parse, &days) < 0)
		return;
	for (size_t i = 0; i < days.n; i++) {
		if (days.v[i] == pieces_day(w->pieces))
			continue;
		snprintf(path, sizeof(path), "%s/%s", w->cfg.dir, day_file_name(days.v[i], name));
		failed = catch_up(w, path) ?: failed;
	}
	w->days_checked = !failed;
	w->behind = open_sums(w, month_of_day(pieces_day(w->pieces))) < 0;
}

static void sqlite_house(void *ctx, uint64_t now_ns)
{
	struct sqlite *w = ctx;

	if (w->pieces && !w->behind && !w->days_checked)
		catch_up_days(w);
	if (w->next_house_ns > time_now_boot())
		return;
	w->next_house_ns = time_now_boot() + HOUSE_NS;
	retention_run(&w->retention, &w->cfg, now_ns, w->pieces ? pieces_day(w->pieces) : -1);
	w->health.disk_bytes = w->retention.disk_bytes;
	w->health.oldest_ns = w->retention.oldest_ns;
}

static void sqlite_health(void *ctx, struct store_health *ret)
{
	struct sqlite *w = ctx;
	const char *problem = w->pieces_problem[0]     ? w->pieces_problem
			      : w->findings_problem[0] ? w->findings_problem
						       : w->sums_problem;

	snprintf(w->health.problem, sizeof(w->health.problem), "%s", problem);
	*ret = w->health;
}

const struct store_kind store_sqlite = {
	.name = "sqlite",
	.what = "history",
	.open = sqlite_open,
	.row = sqlite_row,
	.finding = sqlite_finding,
	.commit = sqlite_commit,
	.abort = sqlite_abort,
	.keep_house = sqlite_house,
	.health = sqlite_health,
	.close = sqlite_close,
};
