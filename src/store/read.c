/* SPDX-License-Identifier: Apache-2.0 */
/* Which files there are, pieces over several days, findings. */
#include "store/read.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "store/pieces.h"
#include "store/read_day.h"
#include "store/read_files.h"
#include "store/read_sums.h"
#include "store/sums_write.h"

#define PATH_SIZE 512

struct store_reader {
	char dir[PATH_SIZE];
	uint64_t skipped;
	struct sums_reader *sums;
};

static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int store_files(const char *dir, bool (*parse)(const char *name, int64_t *ret),
		struct store_files *ret)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int64_t number;

	ret->n = 0;
	if (!d)
		return -errno;
	while (ret->n < STORE_FILES_MAX && (e = readdir(d)))
		if (parse(e->d_name, &number))
			ret->v[ret->n++] = number;
	closedir(d);
	qsort(ret->v, ret->n, sizeof(ret->v[0]), by_number);
	return 0;
}

int store_reader_open(struct store_reader **ret, const char *dir, char error[256])
{
	struct store_files files;
	struct store_reader *r;
	int e = store_files(dir, day_file_parse, &files);

	if (e < 0) {
		snprintf(error, 256, "%s: %s", dir, strerror(-e));
		return e;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	snprintf(r->dir, sizeof(r->dir), "%s", dir);
	e = sums_reader_new(&r->sums, dir, &r->skipped);
	if (e < 0) {
		free(r);
		return e;
	}
	*ret = r;
	return 0;
}

struct store_reader *store_reader_close(struct store_reader *r)
{
	if (!r)
		return NULL;
	sums_reader_free(r->sums);
	free(r);
	return NULL;
}

uint64_t store_reader_skipped(const struct store_reader *r)
{
	return r->skipped;
}

/* A file that went away meanwhile was too old; any other that cannot be read is told. */
static struct day *open_day(struct store_reader *r, int64_t day)
{
	char name[DAY_NAME_MAX], path[PATH_SIZE + DAY_NAME_MAX], error[DB_ERROR_MAX];
	struct day *d = NULL;

	snprintf(path, sizeof(path), "%s/%s", r->dir, day_file_name(day, name));
	if (access(path, F_OK) == 0 && (day_open(&d, path, error) < 0 || day_of(d) != day)) {
		r->skipped++;
		d = day_close(d);
	}
	return d;
}

uint64_t store_oldest_piece(struct store_reader *r)
{
	struct store_files files;
	uint64_t oldest = 0;

	if (store_files(r->dir, day_file_parse, &files) < 0)
		return 0;
	for (size_t i = 0; !oldest && i < files.n; i++) {
		struct day *d = open_day(r, files.v[i]);

		oldest = d ? day_first_ns(d) : 0;
		day_close(d);
	}
	return oldest;
}

struct pieces_reading {
	struct store_span span;
	store_row_fn fn;
	void *ctx;
	int ended; /* what the callback returned */
};

static int on_piece(void *ctx, const struct store_row *row, int64_t id)
{
	struct pieces_reading *g = ctx;

	if (row->to_ns < g->span.from_ns || row->to_ns >= g->span.to_ns)
		return 0;
	g->ended = g->fn(g->ctx, row);
	return g->ended;
}

int store_read_pieces(struct store_reader *r, struct store_span span, const struct store_hint *hint,
		      bool newest_first, store_row_fn fn, void *ctx)
{
	struct pieces_reading g = { .span = span, .fn = fn, .ctx = ctx };
	struct store_files files;
	int e = store_files(r->dir, day_file_parse, &files);

	for (size_t i = 0; e == 0 && !g.ended && i < files.n; i++) {
		int64_t day = files.v[newest_first ? files.n - 1 - i : i], from, to;
		struct day *d;

		if (!day_touches(day, span))
			continue;
		d = open_day(r, day);
		if (!d)
			continue;
		day_ids(d, span, &from, &to);
		if (day_read(d, from, to, hint, newest_first, on_piece, &g) < 0 && !g.ended)
			r->skipped++;
		day_close(d);
	}
	return g.ended ? g.ended : e;
}

uint64_t store_oldest_sum(struct store_reader *r, enum store_step step)
{
	return sums_reader_oldest(r->sums, step);
}

int store_read_sums(struct store_reader *r, enum store_step step, struct store_span span,
		    bool series, store_sum_fn fn, void *ctx)
{
	return sums_reader_read(r->sums, step, span, series, fn, ctx);
}

int store_read_findings(struct store_reader *r, struct store_span span, store_finding_fn fn,
			void *ctx)
{
	_cleanup_(db_closep) sqlite3 *db = NULL;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	char path[PATH_SIZE + 16], error[DB_ERROR_MAX];
	int rc = SQLITE_DONE, e, ended = 0;

	snprintf(path, sizeof(path), "%s/" STORE_FINDINGS_FILE, r->dir);
	if (access(path, F_OK) < 0)
		return 0;
	e = db_open(&db, path, &db_findings, DB_READ, error);
	if (e == 0)
		e = db_prepare(db,
			       "SELECT time, id, record FROM finding WHERE time >= ? AND time < ? "
			       "ORDER BY time",
			       &s);
	if (e < 0) {
		r->skipped++;
		return 0;
	}
	sqlite3_bind_int64(s, 1, (int64_t)(span.from_ns / NSEC_PER_USEC));
	sqlite3_bind_int64(s, 2, (int64_t)(span.to_ns / NSEC_PER_USEC));
	while (!ended && (rc = sqlite3_step(s)) == SQLITE_ROW)
		ended = fn(ctx, (uint64_t)sqlite3_column_int64(s, 0) * NSEC_PER_USEC,
			   db_bytes(s, 1), db_bytes(s, 2));
	if (!ended && db_errno(rc) < 0)
		r->skipped++;
	return ended;
}
