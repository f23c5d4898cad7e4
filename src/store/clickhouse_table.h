/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of packaging/clickhouse/schema as they are written: statements, and a reader of RowBinary for bytes that came from
 * another machine. The rows themselves are made in store/clickhouse_row.h. Pure.
 */
#pragma once

#include "base/buf.h"

enum clickhouse_table {
	CLICKHOUSE_FLOW,
	CLICKHOUSE_NAME,
	CLICKHOUSE_VERDICT,
	CLICKHOUSE_FINDING,
	CLICKHOUSE_HOST,
	CLICKHOUSE_POLICY,
	CLICKHOUSE_TABLES
};

/* "INSERT INTO flow_1 (…) FORMAT RowBinary": with the version of the schema, so that a later egretd sends what an earlier one left. */
const char *clickhouse_insert(enum clickhouse_table t);
const char *clickhouse_table_name(enum clickhouse_table t); /* "flow_1" */
int clickhouse_table_of(struct str insert); /* whose statement it is, as a whole; -1: none */

#define CLICKHOUSE_ROW_MAX (1U << 20) /* bytes of a row */
#define CLICKHOUSE_PARTS_MAX 4096     /* elements of an array */

/*
 * Whole rows of a table and nothing else, each value written in the one way in which ClickHouse reads it as we do? 0 and how many;
 * -EBADMSG: not so; or what `on_row` returned that is not 0. The row's `host` may hold any byte.
 */
typedef int (*clickhouse_row_fn)(void *ctx, uint32_t ts, struct str host);
int clickhouse_walk(enum clickhouse_table t, struct str bytes, clickhouse_row_fn on_row, void *ctx,
		    uint32_t *ret_rows);
