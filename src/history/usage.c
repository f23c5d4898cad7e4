/* SPDX-License-Identifier: Apache-2.0 */
/* "usage": sums by up to four dimensions, the largest first. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "history/verbs.h"

struct usage {
	struct answering *a;
	struct groups *groups;
	struct costs *costs;
	struct groups *whole; /* one group: all of it */
	struct group *total;
};

static int take(void *ctx, const struct portion *p)
{
	struct usage *u = ctx;
	const struct history_question *q = u->a->question;
	struct str keys[QUESTION_BY_MAX];
	struct label_scratch scratch;
	struct group *g;
	uint32_t slot;

	labels_of(p, q->by, q->n_by, &scratch, keys);
	g = groups_get(u->groups, keys);
	if (!g)
		return -ENOMEM;
	moved_add(&g->sum, &p->sum);
	moved_add(&u->total->sum, &p->sum);
	if (u->costs && p->sum.up && costs_slot(u->costs, p, &slot) &&
	    (!group_add_cost(u->groups, g, slot, p->sum.up) ||
	     !group_add_cost(u->whole, u->total, slot, p->sum.up)))
		return -ENOMEM;
	return 0;
}

static uint64_t by_bytes(const struct group *g)
{
	return g->sum.up + g->sum.down;
}
static uint64_t by_up(const struct group *g)
{
	return g->sum.up;
}
static uint64_t by_down(const struct group *g)
{
	return g->sum.down;
}
static uint64_t by_flows(const struct group *g)
{
	return g->sum.flows;
}
static uint64_t by_cost(const struct group *g)
{
	return g->cost;
}
static uint64_t by_last(const struct group *g)
{
	return g->sum.last_ns;
}

static uint64_t (*const sort_keys[])(const struct group *g) = {
	[QUESTION_SORT_BYTES] = by_bytes, [QUESTION_SORT_UP] = by_up,
	[QUESTION_SORT_DOWN] = by_down,   [QUESTION_SORT_FLOWS] = by_flows,
	[QUESTION_SORT_COST] = by_cost,   [QUESTION_SORT_LAST] = by_last,
};

static int put_rows(struct usage *u, size_t *ret_all, size_t *ret_shown)
{
	struct answering *a = u->a;
	const struct history_question *q = a->question;
	struct group **rows;
	int r = 0;

	if (u->costs) {
		rows = groups_sorted(u->groups, by_bytes, ret_all);
		for (size_t i = 0; rows && i < *ret_all; i++)
			costs_weigh(u->costs, rows[i]);
	}
	rows = groups_sorted(u->groups, sort_keys[q->sort], ret_all);
	if (!rows)
		return -ENOMEM;
	*ret_shown = MIN(*ret_all, (size_t)q->limit);
	for (size_t i = 0; r == 0 && i < *ret_shown; i++) {
		line_begin(a);
		put_labels(&a->j, q->by, q->n_by, rows[i]);
		put_moved(&a->j, &rows[i]->sum);
		costs_put(u->costs, &a->j, rows[i]->costs);
		r = line_end(a);
	}
	return r;
}

/* An unfinished period at the rate it has had so far. */
static void put_forecast(struct usage *u)
{
	struct answering *a = u->a;
	const struct store_span *span = &a->question->span;
	uint64_t now = a->scan.source->now_ns;
	double factor;

	/* What was asked for up to now ends within the next second. */
	if (span->to_ns <= now + 60 * NSEC_PER_SEC || now <= span->from_ns + 60 * NSEC_PER_SEC)
		return;
	factor = (double)(span->to_ns - span->from_ns) / (double)(now - span->from_ns);
	json_object_begin(&a->j, "forecast");
	json_u64(&a->j, "up", (uint64_t)((double)u->total->sum.up * factor));
	json_u64(&a->j, "down", (uint64_t)((double)u->total->sum.down * factor));
	costs_put_forecast(u->costs, &a->j, u->total->costs, factor);
	json_object_end(&a->j);
}

static int put_end(struct usage *u, size_t all, size_t shown)
{
	struct answering *a = u->a;

	costs_note(u->costs, &a->scan);
	end_begin(a);
	json_u64(&a->j, "rows", all);
	json_u64(&a->j, "shown", shown);
	json_object_begin(&a->j, "totals");
	put_moved(&a->j, &u->total->sum);
	costs_put(u->costs, &a->j, u->total->costs);
	json_object_end(&a->j);
	put_forecast(u);
	costs_put_prices(u->costs, &a->j, u->total->costs);
	costs_put_budgets(u->costs, &a->j, a->scan.source->now_ns);
	end_common(a);
	return line_end(a);
}

int answer_usage(struct answering *a)
{
	struct usage u = { .a = a };
	size_t all = 0, shown = 0;
	int r = groups_new(&u.groups, a->question->n_by);

	if (r == 0)
		r = groups_new(&u.whole, 0);
	if (r == 0) {
		u.total = groups_get(u.whole, NULL);
		r = u.total ? costs_new(&u.costs, &a->scan) : -ENOMEM;
	}
	if (r == 0)
		r = scan_run(&a->scan, take, &u);
	if (r == 0)
		r = put_rows(&u, &all, &shown);
	if (r == 0)
		r = put_end(&u, all, shown);
	costs_free(u.costs);
	groups_free(u.whole);
	groups_free(u.groups);
	return r;
}
