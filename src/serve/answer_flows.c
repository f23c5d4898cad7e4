/* SPDX-License-Identifier: Apache-2.0 */
/*
 * {"ask":"flows"}: one pass over the table picks a page of flows, which is written at once; nothing is remembered of
 * the table between two pages, so it may change meanwhile. In order of ids a list of any length is made page by page
 * and a flow that lives all the time stands in it exactly once; in any other order there is one page.
 */
#include "serve/answer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "flow/filter.h"
#include "flow/record.h"
#include "serve/conn.h"
#include "serve/pick.h"
#include "serve/recent.h"

#define PAGE 1000       /* about 2 ms of work */
#define SORTED_MAX 5000 /* rows of a sorted list, whatever limit was asked for */

struct look {
	const struct request *request;
	struct pick pick;
	uint64_t now_ns, matched, after;
};

static bool in_group(const struct request *q, const struct flow *f)
{
	char text[ADDR_TEXT_MAX];

	return str_eq(rollup_label(q->group_by, f, text),
		      (struct str){ q->group_label, q->group_label_n });
}

static uint64_t sort_key(const struct look *l, const struct flow *f)
{
	const struct flow_half *up = flow_up(f), *down = flow_down(f);

	switch (l->request->sort) {
	case FLOW_SORT_START:
		return f->start_ns;
	case FLOW_SORT_LAST:
		return f->last_ns;
	case FLOW_SORT_UP:
		return up->bytes;
	case FLOW_SORT_DOWN:
		return down->bytes;
	case FLOW_SORT_BYTES:
		return up->bytes + down->bytes;
	case FLOW_SORT_PACKETS:
		return up->packets + down->packets;
	case FLOW_SORT_NONE:
	case FLOW_SORT_COUNT:
		break;
	}
	return UINT64_MAX - f->id; /* lowest id first */
}

static void look_at(void *ctx, const struct flow *f)
{
	struct look *l = ctx;
	const struct request *q = l->request;

	if (q->sort == FLOW_SORT_NONE && l->after && f->id <= l->after)
		return;
	if (!filter_match(q->filter, f, l->now_ns) || (q->grouped && !in_group(q, f)))
		return;
	l->matched++;
	pick_offer(&l->pick, sort_key(l, f), f);
}

static size_t page_size(const struct conn *c)
{
	const struct request *q = &c->request;

	if (q->sort != FLOW_SORT_NONE)
		return q->limit ? MIN(q->limit, (uint64_t)SORTED_MAX) : SORTED_MAX;
	return q->limit ? MIN(q->limit - c->shown, (uint64_t)PAGE) : PAGE;
}

static void write_flow(const struct answer_source *s, struct conn *c, const struct flow *f,
		       uint64_t now_ns)
{
	bool ended = recent_holds(s->recent, f);
	struct record r = { .type = RECORD_FLOW,
			    .time_ns = ended ? f->last_ns : now_ns,
			    .flow = f,
			    .flow_ends = ended };
	size_t from;

	eve_format(&s->cfg->format, &r, conn_line_begin(c, &from));
	conn_line_end(c, from, s->lost);
}

static void write_end(struct conn *c)
{
	struct json j;
	size_t from;

	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	json_bool(&j, "end", true);
	json_u64(&j, "matched", c->matched);
	json_u64(&j, "shown", c->shown);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
}

/* Writes what was picked as long as the queue is not half full: an answer loses no rows, it only pauses or ends early. */
static bool write_page(const struct answer_source *s, struct conn *c, const struct look *l)
{
	size_t i;

	for (i = 0; i < l->pick.n && conn_queued(c) < CONN_QUEUE_MAX / 2; i++) {
		write_flow(s, c, l->pick.heap[i].flow, l->now_ns);
		c->after = l->pick.heap[i].flow->id;
		c->shown++;
	}
	return i == l->matched;
}

int answer_flows(const struct answer_source *s, struct conn *c)
{
	struct look l = { .request = &c->request, .now_ns = s->cfg->now(), .after = c->after };
	_cleanup_free_ struct picked *heap = NULL;
	bool all;

	l.pick.max = page_size(c);
	heap = calloc(l.pick.max, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	l.pick.heap = heap;
	flow_table_each(s->cfg->flows, look_at, &l);
	if (c->request.ended)
		recent_each(s->recent, look_at, &l);
	pick_sort(&l.pick);
	if (!c->shown)
		c->matched = l.matched;
	all = write_page(s, c, &l);
	if (all || c->request.sort != FLOW_SORT_NONE ||
	    (c->request.limit && c->shown >= c->request.limit)) {
		c->busy = false;
		write_end(c);
	}
	return 0;
}
