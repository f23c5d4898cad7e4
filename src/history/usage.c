/* SPDX-License-Identifier: Apache-2.0 */
/* "usage": sums by up to four dimensions, the largest first. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "history/largest.h"
#include "history/verbs.h"

struct usage {
	struct answering *a;
	struct groups *groups;
	struct costs *costs;
	struct groups *whole; /* one group: all of it */
	struct group *total;
	size_t all, shown; /* groups */
	bool largest;      /* those, and the rest as one */
	bool at_least;     /* so many: there are more in the rest */
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

static int read_all(struct usage *u)
{
	int r = groups_new(&u->groups, u->a->question->n_by);

	return r == 0 ? scan_run(&u->a->scan, take, u) : r;
}

static int read_groups(struct usage *u)
{
	enum question_sort sort = u->a->question->sort;
	int r = 1;

	if (!u->costs && sort != QUESTION_SORT_COST && sort != QUESTION_SORT_LAST)
		r = largest_groups(&u->a->scan, sort_keys[sort], &u->groups, &u->total->sum);
	u->largest = r == 0;
	return r == 1 ? read_all(u) : r;
}

static int put_rows(struct usage *u)
{
	struct answering *a = u->a;
	const struct history_question *q = a->question;
	struct group **rows;
	int r = 0;

	if (u->costs) {
		rows = groups_sorted(u->groups, by_bytes, &u->all);
		for (size_t i = 0; rows && i < u->all; i++)
			costs_weigh(u->costs, rows[i]);
	}
	rows = groups_sorted(u->groups, sort_keys[q->sort], &u->all);
	if (!rows)
		return -ENOMEM;
	u->at_least = u->all && rows[u->all - 1]->is_others;
	u->shown = MIN(u->all, (size_t)q->limit);
	for (size_t i = 0; r == 0 && i < u->shown; i++) {
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

static int put_end(struct usage *u)
{
	struct answering *a = u->a;

	costs_note(u->costs, &a->scan);
	if (u->at_least && !u->largest)
		scan_note(&a->scan,
			  "more than %u different: some that are not shown may be larger than some "
			  "that are; ask for a shorter time, or with a filter",
			  GROUPS_MAX);
	end_begin(a);
	json_u64(&a->j, "rows", u->all);
	if (u->at_least)
		json_bool(&a->j, "rows_at_least", true);
	json_u64(&a->j, "shown", u->shown);
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
	int r = groups_new(&u.whole, 0);

	if (r == 0) {
		u.total = groups_get(u.whole, NULL);
		r = u.total ? costs_new(&u.costs, &a->scan) : -ENOMEM;
	}
	if (r == 0)
		r = read_groups(&u);
	if (r == 0)
		r = put_rows(&u);
	if (r == 0)
		r = put_end(&u);
	costs_free(u.costs);
	groups_free(u.whole);
	groups_free(u.groups);
	return r;
}
