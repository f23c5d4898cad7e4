/* SPDX-License-Identifier: Apache-2.0 */
#include "history/largest.h"

#include <errno.h>

#include "base/cleanup.h"
#include "history/fleet_select.h"
#include "history/verbs.h"

#define NAMES_FIRST 64U
#define NAMES_MAX 2048U /* more are not asked for by name, */
#define TEXT_MAX \
	40960U /* nor where that takes more bytes: a statement has 256 KiB, for all its parts */
#define ADDRESS_TEXT 56 /* what an address takes besides */

struct largest {
	struct scan *scan;
	const struct history_question *question;
	struct history_question by_name; /* the same, but for what it is asked by, */
	size_t at;                       /* and where that is in the question */
	uint64_t (*size)(const struct group *g);
	struct groups *names, *groups;
	struct moved total;
	struct group **name, **row; /* of these, the largest first */
	size_t n_names, n_rows;
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
	return l->name ? 0 : -ENOMEM;
}

/* These names can be asked for one by one. */
static bool can_be_asked(struct group *const *name, size_t n)
{
	size_t bytes = 0;
	struct addr a;

	for (size_t i = 0; i < n && i < NAMES_MAX; i++)
		bytes += name[i]->key[0].n + 4 +
			 (addr_parse(name[i]->key[0], &a) < 0 ? 0 : ADDRESS_TEXT);
	return n <= NAMES_MAX && bytes <= TEXT_MAX && !(n && name[n - 1]->is_others);
}

/*
 * The largest groups of these names; NULL: of any, and no more of each than its size. 1: of another time than the names, as not all sums are made
 * at once; or too long a statement.
 */
static int read_groups_of(struct largest *l, struct group *const *name, size_t n)
{
	struct store_span span = l->scan->span;
	struct scan_apart apart = { .by = l->by_name.by,
				    .n_by = l->by_name.n_by,
				    .groups = (const struct group *const *)name,
				    .n = n,
				    .alone = true };
	int r;

	l->groups = groups_free(l->groups);
	r = groups_new(&l->groups, l->question->n_by);
	if (r < 0)
		return r;
	scan_again(l->scan);
	l->scan->apart = name ? &apart : NULL;
	l->scan->top = l->question->limit;
	r = scan_run(l->scan, take_group, l);
	l->scan->apart = NULL;
	l->scan->top = 0;
	if (r)
		return r;
	l->row = groups_sorted(l->groups, l->size, &l->n_rows);
	if (!l->row)
		return -ENOMEM;
	return l->scan->span.from_ns != span.from_ns || l->scan->span.to_ns != span.to_ns;
}

/* Where too many names may have them: which do, and then the largest groups of these. 1: they are too many. */
static int read_groups_of_any(struct largest *l)
{
	struct groups *names = NULL;
	struct group **name = NULL;
	size_t n = 0;
	int r = read_groups_of(l, NULL, 0);

	if (r == 0)
		r = groups_new(&names, l->by_name.n_by);
	for (size_t i = 0; r == 0 && i < l->n_rows; i++)
		if (!groups_get(names, &l->row[i]->key[l->at]))
			r = -ENOMEM;
	if (r == 0) {
		name = groups_sorted(names, l->size, &n);
		r = name ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = can_be_asked(name, n) ? read_groups_of(l, name, n) : 1;
	groups_free(names);
	return r;
}

/* How many names can have one of the largest groups, as far as those that were read tell; SIZE_MAX: any can. */
static size_t names_needed(const struct largest *l)
{
	size_t n = 0;
	uint64_t least;

	if (l->n_rows < l->question->limit)
		return SIZE_MAX;
	least = l->size(l->row[l->n_rows - 1]);
	/* the rest of more names than can be told apart: one of them may have moved as much as all */
	if (l->name[l->n_names - 1]->is_others && l->size(l->name[l->n_names - 1]) >= least)
		return SIZE_MAX;
	while (n < l->n_names && l->size(l->name[n]) >= least)
		n++;
	return can_be_asked(l->name, n) ? n : SIZE_MAX;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0; /* pieces came after the names had been counted */
}

/* Where there may be more groups than were read: what all of them moved, but for these. */
static int add_others(struct largest *l)
{
	struct moved sum = l->total;
	struct group *others;

	for (size_t i = 0; i < l->n_rows; i++) {
		const struct moved *m = &l->row[i]->sum;

		sum.flows = less(sum.flows, m->flows);
		sum.up = less(sum.up, m->up);
		sum.down = less(sum.down, m->down);
		sum.up_packets = less(sum.up_packets, m->up_packets);
		sum.down_packets = less(sum.down_packets, m->down_packets);
		sum.refused = less(sum.refused, m->refused);
	}
	if (!(sum.flows | sum.up | sum.down | sum.up_packets | sum.down_packets | sum.refused))
		return 0;
	others = groups_others(l->groups);
	if (!others)
		return -ENOMEM;
	others->sum = sum;
	return 0;
}

static int read_groups(struct largest *l)
{
	size_t n = MIN((size_t)NAMES_FIRST, l->n_names), needed = SIZE_MAX;
	int r = 0;

	if (can_be_asked(l->name, n)) {
		r = read_groups_of(l, l->name, n);
		needed = r == 0 && n < l->n_names ? names_needed(l) : n;
	}
	if (r == 0 && needed == SIZE_MAX)
		r = read_groups_of_any(l);
	else if (r == 0 && needed > n)
		r = read_groups_of(l, l->name, needed);
	return r == 0 && l->n_rows == l->question->limit ? add_others(l) : r;
}

/* By name, or where that is not asked for by domain. */
static bool ask_by_name(struct largest *l)
{
	const struct history_question *q = l->question;

	l->by_name = *q;
	l->by_name.n_by = 0;
	for (size_t i = 0; i < q->n_by; i++) {
		if (q->by[i] == STORE_DIM_NAME ||
		    (q->by[i] == STORE_DIM_DOMAIN && !l->by_name.n_by)) {
			l->by_name.by[0] = q->by[i];
			l->by_name.n_by = 1;
			l->at = i;
		}
	}
	return l->by_name.n_by > 0;
}

/* ClickHouse ranks by columns: a verdict is of two, and protocols of newer versions are one. */
static bool can_be_ranked(const struct history_question *q)
{
	for (size_t i = 0; i < q->n_by; i++)
		if (q->by[i] == STORE_DIM_VERDICT || q->by[i] == STORE_DIM_PROTOCOL)
			return false;
	return true;
}

int largest_groups(struct scan *s, uint64_t (*size)(const struct group *g), struct groups **ret,
		   struct moved *total)
{
	struct largest l = { .scan = s, .question = s->question, .size = size };
	int r;

	if (!s->fleet || !can_be_ranked(s->question) || !ask_by_name(&l) ||
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
