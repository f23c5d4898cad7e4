/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Screen, from the top: title and rates, what is shown, losses or trouble if there are any, heads of columns, rows, and
 * keys or the filter being typed. Where it is narrow the least important columns go first, where it is low the heads.
 */
#include "cli/top_view.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/time.h"
#include "cli/cells.h"
#include "cli/flow_row.h"
#include "cli/top_model.h"

#define FRAME_MAX (1U << 20)
#define MAX_COLUMNS 12
#define LEAST_ELASTIC 16
#define SILENCE_NS (5 * NSEC_PER_SEC)

struct column {
	const char *title;
	size_t width; /* 0: what the others leave */
	bool right;
	unsigned spare; /* the highest goes first when it is narrow; 0 stays */
};

/* A table fitted to a screen: widths of columns left out are 0. */
struct fitted {
	const struct column *columns;
	size_t n, widths[MAX_COLUMNS];
	bool shown[MAX_COLUMNS];
};

enum {
	GROUP_LABEL,
	GROUP_FLOWS,
	GROUP_UP_RATE,
	GROUP_DOWN_RATE,
	GROUP_UP,
	GROUP_DOWN,
	GROUP_COLUMNS
};
enum {
	FLOW_START,
	FLOW_PROGRAM,
	FLOW_USER,
	FLOW_NAME,
	FLOW_SOURCE,
	FLOW_ADDRESS,
	FLOW_PORT,
	FLOW_PROTO,
	FLOW_UP,
	FLOW_DOWN,
	FLOW_STATE,
	FLOW_COLUMNS
};

static const struct column group_columns[GROUP_COLUMNS] = {
	[GROUP_LABEL] = { "", 0 },
	[GROUP_FLOWS] = { "FLOWS", 9, true, 3 },
	[GROUP_UP_RATE] = { "UP", 9, true, 1 },
	[GROUP_DOWN_RATE] = { "DOWN", 9, true, 2 },
	[GROUP_UP] = { "SENT", 8, true, 4 },
	[GROUP_DOWN] = { "RECEIVED", 8, true, 5 },
};

static const struct column flow_columns[FLOW_COLUMNS] = {
	[FLOW_START] = { "START", 11, false, 9 }, [FLOW_PROGRAM] = { "PROGRAM", 12, false, 3 },
	[FLOW_USER] = { "USER", 8, false, 10 },   [FLOW_NAME] = { "NAME", 0 },
	[FLOW_SOURCE] = { "FROM", 5, false, 8 },  [FLOW_ADDRESS] = { "ADDRESS", 15, false, 7 },
	[FLOW_PORT] = { "PORT", 5, true, 5 },     [FLOW_PROTO] = { "PROTO", 9, false, 6 },
	[FLOW_UP] = { "SENT", 7, true, 1 },       [FLOW_DOWN] = { "RECV", 7, true, 2 },
	[FLOW_STATE] = { "STATE", 11, false, 4 },
};

void top_frame_init(struct top_frame *f)
{
	*f = (struct top_frame){ .text = BUF_INIT(FRAME_MAX), .cursor_column = SIZE_MAX };
}

void top_frame_done(struct top_frame *f)
{
	buf_done(&f->text);
}

/* ---- lines ---- */

/* Begins a line; what is appended to frame.text until end_line() is it. */
static size_t begin_line(struct top_frame *f)
{
	return f->text.n;
}

static void end_line(struct top_frame *f, size_t from, enum top_style style)
{
	if (f->n_lines == TOP_FRAME_LINES || f->text.failed)
		return;
	f->lines[f->n_lines].from = from;
	f->lines[f->n_lines].n = f->text.n - from;
	f->lines[f->n_lines++].style = style;
}

static void put_line(struct top_frame *f, size_t columns, enum top_style style, struct str text)
{
	size_t from = begin_line(f);

	cell_put(&f->text, text, columns, false);
	end_line(f, from, style);
}

static void __attribute__((format(printf, 4, 5)))
put_format(struct top_frame *f, size_t columns, enum top_style style, const char *fmt, ...)
{
	char text[TOP_LABEL_MAX + TOP_FILTER_MAX + 256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_line(f, columns, style, str_of(text));
}

/* ---- tables ---- */

static size_t width_of(const struct fitted *t, size_t *ret_elastic)
{
	size_t total = 0, shown = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (!t->shown[i])
			continue;
		shown++;
		if (t->columns[i].width)
			total += t->columns[i].width;
		else
			*ret_elastic = i;
	}
	return total + (shown ? shown - 1 : 0);
}

static struct fitted fit(const struct column *columns, size_t n, size_t width)
{
	struct fitted t = { .columns = columns, .n = n };
	size_t elastic = 0, fixed;

	for (size_t i = 0; i < n; i++)
		t.shown[i] = true;
	for (;;) {
		size_t drop = n;

		fixed = width_of(&t, &elastic);
		if (fixed + LEAST_ELASTIC <= width)
			break;
		for (size_t i = 0; i < n; i++)
			if (t.shown[i] && columns[i].spare &&
			    (drop == n || columns[i].spare > columns[drop].spare))
				drop = i;
		if (drop == n)
			break;
		t.shown[drop] = false;
	}
	for (size_t i = 0; i < n; i++)
		t.widths[i] = t.shown[i] ? columns[i].width : 0;
	t.widths[elastic] = width > fixed ? width - fixed : 0;
	return t;
}

/* One row; on a screen too narrow for even that, what does not fit is cut off at the right. */
static void put_row(struct buf *out, const struct fitted *t, const struct str *cells,
		    size_t columns)
{
	size_t left = columns;

	for (size_t i = 0; i < t->n; i++) {
		size_t width = MIN(t->widths[i], left);

		if (!t->shown[i] || !left)
			continue;
		if (left < columns) {
			buf_putc(out, ' ');
			width = MIN(t->widths[i], --left);
		}
		cell_put(out, cells[i], width, t->columns[i].right);
		left -= width;
	}
	cell_put(out, STR_NONE, left, false);
}

static void put_cells(struct top_frame *f, const struct fitted *t, const struct str *cells,
		      size_t columns, enum top_style style)
{
	size_t from = begin_line(f);

	put_row(&f->text, t, cells, columns);
	end_line(f, from, style);
}

static void head_cells(const struct column *columns, size_t n, struct str *cells)
{
	for (size_t i = 0; i < n; i++)
		cells[i] = str_of(columns[i].title);
}

struct group_texts {
	char text[GROUP_COLUMNS][HUMAN_TEXT_MAX];
};

static void group_cells(const struct top_sums *g, struct group_texts *x, struct str *cells)
{
	cells[GROUP_LABEL] = g->label;
	cells[GROUP_FLOWS] = str_of(human_count(g->flows, x->text[GROUP_FLOWS]));
	cells[GROUP_UP_RATE] = str_of(human_rate(g->up_rate, x->text[GROUP_UP_RATE]));
	cells[GROUP_DOWN_RATE] = str_of(human_rate(g->down_rate, x->text[GROUP_DOWN_RATE]));
	cells[GROUP_UP] = str_of(human_bytes(g->up, x->text[GROUP_UP]));
	cells[GROUP_DOWN] = str_of(human_bytes(g->down, x->text[GROUP_DOWN]));
}

/* Which rows are on the screen: as they were, moved as little as needed to have the selected one. */
static void settle(struct top_cursor *c, size_t rows, size_t page)
{
	c->page = page;
	if (c->at < c->first)
		c->first = c->at;
	if (page && c->at >= c->first + page)
		c->first = c->at - page + 1;
	if (rows <= page)
		c->first = 0;
	else if (c->first > rows - page)
		c->first = rows - page;
}

static void put_groups(struct top_model *m, struct top_frame *f, size_t page, size_t columns)
{
	struct fitted t = fit(group_columns, GROUP_COLUMNS, columns);
	struct top_cursor *c = &m->group_cursor;
	struct str cells[GROUP_COLUMNS];
	struct group_texts texts;

	head_cells(group_columns, GROUP_COLUMNS, cells);
	cells[GROUP_LABEL] = str_of(rollup_key_title(m->by));
	put_cells(f, &t, cells, columns, TOP_HEAD);
	settle(c, m->n_groups, page);
	if (!m->n_groups && m->heard_ns)
		put_line(f, columns, TOP_FAINT, STR("nothing that matches so far"));
	for (size_t i = c->first; i < m->n_groups && i < c->first + page; i++) {
		group_cells(&m->groups[i], &texts, cells);
		put_cells(f, &t, cells, columns, i == c->at ? TOP_SELECTED : TOP_PLAIN);
	}
}

static void put_flow(struct top_model *m, struct top_frame *f, const struct fitted *t, size_t i,
		     size_t columns)
{
	char start[FLOW_ROW_TEXT], proto[FLOW_ROW_TEXT], port[FLOW_ROW_TEXT],
		verdict[FLOW_ROW_TEXT];
	char up[HUMAN_TEXT_MAX], down[HUMAN_TEXT_MAX];
	struct str cells[FLOW_COLUMNS];
	struct flow_row r;

	flow_row_read(&r, json_array_get(m->flows, i));
	snprintf(port, sizeof(port), "%d", r.dport);
	cells[FLOW_START] = flow_row_start(&r, m->now_ns, start);
	cells[FLOW_PROGRAM] = r.program;
	cells[FLOW_USER] = r.user;
	cells[FLOW_NAME] = flow_row_target(&r);
	cells[FLOW_SOURCE] = r.source;
	cells[FLOW_ADDRESS] = r.dest;
	cells[FLOW_PORT] = r.dport < 0 ? STR_NONE : str_of(port);
	cells[FLOW_PROTO] = flow_row_proto(&r, proto);
	cells[FLOW_UP] = str_of(human_bytes(r.up, up));
	cells[FLOW_DOWN] = str_of(human_bytes(r.down, down));
	cells[FLOW_STATE] =
		flow_row_is_refused(&r) ? flow_row_verdict(&r, verdict) : flow_row_state(&r);
	put_cells(f, t, cells, columns,
		  i == m->flow_cursor.at ? TOP_SELECTED
		  : r.reason.n           ? TOP_FAINT
					 : TOP_PLAIN);
}

static void put_flows(struct top_model *m, struct top_frame *f, size_t page, size_t columns)
{
	struct fitted t = fit(flow_columns, FLOW_COLUMNS, columns);
	struct top_cursor *c = &m->flow_cursor;
	size_t n = json_array_size(m->flows);
	struct str cells[FLOW_COLUMNS];

	head_cells(flow_columns, FLOW_COLUMNS, cells);
	put_cells(f, &t, cells, columns, TOP_HEAD);
	settle(c, n, page);
	if (!n && m->flows)
		put_line(f, columns, TOP_FAINT, STR("no flows any more"));
	for (size_t i = c->first; i < n && i < c->first + page; i++)
		put_flow(m, f, &t, i, columns);
}

/* ---- texts ---- */

static void put_record(struct top_model *m, struct top_frame *f, size_t page, size_t columns)
{
	struct str rest = buf_str(&m->record_text), line;
	struct top_cursor *c = &m->record_cursor;
	size_t n = 0, lines = 0;

	put_line(f, columns, TOP_HEAD,
		 m->record_gone ? STR("RECORD (the flow is gone; this is the last of it)")
				: STR("RECORD"));
	for (size_t i = 0; i < rest.n; i++)
		lines += rest.p[i] == '\n';
	c->page = page;
	c->at = MIN(c->at, lines > page ? lines - page : 0);
	while (str_cut(&rest, '\n', &line)) {
		if (n >= c->at && n < c->at + page)
			put_line(f, columns, TOP_PLAIN, line);
		n++;
	}
}

static const char *const help_lines[] = {
	"p program   u user      n unit    c container",
	"N name      a address   o origin  P protocol",
	"",
	"s           next order of the rows",
	"/           edit the filter (Enter: use it)",
	"Enter       flows of the row, then the record",
	"Esc         back",
	"up down PgUp PgDn Home End  (j k g G)",
	"space       hold the picture",
	"q           quit",
	"",
	"Filter: proc:curl name:*.example.org",
	"        port:443 up:>1mb -user:root",
	"See man egret-top.",
};

static void put_help(struct top_frame *f, size_t page, size_t columns)
{
	put_line(f, columns, TOP_HEAD, STR("KEYS"));
	for (size_t i = 0; i < ARRAY_SIZE(help_lines) && i < page; i++)
		put_line(f, columns, TOP_PLAIN, str_of(help_lines[i]));
}

/* ---- above and below ---- */

static void put_title(const struct top_model *m, struct top_frame *f, size_t columns)
{
	char clock[24], flows[HUMAN_TEXT_MAX], up[HUMAN_TEXT_MAX], down[HUMAN_TEXT_MAX];
	time_t now = (time_t)(m->now_ns / NSEC_PER_SEC);
	struct tm tm;

	clock[0] = 0;
	if (columns >= 64 && localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "egret %H:%M:%S  ", &tm);
	put_format(f, columns, TOP_TITLE, "%s%s flows  up %s  down %s%s", clock,
		   human_count(m->flows_now, flows), human_rate(m->totals.up_rate, up),
		   human_rate(m->totals.down_rate, down), m->paused ? "  HELD" : "");
}

static void put_subject(const struct top_model *m, struct top_frame *f, size_t columns)
{
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX];
	const char *between = m->filter[0] ? "  filter: " : "";
	enum top_view view = m->view == TOP_HELP ? m->before_help : m->view;

	if (view == TOP_GROUPS)
		put_format(f, columns, TOP_PLAIN, "by %s, %s first%s%s", rollup_key_word(m->by),
			   top_model_order(m), between, m->filter);
	else
		put_format(f, columns, TOP_PLAIN, "%s %s: %s of %s flows, %s first%s%s",
			   rollup_key_word(m->label_by), m->label,
			   human_count(json_array_size(m->flows), a),
			   human_count(m->flows_matched, b), top_model_order(m), between,
			   m->filter);
}

/* One line of what is wrong, the worse thing first; nothing when nothing is. */
static bool put_warning(const struct top_model *m, struct top_frame *f, size_t columns)
{
	const json_t *lost = json_object_get(m->answer, "lost");
	size_t from;
	const char *key;
	json_t *v;

	if (m->trouble[0]) {
		put_format(f, columns, TOP_WARN, "%s", m->trouble);
		return true;
	}
	if (m->heard_ns && m->now_ns > m->heard_ns + SILENCE_NS && !m->paused) {
		put_format(f, columns, TOP_WARN, "no answer for %u s",
			   (unsigned)((m->now_ns - m->heard_ns) / NSEC_PER_SEC));
		return true;
	}
	if (!json_object_size(lost))
		return false;
	_cleanup_buf_ struct buf text = BUF_INIT(4096);

	buf_puts(&text, "LOST:");
	json_object_foreach((json_t *)lost, key, v)
		buf_printf(&text, " %s %lld", key, (long long)json_integer_value(v));
	from = begin_line(f);
	cell_put(&f->text, buf_str(&text), columns, false);
	end_line(f, from, TOP_WARN);
	return true;
}

/* The newest finding and how many are open, in one line; false when there is nothing to say. */
static bool notice(const struct top_model *m, struct buf *out)
{
	const json_t *f = json_object_get(m->answer, "findings"), *last;
	json_int_t open = json_integer_value(json_object_get(f, "open"));
	const char *entity, *peer, *level, *state;
	uint64_t then_ns;
	char n[HUMAN_TEXT_MAX], ago[TIME_TEXT_MAX];

	last = json_object_get(f, "last");
	entity = json_string_value(json_object_get(last, "entity"));
	peer = json_string_value(json_object_get(last, "peer"));
	level = json_string_value(json_object_get(last, "level"));
	if (open <= 0 && !last)
		return false;
	buf_printf(out, "findings: %s open", human_count(open > 0 ? (uint64_t)open : 0, n));
	if (!entity || !peer || !level)
		return true;
	then_ns = (uint64_t)json_integer_value(json_object_get(last, "time_ms")) * NSEC_PER_MSEC;
	state = json_string_value(json_object_get(last, "state"));
	buf_printf(out, "; the last, %s%s: %s -> %s, %s ago", level,
		   state && !strcmp(state, "closed") ? " and over" : "", entity, peer,
		   duration_format(m->now_ns > then_ns ? m->now_ns - then_ns : 0, ago));
	return true;
}

static void put_edit(const struct top_model *m, struct top_frame *f, size_t columns)
{
	struct str text = str_of(m->edit);
	size_t room = columns > 2 ? columns - 2 : 0, from;

	/* The end is where one types: what is too long loses its beginning. */
	while (text.n && cell_width(text) > room) {
		do
			text = str_sub(text, 1, text.n);
		while (text.n && ((unsigned char)text.p[0] & 0xc0) == 0x80);
	}
	from = begin_line(f);
	cell_put(&f->text, STR("/"), MIN(columns, (size_t)1), false);
	cell_put(&f->text, text, columns > 1 ? columns - 1 : 0, false);
	end_line(f, from, TOP_PLAIN);
	f->cursor_column = MIN(1 + cell_width(text), columns ? columns - 1 : 0);
}

static void put_footer(const struct top_model *m, struct top_frame *f, size_t columns)
{
	static const char *const keys[] = {
		[TOP_GROUPS] =
			"q quit  ? keys  / filter  s order  Enter flows  p u n c N a o P group by",
		[TOP_FLOWS] = "q quit  ? keys  / filter  s order  Enter record  Esc back",
		[TOP_RECORD] = "q quit  ? keys  Esc back",
		[TOP_HELP] = "Esc back",
	};

	if (m->editing)
		put_edit(m, f, columns);
	else
		put_line(f, columns, TOP_FAINT, str_of(keys[m->view]));
}

void top_layout(struct top_model *m, size_t rows, size_t columns, struct top_frame *f)
{
	_cleanup_buf_ struct buf news = BUF_INIT(4096);
	bool error = m->editing && m->edit_error[0];
	bool told = rows >= 7 && m->view == TOP_GROUPS && notice(m, &news);
	size_t page, below = 1 + error + told;

	buf_clear(&f->text);
	f->n_lines = 0;
	f->cursor_column = SIZE_MAX;
	rows = MIN(rows, (size_t)TOP_FRAME_LINES);
	if (!rows || !columns)
		return;
	if (rows >= 4)
		put_title(m, f, columns);
	if (rows >= 6)
		put_subject(m, f, columns);
	if (rows >= 5)
		put_warning(m, f, columns);
	/* What is left: a head of columns, rows, and what stands below. */
	page = rows > f->n_lines + 1 + below ? rows - f->n_lines - 1 - below : 0;
	if (page && m->view == TOP_GROUPS)
		put_groups(m, f, page, columns);
	else if (page && m->view == TOP_FLOWS)
		put_flows(m, f, page, columns);
	else if (page && m->view == TOP_RECORD)
		put_record(m, f, page, columns);
	else if (page)
		put_help(f, page, columns);
	while (f->n_lines + below < rows)
		put_line(f, columns, TOP_PLAIN, STR_NONE);
	if (told)
		put_line(f, columns, TOP_WARN, buf_str(&news));
	if (error && f->n_lines + 1 < rows)
		put_line(f, columns, TOP_WARN, str_of(m->edit_error));
	put_footer(m, f, columns);
}

static void put_plain(struct buf *out, const struct fitted *t, const struct str *cells,
		      size_t columns)
{
	put_row(out, t, cells, columns);
	while (out->n && out->p[out->n - 1] == ' ')
		out->n--;
	buf_putc(out, '\n');
}

void top_print(const struct top_model *m, size_t limit, size_t columns, struct buf *out)
{
	_cleanup_buf_ struct buf news = BUF_INIT(4096);
	struct fitted t = fit(group_columns, GROUP_COLUMNS, columns);
	struct str cells[GROUP_COLUMNS];
	struct group_texts texts;
	struct top_sums totals = m->totals;

	head_cells(group_columns, GROUP_COLUMNS, cells);
	cells[GROUP_LABEL] = str_of(rollup_key_title(m->by));
	put_plain(out, &t, cells, columns);
	for (size_t i = 0; i < m->n_groups && (!limit || i < limit); i++) {
		group_cells(&m->groups[i], &texts, cells);
		put_plain(out, &t, cells, columns);
	}
	totals.label = STR("(total)");
	group_cells(&totals, &texts, cells);
	put_plain(out, &t, cells, columns);
	if (notice(m, &news)) {
		cell_put_all(out, buf_str(&news));
		buf_putc(out, '\n');
	}
}
