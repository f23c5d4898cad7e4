// SPDX-License-Identifier: Apache-2.0
/*
 * What users type becomes statements of ClickHouse, and what that answers becomes rows: no text leaves its quotes, whatever bytes it holds,
 * and no answer is read past its end.
 */
#include <stdlib.h>

#include "flow/filter.h"
#include "history/fleet_sql.h"
#include "store/clickhouse_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Quotes and parentheses close; between texts stands nothing but what egret itself writes. */
static void check(struct str sql)
{
	static const char own[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ (),.=<>!+*-[]";
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < sql.n; i++) {
		char c = sql.p[i];

		if (quoted && c == '\\') {
			i++;
		} else if (c == '\'') {
			quoted = !quoted;
		} else if (!quoted) {
			depth += (c == '(') - (c == ')');
			if (!c || !strchr(own, c) || depth < 0)
				abort();
		}
	}
	if (quoted || depth)
		abort();
}

static void try_filter(struct str text)
{
	struct filter_error error = { 0 };
	struct filter *f = NULL;
	bool exact;

	if (filter_parse(text, &f, &error) < 0)
		return;
	for (enum fleet_table t = FLEET_FLOW; t <= FLEET_KEY; t++) {
		struct buf sql = BUF_INIT(16U << 20);

		if (fleet_put_filter(&sql, f, t, &exact))
			check(buf_str(&sql));
		fleet_holds_in_part(f, t);
		buf_done(&sql);
	}
	filter_free(f);
}

static void try_text(struct str text)
{
	struct buf sql = BUF_INIT(1U << 20);

	fleet_put_text(&sql, text);
	buf_putc(&sql, ' ');
	fleet_put_below(&sql, "name", text);
	check(buf_str(&sql));
	buf_done(&sql);
}

static void try_rows(struct str in)
{
	uint8_t columns[COLUMN_COUNT];
	struct clickhouse_piece p;

	for (int i = 0; i < COLUMN_COUNT; i++)
		columns[i] = (uint8_t)i;
	while (in.n && clickhouse_take_row(&in, columns, COLUMN_COUNT, &p) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };

	try_filter(text);
	try_text(text);
	try_rows(text);
	return 0;
}
