/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pieces are looked at: those of the peers that the hint names by their index, those of a flow by index and zones, else all of
 * the span.
 */
#include "store/read_day.h"

#include <errno.h>

#include "store/read_hint.h"
#include "store/star.h"

struct day {
	sqlite3 *db;
	int64_t day, file, lag;
	struct star star;
};

/* ---- opening ---- */

int day_open(struct day **ret, const char *path, char error[DB_ERROR_MAX])
{
	struct day *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	r = db_open(&d->db, path, &db_flows, DB_READ, error);
	if (r == 0) {
		r = db_exec(d->db, "BEGIN"); /* one state of the file for all that is asked */
		if (r == 0)
			r = db_number(d->db, "SELECT day FROM head WHERE id = 1", &d->day);
		if (r == 0)
			r = db_number(d->db, "SELECT file FROM head WHERE id = 1", &d->file);
		if (r == 0)
			r = db_number(d->db, "SELECT lag FROM head WHERE id = 1", &d->lag);
		if (r == 0)
			r = star_open(&d->star, d->db, d->day);
		if (r < 0)
			snprintf(error, DB_ERROR_MAX, "%s", sqlite3_errmsg(d->db));
	}
	if (r < 0) {
		day_close(d);
		return r;
	}
	d->lag = d->lag < 0 ? 0 : MIN(d->lag, DAY_US);
	*ret = d;
	return 0;
}

struct day *day_close(struct day *d)
{
	if (!d)
		return NULL;
	star_close(&d->star);
	db_close(d->db);
	free(d);
	return NULL;
}

int64_t day_of(const struct day *d)
{
	return d->day;
}

int64_t day_file(const struct day *d)
{
	return d->file;
}

int day_last_id(struct day *d, int64_t *ret)
{
	return db_number(d->db, "SELECT max(id) FROM piece", ret);
}

uint64_t day_first_ns(struct day *d)
{
	int64_t id = 0;

	if (db_number(d->db, "SELECT min(id) FROM piece", &id) < 0 || id <= 0)
		return 0;
	return star_ns(d->day * DAY_US + (id >> PIECE_ID_SHIFT));
}

bool day_touches(int64_t day, struct store_span span)
{
	int64_t from = (int64_t)(span.from_ns / NSEC_PER_USEC),
		to = (int64_t)(span.to_ns / NSEC_PER_USEC);

	return to > day * DAY_US - PIECE_LATE_US && from < (day + 1) * DAY_US;
}

void day_ids(const struct day *d, struct store_span span, int64_t *ret_from, int64_t *ret_to)
{
	int64_t begin = d->day * DAY_US, from = (int64_t)(span.from_ns / NSEC_PER_USEC) - begin;
	int64_t to =
		(int64_t)(span.to_ns / NSEC_PER_USEC) + (span.to_ns % NSEC_PER_USEC != 0) - begin;

	/* An id may be past the day's end by what was written in the same microsecond, and by a lag of the last pieces. */
	*ret_from = (from < 0 ? 0 : MIN(from, DAY_US)) << PIECE_ID_SHIFT;
	*ret_to = to >= DAY_US
			  ? INT64_MAX
			  : (MAX(to, 0) + d->lag) << PIECE_ID_SHIFT | ((1 << PIECE_ID_SHIFT) - 1);
}

/* ---- reading ---- */

struct reading {
	struct day *day;
	const struct store_hint *hint;
	const struct id_set *peers, *procs; /* NULL: all */
	day_fn fn;
	void *ctx;
};

/* Steps through a statement that gives pieces. */
static int each(const struct reading *g, sqlite3_stmt *s)
{
	const struct store_hint *h = g->hint;
	struct store_row row;
	int rc = SQLITE_DONE, r = 0;

	while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		if (g->procs && !id_set_has(g->procs, sqlite3_column_int64(s, PIECE_PROC)))
			continue;
		if (g->peers && !id_set_has(g->peers, sqlite3_column_int64(s, PIECE_PEER)))
			continue;
		r = star_row(&g->day->star, s, &row);
		if (r == 0 && h && h->flow_id &&
		    (row.flow_id != h->flow_id || (h->boot && row.boot != h->boot)))
			continue;
		if (r == 0)
			r = g->fn(g->ctx, &row, sqlite3_column_int64(s, PIECE_ID));
	}
	sqlite3_reset(s);
	return r ? r : db_errno(rc);
}

static int prepare_pieces(struct day *d, const char *where, bool newest_first, sqlite3_stmt **ret)
{
	char sql[512];

	snprintf(sql, sizeof(sql), "SELECT " PIECE_COLUMNS " FROM piece WHERE %s ORDER BY id%s",
		 where, newest_first ? " DESC" : "");
	return db_prepare(d->db, sql, ret);
}

static int read_span(const struct reading *g, int64_t from_id, int64_t to_id, bool newest_first)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = prepare_pieces(g->day, "id >= ? AND id < ?", newest_first, &s);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, from_id);
	sqlite3_bind_int64(s, 2, to_id);
	return each(g, s);
}

/* Pieces of one peer lie in the index in their order. */
static int read_peer(const struct reading *g, int64_t peer, int64_t from_id, int64_t to_id,
		     bool newest_first)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = prepare_pieces(g->day, "peer = ? AND id >= ? AND id < ?", newest_first, &s);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, peer);
	sqlite3_bind_int64(s, 2, from_id);
	sqlite3_bind_int64(s, 3, to_id);
	return each(g, s);
}

static int read_ids(const struct reading *g, const struct id_list *ids, bool newest_first)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = prepare_pieces(g->day, "id = ?", false, &s);

	for (size_t i = 0; r == 0 && i < ids->n; i++) {
		sqlite3_bind_int64(s, 1, ids->v[newest_first ? ids->n - 1 - i : i]);
		r = each(g, s);
	}
	return r;
}

int day_read(struct day *d, int64_t from_id, int64_t to_id, const struct store_hint *hint,
	     bool newest_first, day_fn fn, void *ctx)
{
	_cleanup_(id_list_done) struct id_list ids = { 0 };
	_cleanup_(id_set_done) struct id_set peers = { 0 }, procs = { 0 };
	struct reading g = { .day = d, .hint = hint, .fn = fn, .ctx = ctx };
	int64_t peer = 0;
	int r = 0;

	if (hint && hint_names_peer(hint)) {
		r = hint_peers(d->db, hint, &peers, &peer);
		g.peers = &peers;
	}
	if (r == 0 && hint && hint->exe_name.n) {
		r = hint_procs(d->db, hint, &procs);
		g.procs = &procs;
	}
	if (r < 0 || (g.peers && !peers.n) || (g.procs && !procs.n))
		return r;
	if (peer)
		return read_peer(&g, peer, from_id, to_id, newest_first);
	if (g.peers)
		r = hint_pieces_of_peers(d->db, &peers, from_id, to_id, &ids);
	else if (hint && hint->flow_id)
		r = hint_pieces_of_flow(d->db, hint, from_id, to_id, &ids);
	else
		r = -E2BIG;
	if (r == -E2BIG)
		return read_span(&g, from_id, to_id, newest_first);
	return r < 0 ? r : read_ids(&g, &ids, newest_first);
}
