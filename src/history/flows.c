/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "flows": EVE records of flows and of refusals, newest first, a page at a time; and "flow": one of them with its pieces. A flow is where its last piece is; what
 * a page has shown does not come again on the next one, which begins behind the cursor. Files have their rows nearly in the order of
 * time: a page is complete once what comes is older than its oldest by STORE_DISORDER_NS.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"
#include "flow/record.h"
#include "history/verbs.h"
#include "history/whole.h"
#include "store/row_code.h"

#define KEPT_MAX (256U << 20)

/* A flow of the page, until all of its pieces have been met. */
struct listed {
	uint64_t to_ns, boot, flow_id;
	size_t at, n; /* encoded */
};

struct listing {
	struct answering *a;
	struct store_span span;
	struct whole *whole; /* of several pieces */
	struct buf rows;     /* of one */
	struct listed *listed;
	size_t n, cap, wanted;
	uint64_t *
		newest; /* when the `wanted` newest flows so far ended: a heap, the oldest of them first */
	size_t n_newest;
	bool more; /* there was another than those */
};

/* What was refused before it became a flow. Of many refusals at once neither the destinations nor their names are known. */
static void drop_of_row(struct record_drop *ret, const struct store_row *row, const struct flow *f)
{
	bool summary = addr_is_unset(&row->key.dst);

	*ret = (struct record_drop){
		.key = row->key,
		.proc = f->proc,
		.visible_name = summary ? STR_NONE : row->peer.name,
		.visible_source = (enum name_source)row->peer.name_source,
		.rule = f->verdict.rule,
		.action = row->rule.action,
		.app = (uint8_t)row->app,
		.at = (enum verdict_at) - 1, /* is not kept */
		.refused = row->rule.refused,
		.would_refuse = row->rule.would_refuse,
		.calls = row->refused_calls,
		.packets = row->refused_packets,
		.bytes = row->refused_bytes,
		.summary = summary,
		.since_ns = row->start_ns,
	};
}

int put_record(struct answering *a, const struct store_row *row)
{
	struct eve_format fmt = { .vantage = EVE_HOST, .host = a->scan.source->host };
	const struct flow *f = flow_of_row(a->scan.maker, row);
	struct record r = { .type = RECORD_FLOW, .time_ns = row->to_ns, .flow_ends = row->ends };
	struct record_drop drop;
	char host[256];

	if (row->host.n) {
		snprintf(host, sizeof(host), "%.*s", STR_FMT(row->host));
		fmt.host = host;
	}
	if (!f)
		return -ENOMEM;
	if (row->flow_id) {
		r.flow = f;
	} else {
		drop_of_row(&drop, row, f);
		r.type = RECORD_DROP;
		r.drop = &drop;
	}
	eve_format(&fmt, &r, &a->line);
	return a->line.failed ? -ENOMEM : 0;
}

static bool behind_cursor(const struct question_cursor *c, const struct store_row *row)
{
	if (!c->time_ns || row->to_ns != c->time_ns)
		return true;
	return row->boot < c->boot || (row->boot == c->boot && row->flow_id < c->flow_id);
}

static int list(struct listing *l, const struct store_row *row)
{
	struct listed *v;
	size_t cap = l->cap ? 2 * l->cap : 256;

	if (l->n == l->cap) {
		v = reallocarray(l->listed, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->listed = v;
		l->cap = cap;
	}
	v = &l->listed[l->n++];
	*v = (struct listed){ row->to_ns, row->boot, row->flow_id, l->rows.n, 0 };
	store_row_encode(row, &l->rows);
	v->n = l->rows.n - v->at;
	return l->rows.failed ? -E2BIG : 0;
}

static bool matches(const struct listing *l, const struct store_row *row)
{
	const struct scan *s = &l->a->scan;
	const struct flow *f;

	if (!s->question->filter)
		return true;
	f = flow_of_row(s->maker, row);
	return f && filter_match(s->question->filter, f, s->source->now_ns);
}

/* The filter can only be asked once all pieces of a flow have been put together. */
static bool is_of_whole(const struct listing *l)
{
	return scan_filter_is_of_whole_flows(l->a->question->filter);
}

struct looking {
	struct listing *l;
	uint64_t flow_id, boot;
};

static int found(void *ctx, const struct store_row *row)
{
	const struct looking *k = ctx;
	const struct question_cursor *c = &k->l->a->question->after;

	return row->flow_id == k->flow_id && row->boot == k->boot &&
	       (row->to_ns > c->time_ns || !behind_cursor(c, row)) &&
	       (is_of_whole(k->l) || matches(k->l, row));
}

/* A piece that is not its flow's last one: was the flow on a page before this one? */
static int shown_before(struct listing *l, const struct store_row *row)
{
	const struct question_cursor *c = &l->a->question->after;
	struct store_hint hint = { .flow_id = row->flow_id, .boot = row->boot };
	struct store_span newer = { c->time_ns, l->a->question->span.to_ns };

	if (!c->time_ns || row->ends || newer.from_ns >= newer.to_ns)
		return 0;
	return scan_rows(&l->a->scan, newer, &hint, true, found,
			 &(struct looking){ l, row->flow_id, row->boot });
}

static void swap(uint64_t *a, uint64_t *b)
{
	uint64_t was = *a;

	*a = *b;
	*b = was;
}

static void push_newest(struct listing *l, uint64_t to_ns)
{
	uint64_t *h = l->newest;
	size_t at;

	if (is_of_whole(l))
		return; /* which of them are on the page is not known yet */
	if (l->n_newest < l->wanted) {
		h[at = l->n_newest++] = to_ns;
		for (; at && h[(at - 1) / 2] > h[at]; at = (at - 1) / 2)
			swap(&h[at], &h[(at - 1) / 2]);
		return;
	}
	l->more = true;
	if (to_ns <= h[0])
		return;
	h[0] = to_ns;
	for (at = 0; 2 * at + 1 < l->n_newest;) {
		size_t child = 2 * at + 1;

		child += child + 1 < l->n_newest && h[child + 1] < h[child];
		if (h[at] <= h[child])
			return;
		swap(&h[at], &h[child]);
		at = child;
	}
}

/* The page is full with what is newer than that by `by_ns`, 0: or as new. */
static bool is_too_old(const struct listing *l, uint64_t to_ns, uint64_t by_ns)
{
	return l->n_newest == l->wanted && to_ns + by_ns < l->newest[0];
}

/* Which pages flows of several pieces belong to is known at once, what they moved in all only at the end. */
static int take(void *ctx, const struct store_row *row)
{
	struct listing *l = ctx;
	bool single = whole_already(row);
	int r;

	if (!behind_cursor(&l->a->question->after, row))
		return 0;
	if (!l->a->scan.in_overlay && l->more && is_too_old(l, row->to_ns, STORE_DISORDER_NS))
		return 1;
	if ((single || !is_of_whole(l)) && !matches(l, row))
		return 0;
	if (single) {
		push_newest(l, row->to_ns);
		return is_too_old(l, row->to_ns, 0) ? 0 : list(l, row);
	}
	if (!whole_has(l->whole, row)) {
		r = shown_before(l, row);
		if (r)
			return r < 0 ? r : 0;
		push_newest(l, row->to_ns);
		if (is_too_old(l, row->to_ns, 0))
			return 0;
	}
	r = whole_add(l->whole, row);
	return r < 0 ? r : 0;
}

static int complete(void *ctx, const struct store_row *row)
{
	struct listing *l = ctx;

	return matches(l, row) ? list(l, row) : 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->to_ns != y->to_ns)
		return x->to_ns < y->to_ns ? 1 : -1;
	if (x->boot != y->boot)
		return x->boot < y->boot ? 1 : -1;
	return (x->flow_id < y->flow_id) - (x->flow_id > y->flow_id);
}

static int put_page(struct listing *l)
{
	struct answering *a = l->a;
	size_t shown = MIN(l->n, l->wanted);
	struct store_row row;
	char next[80];
	int r = 0;

	if (l->n)
		qsort(l->listed, l->n, sizeof(*l->listed), newest_first);
	for (size_t i = 0; r == 0 && i < shown; i++) {
		struct str bytes = { l->rows.p + l->listed[i].at, l->listed[i].n };

		r = store_row_decode(&bytes, &row) == 1 ? put_record(a, &row) : -EBADMSG;
		if (r == 0)
			r = line_end(a);
	}
	if (r < 0)
		return r;
	l->more |= l->n > shown;
	end_begin(a);
	json_u64(&a->j, "shown", shown);
	json_bool(&a->j, "more", l->more);
	if (!l->more)
		json_u64(&a->j, "matched", shown);
	if (l->more && shown) {
		const struct listed *last = &l->listed[shown - 1];

		snprintf(next, sizeof(next), "%" PRIu64 ".%" PRIu64 ".%" PRIu64, last->to_ns,
			 last->boot, last->flow_id);
		json_text(&a->j, "next", next);
	}
	end_common(a);
	return line_end(a);
}

int answer_flows_kept(struct answering *a)
{
	struct listing l = { .a = a,
			     .span = a->question->span,
			     .rows = BUF_INIT(KEPT_MAX),
			     .wanted = a->question->limit };
	struct store_hint hint;
	struct addr addr;
	char text[256];
	int r;

	if (a->scan.fleet)
		return fleet_flows(a);
	r = whole_new(&l.whole);

	scan_hint(a->question, &hint, text, &addr);
	if (a->question->after.time_ns)
		l.span.to_ns = MIN(l.span.to_ns, a->question->after.time_ns + 1);
	l.newest = calloc(l.wanted, sizeof(*l.newest));
	if (!l.newest)
		r = -ENOMEM;
	/* By what they are as a whole, none can be told before all have been put together. */
	if (is_of_whole(&l))
		l.wanted = SIZE_MAX;
	if (r == 0)
		r = scan_rows(&a->scan, l.span, &hint, true, take, &l);
	l.wanted = a->question->limit;
	/* the page ended before the span did, or pieces were left out that are of its flows */
	if (r > 0 || (r == 0 && a->question->filter))
		r = whole_complete(&l.whole, &a->scan, l.span);
	if (r == 0)
		r = whole_each(l.whole, complete, &l);
	if (r == 0)
		r = put_page(&l);
	whole_free(l.whole);
	buf_done(&l.rows);
	free(l.newest);
	free(l.listed);
	return r;
}

/* ---- one flow ---- */

struct piece {
	uint64_t from_ns, to_ns, up, down;
};

struct single {
	struct answering *a;
	struct whole *whole;
	struct piece *pieces;
	size_t n, cap;
	uint64_t boot; /* the newest run of egretd that had such a flow */
};

static int take_piece(void *ctx, const struct store_row *row)
{
	struct single *s = ctx;
	size_t cap = s->cap ? 2 * s->cap : 64;
	struct piece *v;
	int r;

	if (row->flow_id != s->a->question->flow_id || (s->boot && row->boot != s->boot))
		return 0;
	s->boot = row->boot;
	if (s->n == s->cap) {
		v = reallocarray(s->pieces, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		s->pieces = v;
		s->cap = cap;
	}
	s->pieces[s->n++] =
		(struct piece){ row->from_ns, row->to_ns, row->up_bytes, row->down_bytes };
	r = whole_add(s->whole, row);
	return r < 0 ? r : 0;
}

static int put_single(void *ctx, const struct store_row *row)
{
	struct single *s = ctx;
	struct answering *a = s->a;
	int r = put_record(a, row);

	if (r < 0)
		return r;
	a->line.n -= 2; /* "}\n": the pieces belong to the record */
	a->j = (struct json){ .out = &a->line, .comma = true };
	json_array_begin(&a->j, "pieces");
	for (size_t i = s->n; i-- > 0;) {
		json_object_begin(&a->j, NULL);
		json_f64(&a->j, "from", (double)s->pieces[i].from_ns / 1e9);
		json_f64(&a->j, "to", (double)s->pieces[i].to_ns / 1e9);
		json_u64(&a->j, "up", s->pieces[i].up);
		json_u64(&a->j, "down", s->pieces[i].down);
		json_object_end(&a->j);
	}
	json_array_end(&a->j);
	return line_end(a);
}

int answer_flow_kept(struct answering *a)
{
	struct single s = { .a = a };
	struct store_hint hint = { .flow_id = a->question->flow_id };
	int r = whole_new(&s.whole);

	if (r == 0)
		r = scan_rows(&a->scan, (struct store_span){ 0, UINT64_MAX }, &hint, true,
			      take_piece, &s);
	if (r == 0 && !s.n) {
		snprintf(a->error, sizeof(a->error), "no flow with this id is kept");
		r = -EINVAL;
	}
	if (r == 0)
		r = whole_each(s.whole, put_single, &s);
	whole_free(s.whole);
	free(s.pieces);
	return r;
}
