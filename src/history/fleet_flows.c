/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "flows" of a fleet: a page of the newest flows and refusals, put together from their pieces. Which flows are on the page is asked first,
 * hour by hour back in time, of a few narrow columns; then the pieces of those flows. A flow is where its last piece is within the span.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"
#include "history/fleet.h"
#include "history/verbs.h"
#include "history/whole.h"
#include "store/row_code.h"

#define QUERY_MAX (4U << 20)
#define KEPT_MAX (256U << 20)
#define HOUR_NS (3600 * NSEC_PER_SEC)
#define FIRST_NS (600 * NSEC_PER_SEC)
#define STEP_MAX_NS (7 * 24 * HOUR_NS)
#define ROUND_MIN 100U
#define ROUND_MAX \
	2000U /* flows that are put together at once: their numbers stand in a statement */

/* Of the page; by its last piece. */
struct found {
	uint64_t to_ns, boot, flow_id;
	uint64_t start_ns;
	bool ended;
	size_t at, n; /* its row, encoded; n 0: not yet */
};

struct page {
	struct answering *a;
	struct found *found; /* of this round, then of the page */
	size_t n, cap;
	struct buf rows;
	size_t round; /* flows, and refusals, that are looked for at once */
	size_t n_refusals;
	uint64_t oldest_refusal_ns;
	bool more;
};

static int add(struct page *p, const struct found *f)
{
	size_t cap = p->cap ? 2 * p->cap : 1024;
	struct found *v;

	if (p->n == p->cap) {
		v = reallocarray(p->found, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->found = v;
		p->cap = cap;
	}
	p->found[p->n++] = *f;
	return 0;
}

/* ---- which flows ---- */

static int take_candidate(void *ctx, const struct clickhouse_piece *c)
{
	return add(ctx, &(struct found){ .to_ns = c->row.to_ns,
					 .boot = c->row.boot,
					 .flow_id = c->row.flow_id,
					 .start_ns = c->row.start_ns,
					 .ended = c->row.ends });
}

/* To the microsecond, which is all that is kept. */
static void put_part(struct buf *out, enum fleet_table table, struct store_span part)
{
	struct store_span seconds = { part.from_ns, part.to_ns + NSEC_PER_SEC - 1 };

	fleet_put_span(out, table, seconds);
	buf_printf(out, " AND to_us >= %" PRIu64 " AND to_us < %" PRIu64,
		   (uint64_t)(part.from_ns / NSEC_PER_USEC),
		   (uint64_t)(part.to_ns / NSEC_PER_USEC));
}

/* Flows whose last piece up to the end of the part lies in it, the newest first. */
static int candidates(struct page *p, struct store_span part, size_t limit)
{
	static const uint8_t columns[] = { COLUMN_HOST, COLUMN_BOOT,  COLUMN_FLOW_ID,
					   COLUMN_TO,   COLUMN_START, COLUMN_ENDS };
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	const struct filter *f = p->a->question->filter;
	bool whole = scan_filter_is_of_whole_flows(f);
	bool exact; /* or not: the filter is asked again of what is put together */

	buf_puts(&query, "SELECT host, boot, flow_id, max(to_us) AS last, min(start_us), max(ends) "
			 "FROM flow WHERE ");
	put_part(&query, FLEET_FLOW, part);
	buf_puts(&query, " AND ");
	fleet_put_filter(&query, f, whole ? FLEET_KEY : FLEET_FLOW, &exact);
	buf_puts(&query, " GROUP BY host, boot, flow_id");
	if (whole) { /* a name, say, may be known of its last piece alone: one is enough, and all are counted */
		buf_puts(&query, " HAVING max(");
		fleet_put_filter(&query, f, FLEET_FLOW, &exact);
		buf_puts(&query, ") != 0 AND ");
		fleet_put_filter(&query, f, FLEET_WHOLE, &exact);
	}
	buf_printf(&query, " ORDER BY last DESC, flow_id DESC LIMIT %zu", limit);
	return fleet_read(p->a->scan.fleet, &query, columns, ARRAY_SIZE(columns), take_candidate,
			  p);
}

/* What was refused and never became a flow. */
static int take_refusal(void *ctx, const struct clickhouse_piece *c)
{
	struct page *p = ctx;
	const struct scan *s = &p->a->scan;
	struct store_row row = c->row;
	const struct flow *flow;
	struct found f = { .to_ns = c->row.to_ns, .boot = c->row.boot, .at = p->rows.n };

	p->n_refusals++;
	p->oldest_refusal_ns = row.to_ns;
	fleet_refusal(&row);
	flow = flow_of_row(s->maker, &row);
	if (!flow)
		return -ENOMEM;
	if (!filter_match(s->question->filter, flow, s->source->now_ns))
		return 0;
	store_row_encode(&row, &p->rows);
	f.n = p->rows.n - f.at;
	return p->rows.failed ? -E2BIG : add(p, &f);
}

static int refusals(struct page *p, struct store_span part, size_t limit)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	uint8_t columns[COLUMN_COUNT];
	const struct filter *f = p->a->question->filter;
	size_t n = fleet_put_all_columns(&query, FLEET_VERDICT, columns);
	bool exact;

	if (!fleet_holds_in_part(f, FLEET_VERDICT))
		return 0;
	buf_puts(&query, " FROM verdict WHERE flow_id = 0 AND ");
	put_part(&query, FLEET_VERDICT, part);
	buf_puts(&query, " AND ");
	fleet_put_filter(&query, f, FLEET_VERDICT, &exact);
	buf_printf(&query, " ORDER BY to_us DESC LIMIT %zu", limit);
	return fleet_read(p->a->scan.fleet, &query, columns, n, take_refusal, p);
}

static int newest_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->to_ns != y->to_ns)
		return x->to_ns < y->to_ns ? 1 : -1;
	if (x->boot != y->boot)
		return x->boot < y->boot ? 1 : -1;
	return (x->flow_id < y->flow_id) - (x->flow_id > y->flow_id);
}

/* ---- their pieces ---- */

struct gathering {
	struct page *page;
	struct store_span part;
	size_t from;
	struct whole *whole;
	struct sought {
		uint64_t flow_id, boot, last_ns; /* when its last piece was */
		size_t at;                       /* in `found` */
		bool within; /* it began and ended in the part that is looked at */
	} * sought;          /* in order */
	size_t n;
};

static int by_flow(const void *a, const void *b)
{
	const struct sought *x = a, *y = b;

	if (x->flow_id != y->flow_id)
		return x->flow_id < y->flow_id ? -1 : 1;
	return (x->boot > y->boot) - (x->boot < y->boot);
}

static struct sought *find(const struct gathering *g, const struct store_row *row)
{
	const struct sought key = { .flow_id = row->flow_id, .boot = row->boot };

	return g->n ? bsearch(&key, g->sought, g->n, sizeof(key), by_flow) : NULL;
}

static int seek(struct gathering *g)
{
	const struct page *p = g->page;

	g->sought = calloc(p->n - g->from + 1, sizeof(*g->sought));
	if (!g->sought)
		return -ENOMEM;
	for (size_t i = g->from; i < p->n; i++) {
		const struct found *f = &p->found[i];

		if (!f->n)
			g->sought[g->n++] = (struct sought){
				.flow_id = f->flow_id,
				.boot = f->boot,
				.at = i,
				.within = f->ended && f->start_ns >= g->part.from_ns,
			};
	}
	if (g->n)
		qsort(g->sought, g->n, sizeof(*g->sought), by_flow);
	return 0;
}

static int take_piece(void *ctx, const struct clickhouse_piece *c)
{
	struct gathering *g = ctx;
	struct sought *of = find(g, &c->row);
	int r;

	if (!of)
		return 0; /* another machine has a flow with the same number */
	of->last_ns = MAX(of->last_ns, c->row.to_ns);
	r = whole_add(g->whole, &c->row);
	return r < 0 ? r : 0;
}

/* All pieces of those flows, within the span that was asked for; or what was refused of them. */
static int gather(struct gathering *g, enum fleet_table table, bool within)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	const struct page *p = g->page;
	uint8_t columns[COLUMN_COUNT];
	struct store_span span = within ? g->part : p->a->question->span;
	size_t n = fleet_put_all_columns(&query, table, columns), listed = 0;

	/* few of many: all other columns are read only where the number is one of them */
	buf_printf(&query, " FROM %s PREWHERE flow_id IN (",
		   table == FLEET_FLOW ? "flow" : "verdict");
	for (size_t i = 0; i < g->n; i++)
		if (g->sought[i].within == within)
			buf_printf(&query, "%s%" PRIu64, listed++ ? ", " : "",
				   g->sought[i].flow_id);
	buf_puts(&query, ") WHERE ");
	put_part(&query, table, span);
	return listed ? fleet_read(p->a->scan.fleet, &query, columns, n, take_piece, g) : 0;
}

static int take_whole(void *ctx, const struct store_row *row)
{
	struct gathering *g = ctx;
	struct page *p = g->page;
	const struct scan *s = &p->a->scan;
	const struct sought *of = find(g, row);
	const struct flow *f = flow_of_row(s->maker, row);
	struct found *at = of ? &p->found[of->at] : NULL;

	if (!at || !f)
		return at ? -ENOMEM : 0;
	/* a later piece: the flow was on the page before this one */
	if (of->last_ns > at->to_ns || !filter_match(s->question->filter, f, s->source->now_ns))
		return 0;
	at->at = p->rows.n;
	store_row_encode(row, &p->rows);
	at->n = p->rows.n - at->at;
	return p->rows.failed ? -E2BIG : 0;
}

/* The flows of a round become rows; those that do not belong on the page go. */
static int complete(struct page *p, struct store_span part, size_t from)
{
	struct gathering g = { .page = p, .part = part, .from = from };
	size_t to = from;
	int r = seek(&g);

	if (r == 0)
		r = whole_new(&g.whole);
	for (int within = 0; r == 0 && within < 2; within++) {
		r = gather(&g, FLEET_FLOW, within);
		if (r == 0)
			r = gather(&g, FLEET_VERDICT, within);
	}
	if (r == 0)
		r = whole_each(g.whole, take_whole, &g);
	for (size_t i = from; i < p->n; i++)
		if (p->found[i].n)
			p->found[to++] = p->found[i];
	p->n = to;
	whole_free(g.whole);
	free(g.sought);
	return r;
}

static bool behind_cursor(const struct question_cursor *c, const struct found *f)
{
	if (!c->time_ns || f->to_ns != c->time_ns)
		return !c->time_ns || f->to_ns < c->time_ns;
	return f->boot < c->boot || (f->boot == c->boot && f->flow_id < c->flow_id);
}

/* One part of the time. More than fit are left for the next: *ret_end is where what was looked at begins. */
static int look(struct page *p, struct store_span part, uint64_t *ret_end)
{
	size_t from = p->n, kept = from;
	uint64_t limit_ns = part.from_ns;
	int r = candidates(p, part, p->round);

	/* where the last of so many ended, others that did may be missing */
	if (r == 0 && p->n - from == p->round)
		limit_ns = p->found[p->n - 1].to_ns + NSEC_PER_USEC;
	p->n_refusals = 0;
	if (r == 0)
		r = refusals(p, part, p->round);
	if (r < 0)
		return r;
	if (p->n_refusals == p->round)
		limit_ns = MAX(limit_ns, p->oldest_refusal_ns + NSEC_PER_USEC);
	qsort(p->found + from, p->n - from, sizeof(*p->found), newest_first);
	for (size_t i = from; i < p->n; i++)
		if (p->found[i].to_ns >= limit_ns &&
		    behind_cursor(&p->a->question->after, &p->found[i]))
			p->found[kept++] = p->found[i];
	p->n = kept;
	*ret_end = limit_ns;
	return complete(p, part, from);
}

static int put_page(struct page *p)
{
	struct answering *a = p->a;
	size_t shown = MIN(p->n, (size_t)a->question->limit);
	struct store_row row;
	char next[80];
	int r = 0;

	p->more |= p->n > shown;
	for (size_t i = 0; r == 0 && i < shown; i++) {
		struct str bytes = { p->rows.p + p->found[i].at, p->found[i].n };

		r = store_row_decode(&bytes, &row) == 1 ? put_record(a, &row) : -EBADMSG;
		if (r == 0)
			r = line_end(a);
	}
	if (r < 0)
		return r;
	end_begin(a);
	json_u64(&a->j, "shown", shown);
	json_bool(&a->j, "more", p->more);
	if (!p->more)
		json_u64(&a->j, "matched", shown);
	if (p->more && shown) {
		const struct found *last = &p->found[shown - 1];

		snprintf(next, sizeof(next), "%" PRIu64 ".%" PRIu64 ".%" PRIu64, last->to_ns,
			 last->boot, last->flow_id);
		json_text(&a->j, "next", next);
	}
	end_common(a);
	return line_end(a);
}

int fleet_flows(struct answering *a)
{
	const struct history_question *q = a->question;
	struct page p = { .a = a,
			  .rows = BUF_INIT(KEPT_MAX),
			  .round = MIN(2 * (size_t)q->limit + ROUND_MIN, (size_t)ROUND_MAX) };
	struct store_span part = q->span;
	uint64_t step = FIRST_NS;
	int r = 0;

	/* what a flow is as a whole shows only where all of its pieces are looked at */
	if (scan_filter_is_of_whole_flows(q->filter))
		step = UINT64_MAX / 4;
	part.to_ns = MIN(part.to_ns, a->scan.source->now_ns + HOUR_NS);
	if (q->after.time_ns)
		part.to_ns = MIN(part.to_ns, q->after.time_ns + NSEC_PER_USEC);
	while (r == 0 && part.to_ns > q->span.from_ns && p.n <= q->limit) {
		uint64_t end = part.to_ns;

		part.from_ns =
			part.to_ns > step + q->span.from_ns ? part.to_ns - step : q->span.from_ns;
		r = look(&p, part, &end);
		if (r == 0 && end >= part.to_ns) {
			scan_note(&a->scan, "of one microsecond only %zu flows are shown", p.round);
			end = part.to_ns - NSEC_PER_USEC;
		}
		if (step <= STEP_MAX_NS)
			step = end == part.from_ns ? MIN(2 * step, STEP_MAX_NS) : FIRST_NS;
		part.to_ns = end;
	}
	if (r == 0)
		r = put_page(&p);
	buf_done(&p.rows);
	free(p.found);
	return r;
}
