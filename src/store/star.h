/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the SQLite store: rows of history put together from the star of a day's file. Rows of dimensions are looked up once and
 * kept, up to 128 MiB; then all are forgotten.
 */
#pragma once

#include "store/arena.h"
#include "store/pieces.h"

struct star {
	sqlite3 *db; /* borrowed */
	int64_t day;
	struct arena arena;
	struct shelf shelves[PIECE_DIM_COUNT], boots;
	sqlite3_stmt *dims[PIECE_DIM_COUNT], *boot;
};

int star_open(struct star *d, sqlite3 *db, int64_t day);
void star_close(struct star *d);

/* The piece that a statement of PIECE_COLUMNS stands on; texts are borrowed until the next. */
int star_row(struct star *d, sqlite3_stmt *s, struct store_row *row);

uint64_t star_ns(int64_t us); /* 0: no time at all */
