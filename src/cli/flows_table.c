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
	{ "DATE" }, /* left out when all is of today */
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
static const unsigned stream_widths[COLUMNS] = { 0, 11, 0, 8, 0, 5, 0, 5, 9, 7, 7, 11, 14 };

static void cells_of(const json_t *record, uint64_t now_ns, bool days,
		     char texts[COLUMNS][FLOW_ROW_TEXT], struct str cells[COLUMNS])
{
	struct str dash = STR("-");
	struct flow_row r;

	flow_row_read(&r, record);
	cells[0] = flow_row_date(&r, texts[0]);
	cells[1] = days ? flow_row_time(&r, texts[1]) : flow_row_start(&r, now_ns, texts[1]);
	cells[2] = r.program;
	cells[3] = r.user.n ? r.user : dash;
	cells[4] = r.name.n ? r.name : dash;
	cells[5] = r.source.n ? r.source : dash;
	cells[6] = r.dest;
	snprintf(texts[7], FLOW_ROW_TEXT, "%d", r.dport);
	cells[7] = r.dport < 0 ? dash : str_of(texts[7]);
	cells[8] = flow_row_proto(&r, texts[8]);
	cells[9] = str_of(human_bytes(r.up, texts[9]));
	cells[10] = str_of(human_bytes(r.down, texts[10]));
	cells[11] = flow_row_state(&r);
	cells[12] = flow_row_verdict(&r, texts[12]);
	if (!cells[12].n)
		cells[12] = dash;
}

int flows_table_new(struct table **ret, bool days)
{
	return table_new(ret, columns + !days, COLUMNS - !days);
}

void flows_table_add(struct table *t, const json_t *record, uint64_t now_ns, bool days)
{
	char texts[COLUMNS][FLOW_ROW_TEXT];
	struct str cells[COLUMNS];

	cells_of(record, now_ns, days, texts, cells);
	for (size_t i = !days; i < COLUMNS; i++) {
		_cleanup_buf_ struct buf cell = BUF_INIT(CELL_MAX);

		cell_put_all(&cell, cells[i]);
		table_cell(t, buf_str(&cell));
	}
}

static void stream_line(struct buf *out, const struct str *cells, unsigned width)
{
	unsigned fixed = 0, share;

	for (size_t i = 1; i < COLUMNS; i++)
		fixed += stream_widths[i] + 2;
	share = width > fixed + 24 ? (width - fixed) / 3 : 8;
	buf_clear(out);
	for (size_t i = 1; i < COLUMNS; i++) {
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
