/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sums_write.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "base/time.h"
#include "store/dim.h"
#include "store/leb.h"
#include "store/pieces.h"
#include "store/sum_code.h"

#define PATH_SIZE 512
#define HOUR_S 3600

/* What is to be added to one minute of one key. */
struct part {
	int64_t time_s;
	struct sum_entry sum;
};

/* What this hour has brought so far, to bound what it may bring. */
struct limits {
	int64_t hour;
	struct dim_map addresses, names, keys;
};

struct sums {
	sqlite3 *db;
	char path[PATH_SIZE];
	int64_t month, newest_s; /* end of the last piece */
	bool begun, loaded;      /* loaded: texts and keys are known */
	struct dim texts, keys;
	struct dim_map index; /* of parts */
	struct part *parts;
	size_t n_parts, cap;
	struct limits limits;
	uint64_t seed;
	sqlite3_stmt *begin, *commit, *add, *mark, *oldest;
};

int64_t month_of_day(int64_t day)
{
	time_t s = (time_t)(day * 86400);
	struct tm tm;

	return gmtime_r(&s, &tm) ? (tm.tm_year - 70) * 12 + tm.tm_mon : 0;
}

char *month_file_name(int64_t month, char text[MONTH_NAME_MAX])
{
	snprintf(text, MONTH_NAME_MAX, "sums-%04d-%02d.db", (int)(1970 + month / 12),
		 (int)(month % 12) + 1);
	return text;
}

bool month_file_parse(const char *name, int64_t *ret_month)
{
	char back[MONTH_NAME_MAX];
	struct tm tm = { .tm_mday = 1 };
	const char *end = strptime(name, "sums-%Y-%m.db", &tm);

	if (!end || *end || tm.tm_year < 70)
		return false;
	*ret_month = (tm.tm_year - 70) * 12 + tm.tm_mon;
	return !strcmp(month_file_name(*ret_month, back), name);
}

/* ---- opening ---- */

static int prepare(struct sums *s)
{
	const struct {
		const char *sql;
		sqlite3_stmt **to;
	} all[] = {
		{ "BEGIN IMMEDIATE", &s->begin },
		{ "COMMIT", &s->commit },
		{ "INSERT INTO now(time, key, flows, up, down, up_packets, down_packets, refused, "
		  "last) "
		  "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(time, key) DO UPDATE SET flows = "
		  "flows + excluded.flows, "
		  "up = up + excluded.up, down = down + excluded.down, up_packets = up_packets + "
		  "excluded.up_packets, "
		  "down_packets = down_packets + excluded.down_packets, refused = refused + "
		  "excluded.refused, "
		  "last = max(last, excluded.last)",
		  &s->add },
		{ "INSERT INTO mark(day, file, id) VALUES(?, ?, ?) ON CONFLICT(day, file) DO "
		  "UPDATE SET id = excluded.id",
		  &s->mark },
		{ "SELECT min(time) FROM now", &s->oldest },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++)
		r = db_prepare(s->db, all[i].sql, all[i].to);
	return r;
}

int sums_open(struct sums **ret, const char *dir, int64_t month, char error[DB_ERROR_MAX])
{
	struct sums *s = calloc(1, sizeof(*s));
	char name[MONTH_NAME_MAX];
	int r;

	if (!s)
		return -ENOMEM;
	s->month = month;
	s->seed = hash_random_seed();
	snprintf(s->path, sizeof(s->path), "%s/%s", dir, month_file_name(month, name));
	r = db_open(&s->db, s->path, &db_sums, DB_WRITE, error);
	if (r == 0) {
		r = prepare(s);
		if (r < 0)
			snprintf(error, DB_ERROR_MAX, "%s", sqlite3_errmsg(s->db));
	}
	if (r < 0) {
		sums_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct sums *sums_close(struct sums *s)
{
	if (!s)
		return NULL;
	sqlite3_finalize(s->begin);
	sqlite3_finalize(s->commit);
	sqlite3_finalize(s->add);
	sqlite3_finalize(s->mark);
	sqlite3_finalize(s->oldest);
	dim_close(&s->texts);
	dim_close(&s->keys);
	dim_map_done(&s->index);
	dim_map_done(&s->limits.addresses);
	dim_map_done(&s->limits.names);
	dim_map_done(&s->limits.keys);
	free(s->parts);
	db_close(s->db);
	free(s);
	return NULL;
}

int64_t sums_month(const struct sums *s)
{
	return s->month;
}

const char *sums_path(const struct sums *s)
{
	return s->path;
}

int sums_mark(struct sums *s, int64_t day, int64_t file, int64_t *ret_id)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = db_prepare(s->db, "SELECT id FROM mark WHERE day = ? AND file = ?", &q), rc;

	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, day);
	sqlite3_bind_int64(q, 2, file);
	rc = sqlite3_step(q);
	*ret_id = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
	return db_errno(rc);
}

/* ---- adding ---- */

/* Whether this hour has room for one more of these; those it has are welcome. */
static bool has_room(struct dim_map *m, uint64_t hash, size_t most)
{
	if (dim_map_find(m, hash))
		return true;
	return m->n < most && dim_map_add(m, hash, 1) == 0;
}

static void limit_name(struct sums *s, const struct store_row *row, struct store_key *key)
{
	struct limits *l = &s->limits;
	int64_t hour = (int64_t)(row->to_ns / NSEC_PER_SEC) / HOUR_S;
	struct str *name = &key->dim[STORE_DIM_NAME];
	uint64_t hash = hash_bytes(name->p, name->n, s->seed);

	if (hour != l->hour) {
		l->hour = hour;
		dim_map_clear(&l->addresses);
		dim_map_clear(&l->names);
		dim_map_clear(&l->keys);
	}
	if (row->peer.name.n && !has_room(&l->names, hash, STORE_NAMES_AN_HOUR))
		*name = STR(STORE_FURTHER);
	else if (!row->peer.name.n && !has_room(&l->addresses, hash, STORE_NAMES_AN_HOUR))
		*name = STR(STORE_UNNAMED);
}

static void limit_key(struct sums *s, struct store_key *key)
{
	static const enum store_dim cut[] = { STORE_DIM_APP,       STORE_DIM_USER, STORE_DIM_UNIT,
					      STORE_DIM_CONTAINER, STORE_DIM_NAME, STORE_DIM_DOMAIN,
					      STORE_DIM_RULE };
	uint64_t at[STORE_DIM_COUNT];

	for (size_t i = 0; i < STORE_DIM_COUNT; i++)
		at[i] = hash_bytes(key->dim[i].p, key->dim[i].n, s->seed);
	if (has_room(&s->limits.keys, hash_bytes(at, sizeof(at), s->seed), STORE_KEYS_AN_HOUR))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(cut); i++)
		key->dim[cut[i]] = STR(STORE_FURTHER);
}

/* Whoever only rolls and forgets needs none of it. */
static int load(struct sums *s)
{
	int r;

	if (s->loaded)
		return 0;
	r = dim_open(&s->texts, s->db, "text", "t", 1, s->seed);
	if (r == 0)
		r = dim_open(&s->keys, s->db, "key", "dims", 1, s->seed);
	s->loaded = r == 0;
	return r;
}

static int key_id(struct sums *s, const struct store_row *row, uint32_t *ret)
{
	struct store_key_scratch scratch;
	char packed[STORE_DIM_COUNT * LEB_MAX];
	struct store_key key;
	size_t n = 0;
	int r = 0;

	store_row_key(row, &scratch, &key);
	limit_name(s, row, &key);
	limit_key(s, &key);
	for (size_t i = 0; r == 0 && i < STORE_DIM_COUNT; i++) {
		uint32_t id = 0;

		if (key.dim[i].n)
			r = dim_id(&s->texts, &DIM_T(key.dim[i]), 1, &id, NULL);
		n += leb_put(packed + n, id);
	}
	return r < 0 ? r : dim_id(&s->keys, &DIM_B(((struct str){ packed, n })), 1, ret, NULL);
}

static int find_part(struct sums *s, int64_t time_s, uint32_t key, struct part **ret)
{
	const uint64_t at[2] = { (uint64_t)time_s, key };
	uint64_t hash = hash_bytes(at, sizeof(at), s->seed);
	uint32_t i = dim_map_find(&s->index, hash);

	if (!i) {
		if (s->n_parts == s->cap) {
			size_t cap = s->cap ? 2 * s->cap : 1024;
			struct part *more = reallocarray(s->parts, cap, sizeof(*more));

			if (!more)
				return -ENOMEM;
			s->parts = more;
			s->cap = cap;
		}
		i = (uint32_t)++s->n_parts;
		s->parts[i - 1] = (struct part){ .time_s = time_s, .sum = { .key = key } };
		if (dim_map_add(&s->index, hash, i) < 0)
			return -ENOMEM;
	}
	*ret = &s->parts[i - 1];
	return 0;
}

int sums_add(struct sums *s, const struct store_row *row)
{
	int64_t end_s = (int64_t)(row->to_ns / NSEC_PER_SEC), time_s = end_s - end_s % 60;
	struct part *part = NULL;
	uint32_t key;
	int r = s->begun ? 0 : db_step_done(s->begin);

	if (r < 0)
		return r;
	s->begun = true;
	r = load(s);
	if (r == 0)
		r = key_id(s, row, &key);
	if (r == 0)
		r = find_part(s, time_s, key, &part);
	if (r < 0)
		return r;
	/* A clock that was set back is followed: else each commit would end its minute. */
	if (end_s > s->newest_s || end_s < s->newest_s - PIECE_LATE_US / 1000000)
		s->newest_s = end_s;
	part->sum.flows += row->flow_id && !row->seq;
	part->sum.up += row->up_bytes;
	part->sum.down += row->down_bytes;
	part->sum.up_packets += row->up_packets;
	part->sum.down_packets += row->down_packets;
	part->sum.refused += row->refused_calls + row->refused_packets;
	part->sum.last = MAX(part->sum.last, (uint32_t)(end_s - time_s));
	return 0;
}

static int by_time_and_key(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? -1 : 1;
	return (x->sum.key > y->sum.key) - (x->sum.key < y->sum.key);
}

static int write_parts(struct sums *s)
{
	int r = 0;

	if (s->n_parts)
		qsort(s->parts, s->n_parts, sizeof(*s->parts), by_time_and_key);
	for (size_t i = 0; r == 0 && i < s->n_parts; i++) {
		const struct sum_entry *e = &s->parts[i].sum;
		const uint64_t v[] = { (uint64_t)s->parts[i].time_s,
				       e->key,
				       e->flows,
				       e->up,
				       e->down,
				       e->up_packets,
				       e->down_packets,
				       e->refused,
				       e->last };

		for (size_t k = 0; k < ARRAY_SIZE(v); k++)
			sqlite3_bind_int64(s->add, (int)k + 1, (int64_t)v[k]);
		r = db_step_done(s->add);
	}
	s->n_parts = 0;
	dim_map_clear(&s->index);
	return r;
}

/* ---- making few rows of many ---- */

static int insert_sum(struct sums *s, enum store_step step, int64_t time_s, struct sum_list *l)
{
	_cleanup_buf_ struct buf packed = BUF_INIT(32U << 20);
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	uint32_t last_key = 0;
	int r;

	sum_list_merge(l);
	for (size_t i = 0; i < l->n; i++)
		sum_put(&packed, &l->v[i], &last_key);
	if (packed.failed)
		return -ENOMEM;
	r = db_prepare(s->db, "INSERT INTO sum(step, time, rolled, data) VALUES(?, ?, 0, ?)", &q);
	if (r < 0)
		return r;
	sqlite3_bind_int(q, 1, (int)step);
	sqlite3_bind_int64(q, 2, time_s);
	sqlite3_bind_blob(q, 3, packed.n ? packed.p : "", (int)packed.n, SQLITE_STATIC);
	return db_step_done(q);
}

static int run(struct sums *s, const char *sql, const int64_t *v, size_t n)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = db_prepare(s->db, sql, &q);

	for (size_t i = 0; r == 0 && i < n; i++)
		sqlite3_bind_int64(q, (int)i + 1, v[i]);
	return r < 0 ? r : db_step_done(q);
}

/* The rows of one minute become one. */
static int pack_minute(struct sums *s, int64_t time_s)
{
	_cleanup_(sum_list_done) struct sum_list l = { 0 };
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int rc = SQLITE_DONE, r;

	r = db_prepare(s->db,
		       "SELECT key, flows, up, down, up_packets, down_packets, refused, last FROM "
		       "now WHERE time = ?",
		       &q);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, time_s);
	while (r == 0 && (rc = sqlite3_step(q)) == SQLITE_ROW)
		r = sum_list_add(&l, &(struct sum_entry){
					     .key = (uint32_t)sqlite3_column_int64(q, 0),
					     .flows = (uint64_t)sqlite3_column_int64(q, 1),
					     .up = (uint64_t)sqlite3_column_int64(q, 2),
					     .down = (uint64_t)sqlite3_column_int64(q, 3),
					     .up_packets = (uint64_t)sqlite3_column_int64(q, 4),
					     .down_packets = (uint64_t)sqlite3_column_int64(q, 5),
					     .refused = (uint64_t)sqlite3_column_int64(q, 6),
					     .last = (uint32_t)sqlite3_column_int64(q, 7),
				     });
	r = r < 0 ? r : db_errno(rc);
	if (r == 0)
		r = insert_sum(s, STORE_MINUTE, time_s, &l);
	return r < 0 ? r : run(s, "DELETE FROM now WHERE time = ?", &time_s, 1);
}

static int pack_minutes(struct sums *s, int64_t before_s)
{
	int r = 0;

	while (r == 0) {
		int rc = sqlite3_step(s->oldest);
		bool any = rc == SQLITE_ROW && sqlite3_column_type(s->oldest, 0) != SQLITE_NULL;
		int64_t time_s = any ? sqlite3_column_int64(s->oldest, 0) : 0;

		sqlite3_reset(s->oldest);
		r = db_errno(rc);
		if (r < 0 || !any || time_s + 60 > before_s)
			break;
		r = pack_minute(s, time_s);
	}
	return r;
}

/* All rows of a step within [from, to) that are not rolled, added up, their times apart from `last`. */
static int gather(struct sums *s, enum store_step step, int64_t from_s, int64_t to_s,
		  struct sum_list *l)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int rc = SQLITE_DONE, r;

	r = db_prepare(s->db,
		       "SELECT time, data FROM sum WHERE step = ? AND time >= ? AND time < ? AND "
		       "rolled = 0",
		       &q);
	if (r < 0)
		return r;
	sqlite3_bind_int(q, 1, (int)step);
	sqlite3_bind_int64(q, 2, from_s);
	sqlite3_bind_int64(q, 3, to_s);
	while (r >= 0 && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		int64_t time_s = sqlite3_column_int64(q, 0);
		struct str data = db_bytes(q, 1);
		struct sum_entry e;
		uint32_t last_key = 0;

		while ((r = sum_take(&data, &e, &last_key)) == 1) {
			e.last += (uint32_t)(time_s - from_s);
			r = sum_list_add(l, &e);
			if (r < 0)
				break;
		}
	}
	return r < 0 ? r : db_errno(rc);
}

static int roll_one(struct sums *s, enum store_step from, int64_t begin_s, int64_t length_s)
{
	_cleanup_(sum_list_done) struct sum_list l = { 0 };
	int r = gather(s, from, begin_s, begin_s + length_s, &l);

	if (r == 0)
		r = insert_sum(s, from + 1, begin_s, &l);
	if (r < 0)
		return r;
	return run(s,
		   "UPDATE sum SET rolled = 1 WHERE step = ? AND time >= ? AND time < ? AND rolled "
		   "= 0",
		   (int64_t[]){ from, begin_s, begin_s + length_s }, 3);
}

static int roll_step(struct sums *s, enum store_step from, int64_t length_s, int64_t before_s)
{
	char sql[96];
	int r = 0;

	snprintf(sql, sizeof(sql), "SELECT min(time) + 1 FROM sum WHERE step = %d AND rolled = 0",
		 (int)from);
	while (r == 0) {
		int64_t time_s = 0;

		r = db_number(s->db, sql, &time_s);
		if (r < 0 || !time_s--)
			break;
		time_s -= time_s % length_s;
		if (time_s + length_s > before_s)
			break;
		r = roll_one(s, from, time_s, length_s);
	}
	return r;
}

static int roll_all(struct sums *s, int64_t before_s)
{
	int r = pack_minutes(s, before_s);

	if (r == 0)
		r = roll_step(s, STORE_MINUTE, HOUR_S, before_s);
	if (r == 0)
		r = roll_step(s, STORE_HOUR, 24 * HOUR_S, before_s);
	return r;
}

/* ---- committing ---- */

static int commit(struct sums *s, int r)
{
	if (r == 0)
		r = db_step_done(s->commit);
	if (r < 0)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->begun = false;
	return r;
}

int sums_commit(struct sums *s, int64_t day, int64_t file, int64_t id)
{
	int r = s->begun ? 0 : db_step_done(s->begin);

	if (r == 0)
		r = write_parts(s);
	sqlite3_bind_int64(s->mark, 1, day);
	sqlite3_bind_int64(s->mark, 2, file);
	sqlite3_bind_int64(s->mark, 3, id);
	if (r == 0)
		r = db_step_done(s->mark);
	if (r == 0)
		r = roll_all(s, s->newest_s - PIECE_LATE_US / 1000000);
	return commit(s, r);
}

int sums_roll(struct sums *s, int64_t now_s)
{
	int r = db_step_done(s->begin);

	return commit(s, r < 0 ? r : roll_all(s, now_s));
}

int sums_forget(struct sums *s, int64_t minutes_before_s, int64_t hours_before_s)
{
	static const char sql[] = "DELETE FROM sum WHERE step = ? AND time < ? AND rolled = 1";
	int r = db_step_done(s->begin);

	if (r == 0)
		r = run(s, sql, (int64_t[]){ STORE_MINUTE, minutes_before_s }, 2);
	if (r == 0)
		r = run(s, sql, (int64_t[]){ STORE_HOUR, hours_before_s }, 2);
	r = commit(s, r);
	return r < 0 ? r : db_exec(s->db, "PRAGMA incremental_vacuum");
}
