/* SPDX-License-Identifier: Apache-2.0 */
#include "store/dim.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "store/db.h"

#define SLOTS_FIRST 256

static struct dim_slot *slot_of(const struct dim_map *m, uint64_t hash)
{
	size_t i = (size_t)hash & (m->cap - 1);

	while (m->slots[i].id && m->slots[i].hash != hash)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

uint32_t dim_map_find(const struct dim_map *m, uint64_t hash)
{
	return m->cap ? slot_of(m, hash)->id : 0;
}

static int grow(struct dim_map *m)
{
	struct dim_map bigger = { .cap = m->cap ? 2 * m->cap : SLOTS_FIRST, .n = m->n };

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].id)
			*slot_of(&bigger, m->slots[i].hash) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int dim_map_add(struct dim_map *m, uint64_t hash, uint32_t id)
{
	struct dim_slot *s;

	if (m->n >= DIM_MAX)
		dim_map_clear(m);
	if (4 * (m->n + 1) > 3 * m->cap && grow(m) < 0)
		return -ENOMEM;
	s = slot_of(m, hash);
	m->n += !s->id;
	*s = (struct dim_slot){ hash, id };
	return 0;
}

void dim_map_clear(struct dim_map *m)
{
	if (m->cap)
		memset(m->slots, 0, m->cap * sizeof(*m->slots));
	m->n = 0;
}

void dim_map_done(struct dim_map *m)
{
	free(m->slots);
	*m = (struct dim_map){ 0 };
}

/* The same bytes for the same row, whether it is to be written or was read. */
static uint64_t hash_values(const struct dim *d, const struct dim_value *v, size_t n)
{
	uint64_t at[3 * DIM_COLUMNS_MAX];
	size_t k = 0;

	if (n == 1 && v->type != DIM_NUMBER)
		return hash_bytes(v->s.p, v->s.n, d->seed);
	for (size_t i = 0; i < n; i++) {
		at[k++] = v[i].type;
		if (v[i].type == DIM_NUMBER) {
			at[k++] = (uint64_t)v[i].n;
		} else if (v[i].type != DIM_NULL) {
			at[k++] = v[i].s.n;
			at[k++] = hash_bytes(v[i].s.p, v[i].s.n, d->seed);
		}
	}
	return hash_bytes(at, k * sizeof(at[0]), d->seed);
}

static struct dim_value value_read(sqlite3_stmt *s, int column)
{
	switch (sqlite3_column_type(s, column)) {
	case SQLITE_INTEGER:
		return DIM_N(sqlite3_column_int64(s, column));
	case SQLITE_TEXT:
		return DIM_T(db_bytes(s, column));
	case SQLITE_BLOB:
		return DIM_B(db_bytes(s, column));
	default:
		return (struct dim_value){ .type = DIM_NULL };
	}
}

static int load(struct dim *d, sqlite3 *db, const char *sql, size_t n_columns)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct dim_value v[DIM_COLUMNS_MAX];
	int r = db_prepare(db, sql, &s), rc = SQLITE_DONE;

	while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(s, 0);

		if (id <= 0 || id >= UINT32_MAX)
			return -EBADMSG;
		for (size_t i = 0; i < n_columns; i++)
			v[i] = value_read(s, (int)i + 1);
		r = dim_map_add(&d->map, hash_values(d, v, n_columns), (uint32_t)id);
		d->next_id = (uint32_t)id + 1;
	}
	return r < 0 ? r : db_errno(rc);
}

int dim_open(struct dim *d, sqlite3 *db, const char *table, const char *columns, size_t n_columns,
	     uint64_t seed)
{
	static const char marks[] = ", ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?";
	char sql[512];
	int r;

	*d = (struct dim){ .seed = seed, .next_id = 1 };
	snprintf(sql, sizeof(sql), "SELECT id, %s FROM %s ORDER BY id", columns, table);
	r = load(d, db, sql, n_columns);
	snprintf(sql, sizeof(sql), "INSERT INTO %s(id, %s) VALUES(?%.*s)", table, columns,
		 (int)(3 * n_columns), marks);
	if (r == 0)
		r = db_prepare(db, sql, &d->insert);
	return r;
}

void dim_close(struct dim *d)
{
	sqlite3_finalize(d->insert);
	dim_map_done(&d->map);
	*d = (struct dim){ 0 };
}

static int insert(struct dim *d, const struct dim_value *v, size_t n)
{
	sqlite3_bind_int64(d->insert, 1, d->next_id);
	for (size_t i = 0; i < n; i++) {
		int at = (int)i + 2, len = (int)v[i].s.n;

		if (v[i].type == DIM_NUMBER)
			sqlite3_bind_int64(d->insert, at, v[i].n);
		else if (v[i].type == DIM_TEXT)
			sqlite3_bind_text(d->insert, at, v[i].s.n ? v[i].s.p : "", len,
					  SQLITE_STATIC);
		else if (v[i].type == DIM_BLOB)
			sqlite3_bind_blob(d->insert, at, v[i].s.n ? v[i].s.p : "", len,
					  SQLITE_STATIC);
		else
			sqlite3_bind_null(d->insert, at);
	}
	return db_step_done(d->insert);
}

int dim_id(struct dim *d, const struct dim_value *v, size_t n, uint32_t *ret_id, bool *ret_new)
{
	uint64_t hash = hash_values(d, v, n);
	uint32_t id = dim_map_find(&d->map, hash);
	int r;

	if (ret_new)
		*ret_new = !id;
	if (!id) {
		if (d->next_id == UINT32_MAX)
			return -EOVERFLOW;
		r = insert(d, v, n);
		if (r == 0)
			r = dim_map_add(&d->map, hash, d->next_id);
		if (r < 0)
			return r;
		id = d->next_id++;
	}
	*ret_id = id;
	return 0;
}
