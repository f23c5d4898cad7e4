/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the SQLite store: a dimension, that is a table whose rows are written once and then named by their id. What was
 * written is known by 64-bit hashes with a random seed, so nobody can choose two rows that are taken for one. Past DIM_MAX rows the
 * hashes are forgotten and rows are written anew: more bytes, no wrong answer.
 */
#pragma once

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define DIM_MAX (1U << 20)
#define DIM_COLUMNS_MAX 20

/* From hash to id; id 0: not there. */
struct dim_map {
	struct dim_slot {
		uint64_t hash;
		uint32_t id;
	} * slots;
	size_t n, cap;
};
uint32_t dim_map_find(const struct dim_map *m, uint64_t hash);
int dim_map_add(struct dim_map *m, uint64_t hash, uint32_t id); /* 0 or -ENOMEM */
void dim_map_clear(struct dim_map *m);
void dim_map_done(struct dim_map *m);

struct dim_value {
	enum { DIM_NUMBER, DIM_TEXT, DIM_BLOB, DIM_NULL } type;
	int64_t n;
	struct str s;
};
#define DIM_N(v) ((struct dim_value){ .type = DIM_NUMBER, .n = (int64_t)(v) })
#define DIM_T(v) ((struct dim_value){ .type = DIM_TEXT, .s = (v) })
#define DIM_B(v) ((struct dim_value){ .type = DIM_BLOB, .s = (v) })

struct dim {
	sqlite3_stmt *insert;
	struct dim_map map;
	uint64_t seed;
	uint32_t next_id;
};

/* `columns` after the id, as "a, b". Reads what is there. 0 or -errno as in store/db.h. */
int dim_open(struct dim *d, sqlite3 *db, const char *table, const char *columns, size_t n_columns,
	     uint64_t seed);
void dim_close(struct dim *d); /* all 0 is fine */

/* The id of a row, written when it is new (then *ret_new, which may be NULL). 0 or -errno; -EOVERFLOW: ids ran out. */
int dim_id(struct dim *d, const struct dim_value *v, size_t n, uint32_t *ret_id, bool *ret_new);
