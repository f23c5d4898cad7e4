/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the SQLite store: reading one day's file of pieces. Nothing in it is believed: it may have been damaged or made. */
#pragma once

#include "store/pieces.h"
#include "store/read.h"

struct day;

int day_open(struct day **ret, const char *path, char error[DB_ERROR_MAX]);
struct day *day_close(struct day *d);
int64_t day_of(const struct day *d);
int64_t day_file(const struct day *d);
int day_last_id(struct day *d, int64_t *ret);
uint64_t day_first_ns(struct day *d); /* end of its first piece; 0: none */

typedef int (*day_fn)(void *ctx, const struct store_row *row, int64_t id);
/* Pieces with from_id <= id < to_id in the order of ids, or from the last to the first. */
int day_read(struct day *d, int64_t from_id, int64_t to_id, const struct store_hint *hint,
	     bool newest_first, day_fn fn, void *ctx);
bool day_touches(int64_t day, struct store_span span); /* its file may have pieces of the span */
/* Ids of pieces that may end within the span. */
void day_ids(const struct day *d, struct store_span span, int64_t *ret_from, int64_t *ret_to);
