/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the SQLite store: from what a question names to rows of one day's file, by their indexes. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/read.h"

/* Ids as bits. */
struct id_set {
	uint64_t *bits;
	size_t n_words, n; /* n: how many are in it */
};
bool id_set_has(const struct id_set *s, int64_t id);
void id_set_done(struct id_set *s);

struct id_list { /* ascending */
	int64_t *v;
	size_t n, cap;
};
void id_list_done(struct id_list *l);

bool hint_names_peer(const struct store_hint *h);
/* Rows of `peer` that it may mean; *ret_one is the only one, else 0. */
int hint_peers(sqlite3 *db, const struct store_hint *h, struct id_set *ret, int64_t *ret_one);
int hint_procs(sqlite3 *db, const struct store_hint *h, struct id_set *ret);
/* Pieces within [from, to). -E2BIG: so many that all should be read instead. */
int hint_pieces_of_peers(sqlite3 *db, const struct id_set *peers, int64_t from_id, int64_t to_id,
			 struct id_list *ret);
int hint_pieces_of_flow(sqlite3 *db, const struct store_hint *h, int64_t from_id, int64_t to_id,
			struct id_list *ret);
