/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "timeline": amounts by time, in all or of the largest groups and the rest. Two passes: who is large, then when it moved what; one where
 * all is one series.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"
#include "history/cover.h"
#include "history/fleet.h"
#include "history/verbs.h"

#define POINTS_MAX 400

struct line {
	uint64_t *up, *down, *flows; /* a point each */
	const struct group *group;   /* NULL: the rest */
	bool used;
};

struct timeline {
	struct answering *a;
	struct groups *groups;
	struct line lines[QUESTION_SERIES_MAX + 1];
	const struct group *large[QUESTION_SERIES_MAX];
	struct scan_apart apart; /* these */
	size_t n_lines;
	uint64_t start_ns, step_ns;
	size_t points;
	struct moved total;
};

static int take_total(void *ctx, const struct portion *p)
{
	struct timeline *t = ctx;
	const struct history_question *q = t->a->question;
	struct str keys[QUESTION_BY_MAX];
	struct label_scratch scratch;
	struct group *g;

	labels_of(p, q->by, q->n_by, &scratch, keys);
	g = groups_get(t->groups, keys);
	if (!g)
		return -ENOMEM;
	moved_add(&g->sum, &p->sum);
	return 0;
}

static uint64_t by_bytes(const struct group *g)
{
	return g->sum.up + g->sum.down;
}

static int make_line(struct timeline *t, const struct group *g)
{
	struct line *l = &t->lines[t->n_lines];

	l->up = calloc(3 * t->points, sizeof(uint64_t));
	if (!l->up)
		return -ENOMEM;
	l->down = l->up + t->points;
	l->flows = l->down + t->points;
	l->group = g;
	t->n_lines++;
	return 0;
}

/* The largest get a line each, the last one is for the rest. */
static int pick_lines(struct timeline *t)
{
	size_t n;
	struct group **rows = groups_sorted(t->groups, by_bytes, &n);
	int r = rows ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n && i < t->a->question->limit && !rows[i]->is_others;
	     i++) {
		rows[i]->series = t->n_lines;
		t->large[t->n_lines] = rows[i];
		r = make_line(t, rows[i]);
	}
	t->apart = (struct scan_apart){ .by = t->a->question->by,
					.n_by = t->a->question->n_by,
					.groups = t->large,
					.n = t->n_lines };
	t->a->scan.apart = &t->apart;
	return r == 0 ? make_line(t, NULL) : r;
}

static int take_point(void *ctx, const struct portion *p)
{
	struct timeline *t = ctx;
	const struct history_question *q = t->a->question;
	struct str keys[QUESTION_BY_MAX];
	struct label_scratch scratch;
	const struct group *g;
	struct line *l;
	size_t at;

	moved_add(&t->total, &p->sum);
	labels_of(p, q->by, q->n_by, &scratch, keys);
	g = groups_find(t->groups, keys);
	l = &t->lines[g && g->series != SIZE_MAX ? g->series : t->n_lines - 1];
	if (p->time_ns < t->start_ns)
		return 0;
	at = (p->time_ns - t->start_ns) / t->step_ns;
	if (at >= t->points)
		return 0;
	l->up[at] += p->sum.up;
	l->down[at] += p->sum.down;
	l->flows[at] += p->sum.flows;
	l->used = true;
	return 0;
}

static enum store_step sums_of(uint64_t step_s)
{
	return step_s % 86400 == 0 ? STORE_DAY : step_s % 3600 == 0 ? STORE_HOUR : STORE_MINUTE;
}

/* As asked for, but no more points than anybody can see, and no finer than what is kept. */
static void choose_step(struct timeline *t)
{
	static const uint64_t steps[] = { 60, 300, 900, 3600, 10800, 21600, 86400 };
	struct scan *s = &t->a->scan;
	const struct history_question *q = t->a->question;
	bool from_sums = s->reader && !scan_needs_pieces(q);
	uint64_t end = MIN(q->span.to_ns, s->source->now_ns + NSEC_PER_SEC);
	uint64_t length = end > q->span.from_ns ? end - q->span.from_ns : 1;
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(steps) &&
	       (steps[i] < q->step_s || length / NSEC_PER_SEC / steps[i] > POINTS_MAX ||
		(s->fleet && !q->step_s && steps[i] < 3600 && length > FLEET_SHORT_NS) ||
		(from_sums && !cover_is_kept(s->reader, sums_of(steps[i]), q->span.from_ns))))
		i++;
	t->step_ns = steps[i] * NSEC_PER_SEC;
	t->start_ns = q->span.from_ns - q->span.from_ns % t->step_ns;
	t->points = end > t->start_ns ? (end - t->start_ns + t->step_ns - 1) / t->step_ns : 1;
	t->points = MIN(t->points, (size_t)(100 * POINTS_MAX));
	s->step = sums_of(steps[i]);
	s->step_s = steps[i];
}

static void put_points(struct json *j, const char *key, const uint64_t *v, size_t n)
{
	json_array_begin(j, key);
	for (size_t i = 0; i < n; i++)
		json_u64(j, NULL, v[i]);
	json_array_end(j);
}

static int put_line(struct timeline *t, const struct line *l)
{
	struct answering *a = t->a;

	line_begin(a);
	json_object_begin(&a->j, "key");
	if (l->group)
		put_labels(&a->j, a->question->by, a->question->n_by, l->group);
	json_object_end(&a->j);
	if (!l->group)
		json_bool(&a->j, "others", true);
	put_points(&a->j, "up", l->up, t->points);
	put_points(&a->j, "down", l->down, t->points);
	put_points(&a->j, "flows", l->flows, t->points);
	return line_end(a);
}

static int put_all(struct timeline *t)
{
	struct answering *a = t->a;
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->n_lines; i++)
		if (t->lines[i].used)
			r = put_line(t, &t->lines[i]);
	if (r < 0)
		return r;
	end_begin(a);
	json_u64(&a->j, "start", t->start_ns / NSEC_PER_SEC);
	json_u64(&a->j, "step", t->step_ns / NSEC_PER_SEC);
	json_u64(&a->j, "points", t->points);
	json_object_begin(&a->j, "totals");
	put_moved(&a->j, &t->total);
	json_object_end(&a->j);
	end_common(a);
	return line_end(a);
}

int answer_timeline(struct answering *a)
{
	struct timeline t = { .a = a };
	int r;

	if (scan_filter_is_of_whole_flows(a->question->filter)) {
		snprintf(a->error, sizeof(a->error),
			 "a timeline cannot be asked by what a flow is as a whole: up, down, "
			 "bytes, packets, age, rtt, state, refused");
		return -EINVAL;
	}
	r = groups_new(&t.groups, a->question->n_by);
	if (r == 0) {
		choose_step(&t);
		if (a->question->n_by)
			r = scan_run(&a->scan, take_total, &t);
		else
			r = groups_get(t.groups, NULL) ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = pick_lines(&t);
	if (r == 0) {
		scan_again(&a->scan);
		a->scan.series = true;
		r = scan_run(&a->scan, take_point, &t);
	}
	if (r == 0 && a->question->step_s && t.step_ns > a->question->step_s * NSEC_PER_SEC)
		scan_note(&a->scan, "a step of %lu s is the finest that can be shown of this time",
			  (unsigned long)(t.step_ns / NSEC_PER_SEC));
	a->scan.apart = NULL;
	if (r == 0)
		r = put_all(&t);
	for (size_t i = 0; i < t.n_lines; i++)
		free(t.lines[i].up);
	groups_free(t.groups);
	return r;
}
