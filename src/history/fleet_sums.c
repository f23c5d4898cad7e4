/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over a span of a fleet: by ClickHouse, where it can tell what the filter lets through; else of pieces, here. */
#include "history/fleet.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"
#include "flow/flow.h"
#include "history/fleet_cover.h"
#include "history/fleet_select.h"
#include "history/whole.h"

#define QUERY_MAX (4U << 20)
#define STATEMENT_MAX 260000U /* max_query_size of ClickHouse, and a FORMAT */

struct summing {
	struct scan *scan;
	struct fleet_select select;
	portion_fn fn;
	void *ctx;
	struct buf parts; /* of a statement, where only the largest groups are asked for */
};

static int take_sum(void *ctx, const struct clickhouse_piece *sum)
{
	struct summing *s = ctx;
	const struct store_row *row = &sum->row;
	struct store_key_scratch scratch;
	struct store_key key;
	struct portion p = { .row = row,
			     .key = &key,
			     .time_ns = s->scan->series ? sum->bucket_ns : row->to_ns,
			     .maker = s->scan->maker,
			     .places = s->scan->places };

	p.sum = moved_of_row(row);
	p.sum.flows = sum->flows;
	store_row_key(row, &scratch, &key);
	return s->fn(s->ctx, &p);
}

static int read_query(struct summing *s, const struct buf *query)
{
	uint8_t columns[COLUMN_COUNT];
	size_t n = fleet_select_columns(&s->select, columns);

	return fleet_read(s->scan->fleet, query, columns, n, take_sum, s);
}

static int sum_table(struct summing *s, enum fleet_table table, struct store_span span)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);

	if (span.from_ns >= span.to_ns)
		return 0;
	if (s->scan->top) {
		buf_puts(&s->parts, s->parts.n ? " UNION ALL " : "");
		fleet_put_select(&s->parts, &s->select, table, span);
		return 0;
	}
	fleet_put_select(&query, &s->select, table, span);
	return read_query(s, &query);
}

static int sum_largest(struct summing *s)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);

	if (!s->parts.n)
		return 0;
	fleet_put_largest(&query, &s->select, &s->parts);
	return query.n > STATEMENT_MAX ? 1 : read_query(s, &query);
}

static int sum_pieces(struct summing *s, struct store_span span)
{
	int r = sum_table(s, FLEET_FLOW, span);

	if (r == 0 && fleet_holds_in_part(s->scan->question->filter, FLEET_VERDICT))
		r = sum_table(s, FLEET_VERDICT, span);
	return r;
}

/* ---- from which table ---- */

static int take_count(void *ctx, const struct clickhouse_piece *p)
{
	*(uint64_t *)ctx = p->flows;
	return 0;
}

/* Version 3 of the schema is there, which has them. */
static int has_marks(struct scan *s, bool *ret)
{
	static const uint8_t column = COLUMN_FLOWS;
	_cleanup_buf_ struct buf query = BUF_INIT(4096);
	uint64_t n = 0;
	int r;

	buf_puts(&query, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND "
			 "name = 'summed'");
	r = fleet_read(s->fleet, &query, &column, 1, take_count, &n);
	*ret = n > 0;
	return r;
}

struct marking {
	struct fleet_cover *cover;
	enum fleet_table sums;
};

static int take_mark(void *ctx, const struct clickhouse_piece *p)
{
	const struct marking *m = ctx;

	fleet_cover_mark(m->cover, m->sums, p->bucket_ns);
	return 0;
}

/* Which hours and days are whole; before version 3 of the schema: of which there is something. */
static int read_marks(struct scan *s, bool marks, struct marking *m)
{
	static const uint8_t column = COLUMN_BUCKET;
	_cleanup_buf_ struct buf query = BUF_INIT(4096);
	struct store_span hours = fleet_cover_hours(m->cover);

	if (marks) {
		buf_puts(&query, "SELECT toUInt32(begin) AS at FROM summed WHERE ");
		fleet_put_marks(&query, m->sums, hours);
	} else {
		buf_printf(&query, "SELECT toUInt32(%s) AS at FROM %s WHERE ", fleet_begin(m->sums),
			   fleet_table_name(m->sums));
		fleet_put_span(&query, m->sums, hours);
	}
	buf_puts(&query, " GROUP BY at");
	return fleet_read(s->fleet, &query, &column, 1, take_mark, m);
}

static int read_all_marks(struct scan *s, unsigned tables, struct fleet_cover *cover)
{
	struct marking m = { .cover = cover };
	bool marks = false;
	int r = tables ? has_marks(s, &marks) : 0;

	if (r == 0 && tables && !marks) {
		scan_note(s, "sums of the hour that is being summed may be short, and there are "
			     "none by day, nor of machines and programs with names: "
			     "`egret-clickhouse migrate` makes what is missing");
		tables &= ~(FLEET_BY_DAY | 1U << FLEET_USAGE_PROGRAM | 1U << FLEET_USAGE_PEER);
	}
	for (m.sums = FLEET_USAGE_NAME; r == 0 && m.sums < FLEET_SUMS; m.sums++)
		if (tables & 1U << m.sums)
			r = read_marks(s, marks, &m);
	return r;
}

static int sum_parts(struct summing *s, const struct fleet_cover *cover)
{
	struct store_span *span = &s->scan->span;
	struct fleet_part part;
	uint64_t finest = 0;
	int r = 0;

	for (size_t at = 0; r == 0 && fleet_cover_next(cover, &at, &part);) {
		if (part.table == FLEET_FLOW) {
			r = sum_pieces(s, part.span);
			continue;
		}
		span->from_ns = MIN(span->from_ns, part.span.from_ns);
		span->to_ns = MAX(span->to_ns, part.span.to_ns);
		finest = MIN(finest ?: UINT64_MAX, fleet_step_s(part.table));
		r = sum_table(s, part.table, part.span);
	}
	if (r == 0 && s->scan->top)
		r = sum_largest(s);
	if (!finest)
		return r;
	s->scan->from_what = finest == fleet_step_s(FLEET_USAGE_DAY) ? "days" : "hours";
	if (filter_uses(s->scan->question->filter) & (filter_bit("name") | filter_bit("container")))
		scan_note(s->scan,
			  "from sums: these know the best name of a flow alone, and the name of a "
			  "container");
	return r;
}

static int sum_there(struct summing *s)
{
	struct fleet_cover *cover;
	int r = fleet_cover_new(&cover, s->scan->span, s->scan->question->filter);

	if (r < 0)
		return r;
	r = read_all_marks(s->scan, fleet_select_sums(&s->select), cover);
	if (r == 0)
		r = sum_parts(s, cover);
	fleet_cover_free(cover);
	return r;
}

/* ---- or from pieces, here ---- */

/* A piece that ClickHouse could not judge. */
static int take_piece(void *ctx, const struct store_row *row)
{
	struct summing *s = ctx;
	struct scan *scan = s->scan;
	const struct flow *f = flow_of_row(scan->maker, row);
	struct clickhouse_piece p = { .row = *row, .flows = row->flow_id && !row->seq };

	if (!f)
		return -ENOMEM;
	if (!filter_match(scan->question->filter, f, scan->source->now_ns))
		return 0;
	p.bucket_ns = row->to_ns;
	return take_sum(s, &p);
}

static int sum_here(struct summing *s)
{
	struct scan *scan = s->scan;
	struct store_hint none = { 0 };

	scan_note(scan, "put together flow by flow: quicker for a shorter time, or with a filter "
			"that says more");
	if (scan_filter_is_of_whole_flows(scan->question->filter))
		return whole_flows(scan, scan->span, &none, take_piece, s);
	return fleet_rows(scan, scan->span, &none, false, take_piece, s);
}

int fleet_run(struct scan *s, portion_fn fn, void *ctx)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT(QUERY_MAX);
	struct summing summing = { .scan = s, .fn = fn, .ctx = ctx, .parts = BUF_INIT(QUERY_MAX) };
	const struct history_question *q = s->question;
	bool exact;
	int r;

	fleet_select_for(&summing.select, s, q);
	if (!fleet_put_filter(&scratch, q->filter, FLEET_FLOW, &exact))
		return -ENOMEM;
	if (!exact)
		return sum_here(&summing);
	if (!fleet_holds_in_part(q->filter, FLEET_VERDICT))
		scan_note(s, "what was refused is not in it: refusals do not know all that the "
			     "filter asks for");
	r = sum_there(&summing);
	buf_done(&summing.parts);
	return r;
}
