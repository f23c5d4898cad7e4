/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to history/: a span of a fleet's history, as scan.h has it of this machine's. ClickHouse filters and sums, by the columns that the
 * question is about; what it cannot tell to the letter comes as pieces and is filtered here.
 */
#pragma once

#include <jansson.h>

#include "history/fleet_sql.h"
#include "history/scan.h"

struct fleet;

#define FLEET_SHORT_NS \
	(6 * 3600 * 1000000000ULL) /* up to here everything comes from pieces, to the second */

/* -EREMOTEIO and why, here and below: ClickHouse does not answer, or says no. `error` is kept, and written to. */
int fleet_open(struct fleet **ret, const struct ship_settings *settings,
	       char error[QUESTION_ERROR_MAX]);
struct fleet *fleet_close(struct fleet *f); /* NULL is fine */

/* As scan_run() and scan_rows(). 1: the scan's `top` would take too long a statement. */
int fleet_run(struct scan *s, portion_fn fn, void *ctx);
int fleet_rows(struct scan *s, struct store_span span, const struct store_hint *hint,
	       bool newest_first, store_row_fn fn, void *ctx);

/* A query whose answer has these columns in this order. */
int fleet_read(struct fleet *f, const struct buf *query, const uint8_t *columns, size_t n,
	       clickhouse_piece_fn fn, void *ctx);
/* A query that ends in FORMAT JSONCompact: {"data":[[…],…],…}, the caller's. NULL: why is told. */
json_t *fleet_json(struct fleet *f, const struct buf *query);

/* "SELECT a, b" of all columns that a table has, and which they are. */
size_t fleet_put_all_columns(struct buf *out, enum fleet_table table,
			     uint8_t columns[COLUMN_COUNT]);

/* A row of `verdict` as the history of a machine has it: over at once, and of no flow. */
void fleet_refusal(struct store_row *row);
