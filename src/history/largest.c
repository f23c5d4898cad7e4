/* SPDX-License-Identifier: Apache-2.0 */
#include "history/largest.h"

#include <errno.h>

#include "base/cleanup.h"
#include "history/fleet.h"
#include "history/verbs.h"

#define NAMES_FIRST 64U
#define NAMES_MORE 4U    /* times, while these have too few groups */
#define NAMES_MAX 2048U  /* more are not asked for by name, */
#define TEXT_MAX 131072U /* nor more bytes of names: a statement has 256 KiB */

struct largest {
	struct scan *scan;
	const struct history_question *question;
	struct history_question by_name; /* the same, but for what it is asked by */
	uint64_t (*size)(const struct group *g);
	struct groups *names, *groups;
	struct moved total;
	struct group **name; /* the largest first */
	size_t n_names;
};

static int add(const struct portion *p, const struct history_question *q, struct groups *to)
{
	struct str keys[QUESTION_BY_MAX];
	struct label_scratch scratch;
	struct group *g;

	labels_of(p, q->by, q->n_by, &scratch, keys);
	g = groups_get(to, keys);
	if (!g)
		return -ENOMEM;
	moved_add(&g->sum, &p->sum);
	return 0;
}

static int take_name(void *ctx, const struct portion *p)
{
	struct largest *l = ctx;

	moved_add(&l->total, &p->sum);
	return add(p, &l->by_name, l->names);
}

static int take_group(void *ctx, const struct portion *p)
{
	struct largest *l = ctx;

	return add(p, l->question, l->groups);
}

/* 1: there are too many. */
static int read_names(struct largest *l)
{
	int r = groups_new(&l->names, l->by_name.n_by);

	if (r == 0) {
		l->scan->question = &l->by_name;
		r = scan_run(l->scan, take_name, l);
		l->scan->question = l->question;
	}
	if (r < 0)
		return r;
	l->name = groups_sorted(l->names, l->size, &l->n_names);
	if (!l->name)
		return -ENOMEM;
	return l->n_names && l->name[l->n_names - 1]->is_others;
}

static bool can_be_asked(const struct largest *l, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += l->name[i]->key[0].n;
	return n <= NAMES_MAX && bytes <= TEXT_MAX;
}

/* The groups of the first `n` names. 1: from other sums than the names, which may be of a longer time. */
static int read_groups_of(struct largest *l, size_t n)
{
	struct store_span span = l->scan->span;
	struct scan_apart apart = { .by = l->by_name.by,
				    .n_by = l->by_name.n_by,
				    .groups = (const struct group *const *)l->name,
				    .n = n,
				    .alone = true };
	int r;

	l->groups = groups_free(l->groups);
	r = groups_new(&l->groups, l->question->n_by);
	if (r < 0)
		return r;
	scan_again(l->scan);
	l->scan->apart = &apart;
	r = scan_run(l->scan, take_group, l);
	l->scan->apart = NULL;
	if (r < 0)
		return r;
	return l->scan->span.from_ns != span.from_ns || l->scan->span.to_ns != span.to_ns;
}

/* How many names can have one of the largest groups; 0: there are too few groups to tell. */
static size_t names_needed(const struct largest *l, struct group *const *rows, size_t n_rows)
{
	uint64_t limit = l->question->limit, least;
	size_t n = 0;

	if (n_rows < limit)
		return 0;
	least = l->size(rows[limit - 1]);
	while (n < l->n_names && l->size(l->name[n]) >= least)
		n++;
	return n;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0; /* pieces came after the names had been counted */
}

static int add_others(struct largest *l, struct group *const *rows, size_t n)
{
	struct moved sum = l->total;
	struct group *others;

	for (size_t i = 0; i < n; i++) {
		const struct moved *m = &rows[i]->sum;

		sum.flows = less(sum.flows, m->flows);
		sum.up = less(sum.up, m->up);
		sum.down = less(sum.down, m->down);
		sum.up_packets = less(sum.up_packets, m->up_packets);
		sum.down_packets = less(sum.down_packets, m->down_packets);
		sum.refused = less(sum.refused, m->refused);
	}
	others = groups_others(l->groups);
	if (!others)
		return -ENOMEM;
	others->sum = sum;
	return 0;
}

static int read_groups(struct largest *l)
{
	size_t n = MIN((size_t)NAMES_FIRST, l->n_names);

	for (;;) {
		struct group **rows;
		size_t n_rows, needed;
		int r = can_be_asked(l, n) ? read_groups_of(l, n) : 1;

		if (r)
			return r;
		rows = groups_sorted(l->groups, l->size, &n_rows);
		if (!rows)
			return -ENOMEM;
		if (n_rows && rows[n_rows - 1]->is_others)
			return 1;
		if (n == l->n_names)
			return 0;
		needed = names_needed(l, rows, n_rows);
		if (needed && needed <= n)
			return add_others(l, rows, n_rows);
		n = MIN(needed ?: NAMES_MORE * n, l->n_names);
	}
}

/* By name, or where that is not asked for by domain. */
static bool ask_by_name(const struct history_question *q, struct history_question *ret)
{
	*ret = *q;
	ret->n_by = 0;
	for (size_t i = 0; i < q->n_by; i++) {
		if (q->by[i] == STORE_DIM_NAME || (q->by[i] == STORE_DIM_DOMAIN && !ret->n_by)) {
			ret->by[0] = q->by[i];
			ret->n_by = 1;
		}
	}
	return ret->n_by > 0;
}

int largest_groups(struct scan *s, uint64_t (*size)(const struct group *g), struct groups **ret,
		   struct moved *total)
{
	struct largest l = { .scan = s, .question = s->question, .size = size };
	int r;

	if (!s->fleet || !ask_by_name(s->question, &l.by_name) ||
	    !fleet_reads_less(s, &l.by_name, s->question))
		return 1;
	r = read_names(&l);
	if (r == 0)
		r = read_groups(&l);
	if (r == 0) {
		*ret = l.groups;
		*total = l.total;
	} else {
		groups_free(l.groups);
		scan_again(s);
	}
	groups_free(l.names);
	return r;
}
