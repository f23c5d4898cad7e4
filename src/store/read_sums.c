/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the step that was asked for, and of finer ones not yet made into it, are added up by the key's id in its month's file:
 * rows are sorted by it, so that memory is gone through from one end to the other. Only then is each key read, once, and gets a
 * number that holds for all files.
 */
#include "store/read_sums.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/time.h"
#include "store/arena.h"
#include "store/db.h"
#include "store/dim.h"
#include "store/leb.h"
#include "store/pieces.h"
#include "store/read_files.h"
#include "store/sum_code.h"
#include "store/sums_write.h"
#include "store/tally.h"

#define PATH_SIZE 512
#define LOOKED_UP_MAX 2048

/* A key that any file has. */
struct known_key {
	struct store_key key;
	uint32_t number;
};

struct sums_reader {
	char dir[PATH_SIZE];
	uint64_t *skipped, seed;
	struct arena arena;
	struct dim_map texts, keys; /* hash → number from 1 */
	struct shelf text_at, key_at;
	uint32_t n_texts, n_keys;
};

/* A month's file. */
struct month {
	sqlite3 *db;
	struct shelf texts;     /* id → struct str, of the reader's arena */
	struct shelf keys;      /* id → struct known_key */
	struct tallies tallies; /* of what is being read */
	sqlite3_stmt *text, *key;
	unsigned looked_up;    /* keys, one by one */
	struct shelf raw_keys; /* id → struct str of raw_arena: all keys as they lie in the file */
	struct arena raw_arena;
};

/* Sums by number of key, of one bucket or of all. */
struct adding {
	struct store_sum *sums; /* by number - 1; key NULL: nothing yet */
	size_t cap;
	uint32_t *numbers; /* those that have something */
	size_t n;
};

static const int64_t step_s[STORE_STEP_COUNT] = { 60, 3600, 86400 };

int sums_reader_new(struct sums_reader **ret, const char *dir, uint64_t *skipped)
{
	struct sums_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	snprintf(r->dir, sizeof(r->dir), "%s", dir);
	r->skipped = skipped;
	r->seed = hash_random_seed();
	*ret = r;
	return 0;
}

struct sums_reader *sums_reader_free(struct sums_reader *r)
{
	if (!r)
		return NULL;
	dim_map_done(&r->texts);
	dim_map_done(&r->keys);
	shelf_done(&r->text_at);
	shelf_done(&r->key_at);
	arena_done(&r->arena);
	free(r);
	return NULL;
}

/* ---- files ---- */

static void month_close(struct month *m)
{
	sqlite3_finalize(m->text);
	sqlite3_finalize(m->key);
	shelf_done(&m->texts);
	shelf_done(&m->keys);
	tallies_done(&m->tallies);
	shelf_done(&m->raw_keys);
	arena_done(&m->raw_arena);
	db_close(m->db);
	*m = (struct month){ 0 };
}

/* false: not there, or counted as skipped. */
static bool month_open(struct sums_reader *r, int64_t number, struct month *ret)
{
	char name[MONTH_NAME_MAX], path[PATH_SIZE + MONTH_NAME_MAX], error[DB_ERROR_MAX];
	int64_t keys = 0;
	int e;

	*ret = (struct month){ 0 };
	snprintf(path, sizeof(path), "%s/%s", r->dir, month_file_name(number, name));
	if (access(path, F_OK) < 0)
		return false;
	e = db_open(&ret->db, path, &db_sums, DB_READ, error);
	if (e == 0)
		e = db_exec(ret->db, "BEGIN");
	if (e == 0)
		e = db_prepare(ret->db, "SELECT t FROM text WHERE id = ?", &ret->text);
	if (e == 0)
		e = db_prepare(ret->db, "SELECT dims FROM key WHERE id = ?", &ret->key);
	if (e == 0)
		e = db_number(ret->db, "SELECT max(id) FROM key", &keys);
	keys = MIN(keys, (int64_t)SHELF_MAX - 1);
	ret->tallies.max_id = keys > 0 ? (uint32_t)keys : 0;
	if (e < 0) {
		++*r->skipped;
		month_close(ret);
	}
	return e == 0;
}

/* ---- texts and keys that hold for all files ---- */

static int known_text(struct sums_reader *r, struct str s, const struct str **ret)
{
	uint64_t hash = hash_bytes(s.p, s.n, r->seed);
	uint32_t number = dim_map_find(&r->texts, hash);
	struct str *t;

	if (!number) {
		t = arena_get(&r->arena, sizeof(*t));
		if (!t || !arena_text(&r->arena, s, t) ||
		    dim_map_add(&r->texts, hash, r->n_texts + 1) < 0 ||
		    !shelf_put(&r->text_at, r->n_texts + 1, t))
			return -ENOMEM;
		number = ++r->n_texts;
	}
	*ret = shelf_get(&r->text_at, number);
	return 0;
}

static int text_of(struct sums_reader *r, struct month *m, uint64_t id, struct str *ret)
{
	const struct str *t = shelf_get(&m->texts, id);
	int rc, e;

	*ret = STR_NONE;
	if (!id)
		return 0;
	if (!t) {
		sqlite3_bind_int64(m->text, 1, (int64_t)id);
		rc = sqlite3_step(m->text);
		e = rc == SQLITE_ROW ? known_text(r, db_bytes(m->text, 0), &t) : db_errno(rc) ?: -EBADMSG;
		sqlite3_reset(m->text);
		if (e == 0 && !shelf_put(&m->texts, id, (void *)t))
			e = -EBADMSG;
		if (e < 0)
			return e;
	}
	*ret = *t;
	return 0;
}

/* Equal texts have one place, so equal keys have equal pointers. */
static int known_key(struct sums_reader *r, const struct store_key *key, struct known_key **ret)
{
	uint64_t hash = hash_bytes(key, sizeof(*key), r->seed);
	uint32_t number = dim_map_find(&r->keys, hash);
	struct known_key *k;

	if (!number) {
		k = arena_get(&r->arena, sizeof(*k));
		if (!k || dim_map_add(&r->keys, hash, r->n_keys + 1) < 0 ||
		    !shelf_put(&r->key_at, r->n_keys + 1, k))
			return -ENOMEM;
		*k = (struct known_key){ .key = *key, .number = ++r->n_keys };
		number = k->number;
	}
	*ret = shelf_get(&r->key_at, number);
	return 0;
}

static int key_parse(struct sums_reader *r, struct month *m, uint32_t id, struct str dims,
		     struct known_key **ret)
{
	struct store_key key;
	uint64_t text;
	int e = 0;

	for (size_t i = 0; e == 0 && i < STORE_DIM_COUNT; i++)
		e = leb_take(&dims, &text) ? text_of(r, m, text, &key.dim[i]) : -EBADMSG;
	if (e == 0)
		e = known_key(r, &key, ret);
	if (e == 0 && !shelf_put(&m->keys, id, *ret))
		e = -EBADMSG;
	return e;
}

/* When many are wanted, reading all in their order is several times faster than looking up each; what is not used is not parsed. */
static int load_all(struct sums_reader *r, struct month *m)
{
	_cleanup_stmt_ sqlite3_stmt *texts = NULL, *keys = NULL;
	const struct str *t;
	struct str *dims;
	int rc = SQLITE_DONE, e = db_prepare(m->db, "SELECT id, t FROM text", &texts);

	while (e == 0 && (rc = sqlite3_step(texts)) == SQLITE_ROW) {
		e = known_text(r, db_bytes(texts, 1), &t);
		if (e == 0 &&
		    !shelf_put(&m->texts, (uint64_t)sqlite3_column_int64(texts, 0), (void *)t))
			e = -EBADMSG;
	}
	e = e < 0 ? e : db_errno(rc);
	if (e == 0)
		e = db_prepare(m->db, "SELECT id, dims FROM key", &keys);
	while (e == 0 && (rc = sqlite3_step(keys)) == SQLITE_ROW) {
		dims = arena_get(&m->raw_arena, sizeof(*dims));
		if (!dims || !arena_text(&m->raw_arena, db_bytes(keys, 1), dims))
			e = -ENOMEM;
		else if (!shelf_put(&m->raw_keys, (uint64_t)sqlite3_column_int64(keys, 0), dims))
			e = -EBADMSG;
	}
	return e < 0 ? e : db_errno(rc);
}

static int key_of(struct sums_reader *r, struct month *m, uint32_t id, struct known_key **ret)
{
	const struct str *raw;
	int rc, e = 0;

	*ret = shelf_get(&m->keys, id);
	if (*ret)
		return 0;
	if (++m->looked_up == LOOKED_UP_MAX)
		e = load_all(r, m);
	if (e < 0)
		return e;
	raw = shelf_get(&m->raw_keys, id);
	if (raw)
		return key_parse(r, m, id, *raw, ret);
	sqlite3_bind_int64(m->key, 1, id);
	rc = sqlite3_step(m->key);
	e = rc == SQLITE_ROW ? key_parse(r, m, id, db_bytes(m->key, 0), ret) : db_errno(rc) ?: -EBADMSG;
	sqlite3_reset(m->key);
	return e;
}

/* ---- adding up ---- */

static int sum_of(struct adding *a, const struct known_key *k, struct store_sum **ret)
{
	if (k->number > a->cap) {
		size_t cap = a->cap ? a->cap : 1024;
		struct store_sum *sums;
		uint32_t *numbers;

		while (cap < k->number)
			cap *= 2;
		sums = reallocarray(a->sums, cap, sizeof(*sums));
		if (sums)
			a->sums = sums;
		numbers = reallocarray(a->numbers, cap, sizeof(*numbers));
		if (numbers)
			a->numbers = numbers;
		if (!sums || !numbers)
			return -ENOMEM;
		memset(sums + a->cap, 0, (cap - a->cap) * sizeof(*sums));
		a->cap = cap;
	}
	*ret = &a->sums[k->number - 1];
	if (!(*ret)->key) {
		**ret = (struct store_sum){ .key = &k->key, .time_ns = UINT64_MAX };
		a->numbers[a->n++] = k->number;
	}
	return 0;
}

/* What all files say of a key. */
static int add(struct adding *a, const struct known_key *k, const struct tally *t)
{
	struct store_sum *s;
	int error = sum_of(a, k, &s);

	if (error < 0)
		return error;
	s->time_ns = MIN(s->time_ns, (uint64_t)t->first_s * NSEC_PER_SEC);
	s->last_ns = MAX(s->last_ns, (uint64_t)t->last_s * NSEC_PER_SEC);
	s->flows += t->flows;
	s->up_bytes += t->up;
	s->down_bytes += t->down;
	s->up_packets += t->up_packets;
	s->down_packets += t->down_packets;
	s->refused += t->refused;
	return 0;
}

/* What was read of the file goes to the others'; the file's own begins anew. */
static int add_tallies(struct sums_reader *r, struct month *m, struct adding *a)
{
	struct tallies *t = &m->tallies;
	int e = 0;

	for (size_t i = 0; e == 0 && i < t->n; i++) {
		struct known_key *k;

		e = key_of(r, m, t->ids[i], &k);
		if (e == 0)
			e = add(a, k, &t->by_id[t->ids[i]]);
	}
	tallies_clear(t);
	return e;
}

static int hand_out(struct adding *a, store_sum_fn fn, void *ctx)
{
	int r = 0;

	for (size_t i = 0; i < a->n; i++) {
		struct store_sum *s = &a->sums[a->numbers[i] - 1];

		if (!r)
			r = fn(ctx, s);
		s->key = NULL;
	}
	a->n = 0;
	return r;
}

struct asked {
	enum store_step step;
	int64_t from_s, to_s;
};

static int add_packed(struct month *m, const struct asked *q, sqlite3_stmt *s)
{
	int64_t time_s = sqlite3_column_int64(s, 0), bucket_s = time_s - time_s % step_s[q->step];
	struct str data = db_bytes(s, 1);
	uint32_t last_key = 0;
	struct sum_entry e;
	int n, error = 0;

	while (error == 0 && (n = sum_take(&data, &e, &last_key)))
		error = n < 0 ? n : tallies_add(&m->tallies, &e, bucket_s, time_s);
	return error;
}

/* Rows of this step, and of finer ones that are not in it yet. */
static int read_packed(struct month *m, const struct asked *q)
{
	int e = 0;

	for (int step = STORE_MINUTE; e == 0 && step <= (int)q->step; step++) {
		_cleanup_stmt_ sqlite3_stmt *s = NULL;
		int rc = SQLITE_DONE;

		e = db_prepare(m->db,
			       step == (int)q->step ? "SELECT time, data FROM sum WHERE step = ? "
						      "AND time >= ? AND time < ?"
						    : "SELECT time, data FROM sum WHERE step = ? "
						      "AND time >= ? AND time < ? AND rolled = 0",
			       &s);
		if (e < 0)
			return e;
		sqlite3_bind_int(s, 1, step);
		sqlite3_bind_int64(s, 2, q->from_s);
		sqlite3_bind_int64(s, 3, q->to_s);
		while (e == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW)
			e = add_packed(m, q, s);
		e = e < 0 ? e : db_errno(rc);
	}
	return e;
}

static int read_now(struct month *m, const struct asked *q)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int rc = SQLITE_DONE, e;

	e = db_prepare(m->db,
		       "SELECT key, flows, up, down, up_packets, down_packets, refused, last, time "
		       "FROM now "
		       "WHERE time >= ? AND time < ?",
		       &s);
	if (e < 0)
		return e;
	sqlite3_bind_int64(s, 1, q->from_s);
	sqlite3_bind_int64(s, 2, q->to_s);
	while (e == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		int64_t time_s = sqlite3_column_int64(s, 8);

		e = tallies_add(&m->tallies,
				&(struct sum_entry){
					.key = (uint32_t)sqlite3_column_int64(s, 0),
					.flows = (uint64_t)sqlite3_column_int64(s, 1),
					.up = (uint64_t)sqlite3_column_int64(s, 2),
					.down = (uint64_t)sqlite3_column_int64(s, 3),
					.up_packets = (uint64_t)sqlite3_column_int64(s, 4),
					.down_packets = (uint64_t)sqlite3_column_int64(s, 5),
					.refused = (uint64_t)sqlite3_column_int64(s, 6),
					.last = (uint32_t)sqlite3_column_int64(s, 7),
				},
				time_s - time_s % step_s[q->step], time_s);
	}
	return e < 0 ? e : db_errno(rc);
}

/* The first bucket at or after from_s that has anything; INT64_MAX: none. */
static int next_bucket(struct month *m, enum store_step step, int64_t from_s, int64_t *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int rc, e;

	e = db_prepare(m->db,
		       "SELECT min(t) FROM (SELECT min(time) t FROM now WHERE time >= ?1 UNION ALL "
		       "SELECT (SELECT min(time) FROM sum WHERE step = 0 AND time >= ?1 AND rolled "
		       "= 0) UNION ALL "
		       "SELECT (SELECT min(time) FROM sum WHERE step = 1 AND time >= ?1 AND rolled "
		       "= 0 AND ?2 > 1) UNION ALL "
		       "SELECT (SELECT min(time) FROM sum WHERE step = ?2 AND time >= ?1))",
		       &s);
	if (e < 0)
		return e;
	sqlite3_bind_int64(s, 1, from_s);
	sqlite3_bind_int(s, 2, (int)step);
	rc = sqlite3_step(s);
	*ret = INT64_MAX;
	if (rc == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL)
		*ret = sqlite3_column_int64(s, 0) - sqlite3_column_int64(s, 0) % step_s[step];
	return db_errno(rc);
}

uint64_t sums_reader_oldest(struct sums_reader *r, enum store_step step)
{
	struct store_files files;
	int64_t oldest = INT64_MAX, t;
	struct month m;

	if (store_files(r->dir, month_file_parse, &files) < 0)
		return 0;
	for (size_t i = 0; oldest == INT64_MAX && i < files.n; i++) {
		if (!month_open(r, files.v[i], &m))
			continue;
		if (next_bucket(&m, step, 0, &t) == 0)
			oldest = t;
		month_close(&m);
	}
	return oldest == INT64_MAX ? 0 : (uint64_t)oldest * NSEC_PER_SEC;
}

/* Months whose files may have sums of the span: pieces go to the month of their day's file, which may be the one after. */
static bool month_touches(int64_t month, struct store_span span)
{
	int64_t from = month_of_day((int64_t)(span.from_ns / NSEC_PER_SEC / 86400));
	int64_t to = month_of_day((int64_t)(span.to_ns / NSEC_PER_SEC + PIECE_LATE_US / 1000000) /
				  86400);

	return month >= from && month <= to;
}

static int read_buckets(struct sums_reader *r, struct month *m, const struct asked *q,
			struct adding *a)
{
	int e = read_packed(m, q), added;

	if (e == 0)
		e = read_now(m, q);
	/* what could be read of a damaged file counts */
	added = add_tallies(r, m, a);
	return e < 0 ? e : added;
}

/* The first that begins then or later. */
static int64_t first_bucket(uint64_t ns, int64_t length)
{
	int64_t s = (int64_t)(ns / NSEC_PER_SEC) + (ns % NSEC_PER_SEC != 0);

	return (s + length - 1) / length * length;
}

/* One bucket after the other, over all files that are open. */
static int read_series(struct sums_reader *r, struct month *months, size_t n, struct asked q,
		       store_sum_fn fn, void *ctx)
{
	struct adding a = { 0 };
	int64_t at = q.from_s, end = q.to_s;
	int ended = 0;

	while (!ended && at < end) {
		int64_t first = INT64_MAX, t;

		for (size_t i = 0; i < n; i++)
			if (months[i].db && next_bucket(&months[i], q.step, at, &t) == 0)
				first = MIN(first, t);
		if (first >= end)
			break;
		at = MAX(first, at);
		q.from_s = at;
		q.to_s = at + step_s[q.step];
		for (size_t i = 0; i < n; i++) {
			if (!months[i].db || read_buckets(r, &months[i], &q, &a) == 0)
				continue;
			++*r->skipped;
			month_close(&months[i]);
		}
		ended = hand_out(&a, fn, ctx);
		at = q.to_s;
	}
	free(a.sums);
	free(a.numbers);
	return ended;
}

static int read_total(struct sums_reader *r, struct month *months, size_t n, const struct asked *q,
		      store_sum_fn fn, void *ctx)
{
	struct adding a = { 0 };
	int ended;

	for (size_t i = 0; i < n; i++)
		if (read_buckets(r, &months[i], q, &a) < 0)
			++*r->skipped;
	ended = hand_out(&a, fn, ctx);
	free(a.sums);
	free(a.numbers);
	return ended;
}

int sums_reader_read(struct sums_reader *r, enum store_step step, struct store_span span,
		     bool series, store_sum_fn fn, void *ctx)
{
	struct asked q = { .step = step,
			   .from_s = first_bucket(span.from_ns, step_s[step]),
			   .to_s = first_bucket(span.to_ns, step_s[step]) };
	struct store_files files;
	struct month *months;
	size_t n = 0;
	int e = store_files(r->dir, month_file_parse, &files);

	if (e < 0)
		return e;
	months = calloc(files.n + 1, sizeof(*months));
	if (!months)
		return -ENOMEM;
	for (size_t i = 0; i < files.n; i++)
		if (month_touches(files.v[i], span) && month_open(r, files.v[i], &months[n]))
			n++;
	e = series ? read_series(r, months, n, q, fn, ctx) : read_total(r, months, n, &q, fn, ctx);
	while (n > 0)
		month_close(&months[--n]);
	free(months);
	return e;
}
