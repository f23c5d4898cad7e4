/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/flows_table.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "cli/cells.h"
#include "cli/flow_row.h"
#include "cli/table.h"

#define CELL_MAX 65536

static const struct table_column columns[] = {
	[FLOWS_FROM_HOST] = { "HOST", .elastic = true }, /* left out when all is of one */
	[FLOWS_FROM_DATE] = { "DATE" },                  /* left out when all is of today */
	{ "START" },
	{ "PROGRAM", .elastic = true },
	{ "USER", .elastic = true },
	{ "NAME", .elastic = true },
	{ "FROM" },
	{ "ADDRESS", .elastic = true },
	{ "PORT", .right = true },
	{ "PROTOCOL" },
	{ "UP", .right = true },
	{ "DOWN", .right = true },
	{ "STATE" },
	{ "VERDICT" },
};

#define COLUMNS ARRAY_SIZE(columns)

/* Widths of a stream; the elastic columns share what is left. */
static const unsigned stream_widths[COLUMNS] = { 0, 0, 11, 0, 8, 0, 5, 0, 5, 9, 7, 7, 11, 14 };

static void cells_of(const json_t *record, uint64_t now_ns, bool days,
		     char texts[COLUMNS][FLOW_ROW_TEXT], struct str cells[COLUMNS])
{
	const char *host = json_string_value(json_object_get(record, "host"));
	struct str dash = STR("-");
	struct flow_row r;

	flow_row_read(&r, record);
	cells[0] = host ? str_of(host) : dash;
	cells[1] = flow_row_date(&r, texts[1]);
	cells[2] = days ? flow_row_time(&r, texts[2]) : flow_row_start(&r, now_ns, texts[2]);
	cells[3] = r.program;
	cells[4] = r.user.n ? r.user : dash;
	cells[5] = r.name.n ? r.name : dash;
	cells[6] = r.source.n ? r.source : dash;
	cells[7] = r.dest;
	snprintf(texts[8], FLOW_ROW_TEXT, "%d", r.dport);
	cells[8] = r.dport < 0 ? dash : str_of(texts[8]);
	cells[9] = flow_row_proto(&r, texts[9]);
	cells[10] = str_of(human_bytes(r.up, texts[10]));
	cells[11] = str_of(human_bytes(r.down, texts[11]));
	cells[12] = flow_row_state(&r);
	cells[13] = flow_row_verdict(&r, texts[13]);
	if (!cells[13].n)
		cells[13] = dash;
}

int flows_table_new(struct table **ret, enum flows_table_from from)
{
	return table_new(ret, columns + from, COLUMNS - from);
}

void flows_table_add(struct table *t, const json_t *record, uint64_t now_ns,
		     enum flows_table_from from)
{
	char texts[COLUMNS][FLOW_ROW_TEXT];
	struct str cells[COLUMNS];

	cells_of(record, now_ns, from < FLOWS_FROM_START, texts, cells);
	for (size_t i = from; i < COLUMNS; i++) {
		_cleanup_buf_ struct buf cell = BUF_INIT(CELL_MAX);

		cell_put_all(&cell, cells[i]);
		table_cell(t, buf_str(&cell));
	}
}

static void stream_line(struct buf *out, const struct str *cells, unsigned width)
{
	unsigned fixed = 0, share;

	for (size_t i = FLOWS_FROM_START; i < COLUMNS; i++)
		fixed += stream_widths[i] + 2;
	share = width > fixed + 24 ? (width - fixed) / 3 : 8;
	buf_clear(out);
	for (size_t i = FLOWS_FROM_START; i < COLUMNS; i++) {
		cell_put(out, cells[i], stream_widths[i] ? stream_widths[i] : share,
			 columns[i].right);
		buf_puts(out, i + 1 < COLUMNS ? "  " : "\n");
	}
}

void flows_stream_head(struct buf *out, unsigned width)
{
	struct str cells[COLUMNS];

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = str_of(columns[i].title);
	stream_line(out, cells, width);
}

void flows_stream_row(struct buf *out, const json_t *record, uint64_t now_ns, unsigned width)
{
	char texts[COLUMNS][FLOW_ROW_TEXT];
	struct str cells[COLUMNS];

	cells_of(record, now_ns, false, texts, cells);
	stream_line(out, cells, width);
}
