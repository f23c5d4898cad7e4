/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/timeline_view.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/time.h"
#include "cli/ask_history.h"
#include "cli/cells.h"
#include "cli/chart.h"
#include "cli/csv.h"

#define LABEL_MAX 24U
#define NUMBERS 40U /* three numbers and the blanks before them */
#define LEAST 20U
#define POINTS_MAX 100000
#define TEXT_MAX (4U << 20)

unsigned timeline_room(unsigned width)
{
	unsigned all = width ? width : TIMELINE_COLUMNS;

	return all > LABEL_MAX + NUMBERS + LEAST ? all - LABEL_MAX - NUMBERS : LEAST;
}

/* --- series ------------------------------------------------------------------------------------------------------ */

struct line {
	struct buf label;
	uint64_t *values; /* a column each */
	uint64_t up, down, highest;
};

struct chart {
	struct line *lines;
	size_t n_lines, n_points, n_columns;
	size_t each;   /* points a column */
	unsigned step; /* of a point, seconds */
	time_t start;
};

static uint64_t point(const json_t *series, const char *key, size_t i)
{
	json_int_t v = json_integer_value(json_array_get(json_object_get(series, key), i));

	return v > 0 ? (uint64_t)v : 0;
}

/* "curl, example.org"; the rest of the series; "all" without --by. */
static void put_label(struct buf *out, const char *by, const json_t *series)
{
	const json_t *key = json_object_get(series, "key");
	struct str rest = str_of(by), word;

	if (json_is_true(json_object_get(series, "others"))) {
		buf_puts(out, "(others)");
		return;
	}
	for (size_t n = 0; str_cut(&rest, ',', &word); n++) {
		word = str_trim(word);
		if (str_eq(word, STR("program")))
			word = STR("app");
		buf_puts(out, n ? ", " : "");
		history_put_fact(out, json_object_getn(key, word.p, word.n));
	}
}

static int add_line(struct chart *c, const json_t *series, const char *label, bool up, bool down)
{
	struct line *l = &c->lines[c->n_lines];

	*l = (struct line){ .label = BUF_INIT(TEXT_MAX),
			    .values = calloc(c->n_points + 1, sizeof(*l->values)) };
	if (!l->values)
		return -ENOMEM;
	c->n_lines++;
	buf_puts(&l->label, label);
	for (size_t i = 0; i < c->n_points; i++) {
		uint64_t u = point(series, "up", i), d = point(series, "down", i);

		l->up += u;
		l->down += d;
		l->values[i] = (up ? u : 0) + (down ? d : 0);
	}
	for (size_t i = 0, n = chart_fold(l->values, c->n_points, c->each); i < n; i++)
		l->highest = MAX(l->highest, l->values[i]);
	return 0;
}

static int add_lines(struct chart *c, const char *by, const json_t *series)
{
	const json_t *one;
	size_t i;
	int r = 0;

	c->lines = calloc(json_array_size(series) * 2 + 1, sizeof(*c->lines));
	if (!c->lines)
		return -ENOMEM;
	json_array_foreach(series, i, one)
	{
		if (by) {
			r = add_line(c, one, "", true, true);
			if (r == 0)
				put_label(&c->lines[c->n_lines - 1].label, by, one);
		} else {
			r = add_line(c, one, "up", true, false);
			if (r == 0)
				r = add_line(c, one, "down", false, true);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static void drop_lines(struct chart *c)
{
	for (size_t i = 0; i < c->n_lines; i++) {
		buf_done(&c->lines[i].label);
		free(c->lines[i].values);
	}
	free(c->lines);
}

/* --- on paper ---------------------------------------------------------------------------------------------------- */

static void put_number(struct buf *out, const char *text, bool last)
{
	cell_put(out, str_of(text), 10, true);
	buf_putc(out, last ? '\n' : ' ');
}

/* UP and DOWN of a line that is only one of them would say one number twice. */
static void put_line(struct buf *out, const struct chart *c, const struct line *l, size_t label,
		     bool both)
{
	char text[HUMAN_TEXT_MAX];

	cell_put(out, buf_str(&l->label), label, false);
	buf_puts(out, "  ");
	chart_row(out, l->values, c->n_columns, l->highest);
	buf_putc(out, ' ');
	put_number(out, human_bytes(l->highest, text), false);
	if (both) {
		put_number(out, human_bytes(l->up, text), false);
		put_number(out, human_bytes(l->down, text), true);
	} else {
		put_number(
			out,
			human_bytes(str_eq(buf_str(&l->label), STR("up")) ? l->up : l->down, text),
			true);
	}
}

static void put_axis(struct buf *out, const struct chart *c, size_t label)
{
	_cleanup_buf_ struct buf times = BUF_INIT(TEXT_MAX), dates = BUF_INIT(TEXT_MAX);
	const struct buf *const lines[] = { &times, &dates };

	chart_axis(&times, &dates, c->start, c->step * (unsigned)c->each, c->n_columns);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (!lines[i]->n)
			continue;
		cell_put(out, STR_NONE, label + 2, false);
		buf_put_str(out, buf_str(lines[i]));
		buf_putc(out, '\n');
	}
}

/* "30 m", "6 h": steps are mostly whole ones. */
static void put_step(struct buf *out, uint64_t s)
{
	char text[TIME_TEXT_MAX];

	if (s % 86400 == 0)
		buf_printf(out, "%u d", (unsigned)(s / 86400));
	else if (s % 3600 == 0)
		buf_printf(out, "%u h", (unsigned)(s / 3600));
	else if (s % 60 == 0 && s < 3600)
		buf_printf(out, "%u m", (unsigned)(s / 60));
	else
		buf_puts(out, duration_format(s * NSEC_PER_SEC, text));
}

static void put_chart(struct buf *out, const struct chart *c, const char *by)
{
	size_t label = by ? 8 : 4;

	for (size_t i = 0; i < c->n_lines; i++)
		label = MAX(label, cell_width(buf_str(&c->lines[i].label)));
	label = MIN(label, (size_t)LABEL_MAX);
	cell_put(out, STR_NONE, label + 2 + c->n_columns + 1, false);
	put_number(out, "HIGHEST", false);
	put_number(out, by ? "UP" : "TOTAL", !by);
	if (by)
		put_number(out, "DOWN", true);
	for (size_t i = 0; i < c->n_lines; i++)
		put_line(out, c, &c->lines[i], label, by != NULL);
	put_axis(out, c, label);
	buf_puts(out, "\none column is ");
	put_step(out, (uint64_t)c->step * c->each);
	buf_printf(out, "; each row from 0 to its HIGHEST column%s\n",
		   by ? ", up and down together" : "");
}

int timeline_print(FILE *to, const char *by, const json_t *series, const json_t *end,
		   unsigned width)
{
	struct chart c = { .n_points = MIN(history_number(end, "points"), (uint64_t)POINTS_MAX),
			   .step = (unsigned)MIN(history_number(end, "step"), 86400ULL * 366),
			   .start = (time_t)history_number(end, "start") };
	_cleanup_buf_ struct buf out = BUF_INIT(TEXT_MAX);
	unsigned room = timeline_room(width);
	int r;

	c.each = MAX((c.n_points + room - 1) / room, (size_t)1);
	c.n_columns = (c.n_points + c.each - 1) / c.each;
	r = add_lines(&c, by, series);
	if (r == 0) {
		if (c.n_lines && c.n_columns)
			put_chart(&out, &c, by);
		if (json_object_get(end, "totals")) {
			buf_puts(&out, "total: ");
			history_put_totals(&out, json_object_get(end, "totals"));
			buf_putc(&out, '\n');
		}
		history_put_end(&out, end);
		fwrite(out.p, 1, out.n, to);
	}
	drop_lines(&c);
	return out.failed ? -ENOMEM : r;
}

/* --- for spreadsheets -------------------------------------------------------------------------------------------- */

static void put_csv_key(struct buf *out, const char *by, const json_t *series)
{
	bool others = json_is_true(json_object_get(series, "others"));
	struct str rest = str_of(by), word;

	for (size_t n = 0; str_cut(&rest, ',', &word); n++) {
		word = str_trim(word);
		if (str_eq(word, STR("program")))
			word = STR("app");
		buf_putc(out, ',');
		if (others)
			buf_puts(out, n ? "" : "(others)");
		else
			csv_put_value(out, json_object_getn(json_object_get(series, "key"), word.p,
							    word.n));
	}
}

void timeline_print_csv(FILE *to, const char *by, const json_t *series, const json_t *end)
{
	static const char *const numbers[] = { "up", "down", "flows" };
	_cleanup_buf_ struct buf line = BUF_INIT(TEXT_MAX);
	uint64_t points = MIN(history_number(end, "points"), (uint64_t)POINTS_MAX);
	const json_t *one;
	size_t i;

	buf_printf(&line, "time%s%s,up,down,flows\n", by ? "," : "", by ? by : "");
	csv_print(&line, to);
	json_array_foreach(series, i, one)
	{
		for (size_t at = 0; at < points; at++) {
			time_t when = (time_t)(history_number(end, "start") +
					       at * history_number(end, "step"));
			char text[WHEN_TEXT];
			uint64_t any = 0;

			buf_puts(&line, when_format_utc(when, text));
			put_csv_key(&line, by, one);
			for (size_t n = 0; n < ARRAY_SIZE(numbers); n++) {
				uint64_t v = point(one, numbers[n], at);

				any |= v;
				buf_printf(&line, ",%llu", (unsigned long long)v);
			}
			buf_putc(&line, '\n');
			if (any)
				csv_print(&line, to);
			buf_clear(&line);
		}
	}
}
