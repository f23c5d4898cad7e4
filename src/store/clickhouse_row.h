/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of history as ClickHouse's RowBinary, for the tables of packaging/clickhouse/schema. Pure. The same row gives the same
 * bytes, and a server whose columns are LowCardinality takes them too.
 */
#pragma once

#include "store/clickhouse_table.h"
#include "store/row.h"

/* Each appends one row. */
void clickhouse_put_flow(struct buf *out, struct str host, const struct store_row *row);
void clickhouse_put_verdict(struct buf *out, struct str host, const struct store_row *row);
void clickhouse_put_name(struct buf *out, struct str host, const struct store_name *name);
void clickhouse_put_finding(struct buf *out, struct str host, const struct store_finding *f);
void clickhouse_put_host(struct buf *out, struct str host, const struct store_host *h);
void clickhouse_put_policy(struct buf *out, struct str host, const struct store_policy *p);
