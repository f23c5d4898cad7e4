/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage_view.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "cli/cells.h"
#include "cli/csv.h"
#include "cli/history_words.h"
#include "cli/table.h"
#include "cli/when.h"

#define BY_MAX 8
#define TITLE_MAX 24
#define CELL_MAX 65536
#define LINE_MAX (1U << 20)

static size_t split_by(const char *by, struct str ret[BY_MAX])
{
	struct str rest = str_of(by);
	size_t n = 0;

	while (n < BY_MAX && history_next_by(&rest, &ret[n]))
		n++;
	return n;
}

static const json_t *fact(const json_t *row, struct str dim)
{
	return json_object_getn(row, dim.p, dim.n);
}

/* --- for people -------------------------------------------------------------------------------------------------- */

struct view {
	struct str by[BY_MAX];
	size_t n_by;
	bool refused, cost;
	char titles[BY_MAX][TITLE_MAX];
	struct table_column columns[BY_MAX + 6];
	size_t n_columns;
};

static void add_column(struct view *v, const char *title, bool right, bool elastic)
{
	v->columns[v->n_columns++] = (struct table_column){ title, right, elastic };
}

/* Columns that would be empty from top to bottom are left out. */
static void find_columns(struct view *v, const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		v->refused |= history_number(row, "refused") > 0;
		v->cost |= json_object_get(row, "cost") != NULL;
	}
	for (size_t at = 0; at < v->n_by; at++) {
		size_t n = MIN(v->by[at].n, (size_t)TITLE_MAX - 1);

		for (size_t c = 0; c < n; c++) {
			char lower = v->by[at].p[c];

			v->titles[at][c] =
				lower >= 'a' && lower <= 'z' ? (char)(lower - 32) : lower;
		}
		add_column(v, v->titles[at], false, true);
	}
	add_column(v, "FLOWS", true, false);
	add_column(v, "UP", true, false);
	add_column(v, "DOWN", true, false);
	if (v->refused)
		add_column(v, "REFUSED", true, false);
	if (v->cost)
		add_column(v, "COST", true, false);
	add_column(v, "LAST", false, false);
}

static void add_row(const struct view *v, struct table *t, const json_t *row)
{
	char text[HUMAN_TEXT_MAX], when[WHEN_TEXT];
	_cleanup_buf_ struct buf cell = BUF_INIT(CELL_MAX);

	for (size_t i = 0; i < v->n_by; i++) {
		buf_clear(&cell);
		if (!i && json_is_true(json_object_get(row, "others")))
			buf_puts(&cell, "(others)");
		else
			history_put_fact(&cell, fact(row, v->by[i]));
		table_cell(t, buf_str(&cell));
	}
	table_cell(t, str_of(human_count(history_number(row, "flows"), text)));
	table_cell(t, str_of(human_bytes(history_number(row, "up"), text)));
	table_cell(t, str_of(human_bytes(history_number(row, "down"), text)));
	if (v->refused)
		table_cell(t, str_of(human_count(history_number(row, "refused"), text)));
	if (v->cost) {
		buf_clear(&cell);
		if (!history_put_cost(&cell, json_object_get(row, "cost")))
			buf_putc(&cell, '-');
		table_cell(t, buf_str(&cell));
	}
	table_cell(t, str_of(when_format((time_t)history_number(row, "last"), when)));
}

static void put_forecast(struct buf *out, const json_t *forecast, time_t to)
{
	char text[HUMAN_TEXT_MAX], when[WHEN_TEXT];

	if (!json_is_object(forecast))
		return;
	buf_printf(out, "until %s, if it goes on like this: ", when_format(to, when));
	buf_printf(out, "%s up, ", human_bytes(history_number(forecast, "up"), text));
	buf_printf(out, "%s down", human_bytes(history_number(forecast, "down"), text));
	if (json_object_get(forecast, "cost")) {
		buf_puts(out, ", ");
		history_put_cost(out, json_object_get(forecast, "cost"));
	}
	buf_putc(out, '\n');
}

int usage_print(FILE *to, const char *by, const json_t *rows, const json_t *end, unsigned width)
{
	_cleanup_buf_ struct buf out = BUF_INIT(LINE_MAX);
	struct view v = { 0 };
	uint64_t all = history_number(end, "rows");
	char shown[HUMAN_TEXT_MAX], total[HUMAN_TEXT_MAX];
	struct table *t;
	const json_t *row;
	size_t i;

	v.n_by = split_by(by, v.by);
	find_columns(&v, rows);
	if (table_new(&t, v.columns, v.n_columns) < 0)
		return -ENOMEM;
	json_array_foreach(rows, i, row) add_row(&v, t, row);
	if (json_array_size(rows))
		table_print(t, to, width);
	table_free(t);
	if (all > json_array_size(rows))
		buf_printf(&out, "(%s of %s%s rows; --limit N shows more)\n",
			   human_count(json_array_size(rows), shown),
			   json_is_true(json_object_get(end, "rows_at_least")) ? "at least " : "",
			   human_count(all, total));
	buf_puts(&out, json_array_size(rows) ? "\ntotal: " : "total: ");
	history_put_totals(&out, json_object_get(end, "totals"));
	buf_putc(&out, '\n');
	put_forecast(&out, json_object_get(end, "forecast"), (time_t)history_number(end, "to"));
	history_put_end(&out, end);
	if (out.failed)
		return -ENOMEM;
	fwrite(out.p, 1, out.n, to);
	return 0;
}

/* --- for spreadsheets -------------------------------------------------------------------------------------------- */

static const char *const numbers[] = { "flows",   "up",   "down",     "packets_up", "packets_down",
				       "refused", "cost", "currency", "first",      "last" };

/* Several currencies stand in one field, with semicolons. */
static void put_csv_cost(struct buf *out, const json_t *cost, const char *key)
{
	const json_t *one;
	size_t i;

	csv_put_value(out, json_object_get(cost, key));
	json_array_foreach(cost, i, one)
	{
		buf_puts(out, i ? ";" : "");
		csv_put_value(out, json_object_get(one, key));
	}
}

static void put_csv_row(struct buf *out, const struct str *by, size_t n_by, const json_t *row)
{
	const json_t *cost = json_object_get(row, "cost");
	char when[WHEN_TEXT];

	for (size_t i = 0; i < n_by; i++) {
		if (!i && json_is_true(json_object_get(row, "others")))
			buf_puts(out, "(others)");
		else
			csv_put_value(out, fact(row, by[i]));
		buf_putc(out, ',');
	}
	for (size_t i = 0; i < 6; i++) {
		csv_put_value(out, json_object_get(row, numbers[i]));
		buf_putc(out, ',');
	}
	put_csv_cost(out, cost, "amount");
	buf_putc(out, ',');
	put_csv_cost(out, cost, "currency");
	buf_printf(out, ",%s", when_format_utc((time_t)history_number(row, "first"), when));
	buf_printf(out, ",%s\n", when_format_utc((time_t)history_number(row, "last"), when));
}

void usage_print_csv(FILE *to, const char *by, const json_t *rows)
{
	_cleanup_buf_ struct buf line = BUF_INIT(LINE_MAX);
	struct str dims[BY_MAX];
	size_t n = split_by(by, dims), i;
	const json_t *row;

	for (size_t at = 0; at < n; at++)
		buf_printf(&line, "%.*s,", STR_FMT(dims[at]));
	for (size_t at = 0; at < ARRAY_SIZE(numbers); at++)
		buf_printf(&line, "%s%s", at ? "," : "", numbers[at]);
	buf_putc(&line, '\n');
	csv_print(&line, to);
	json_array_foreach(rows, i, row)
	{
		put_csv_row(&line, dims, n, row);
		csv_print(&line, to);
	}
}
