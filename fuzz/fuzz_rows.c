// SPDX-License-Identifier: Apache-2.0
/* Rows in RowBinary that another machine sent: the first byte says of which table. */
#include <stdlib.h>

#include "store/clickhouse_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_row(void *ctx, uint32_t ts, struct str host)
{
	uint32_t *seen = ctx;

	*seen += 1;
	return host.n > CLICKHOUSE_ROW_MAX ? (abort(), 0) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t rows = 0, seen = 0;
	enum clickhouse_table t;

	if (!size)
		return 0;
	t = (enum clickhouse_table)(data[0] % CLICKHOUSE_TABLES);
	if (clickhouse_walk(t, (struct str){ (const char *)data + 1, size - 1 }, on_row, &seen,
			    &rows) == 0 &&
	    rows != seen)
		abort();
	clickhouse_table_of((struct str){ (const char *)data, size });
	return 0;
}
