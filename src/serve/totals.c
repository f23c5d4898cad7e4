/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/totals.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "flow/record.h"
#include "flow/rollup.h"
#include "serve/rising.h"

#define PROGRAMS_MAX 1024 /* told apart at all */
#define FINDINGS_MAX 256  /* detectors times severities are far less */
#define RULES_MAX 8192
#define RULE_LABELS 400 /* beyond: "other" */
#define ID_MAX 600

/* What a program moved, up and down; and of that, what went to "other" before it had a label. */
struct moved {
	uint64_t bytes[2], before[2];
};

struct totals {
	struct rising programs;           /* by name: all bytes, which is their order */
	struct moved moved[PROGRAMS_MAX]; /* of the program in the same place */
	uint64_t all[2];
	size_t n_labels;
	struct rising findings; /* by "detector\0severity" */
	struct rising rules;    /* by verdict and text */
	struct rising labels;   /* by "rule\0verdict" */
	struct rising rest;     /* by verdict: of rules that found no room there */
	bool forgot;            /* in this pass: what rules had counted before is not known */
};

static const char *const directions[] = { "up", "down" };

DEFINE_CLEANUP(struct totals, totals_free);

int totals_new(struct totals **ret)
{
	_cleanup_(totals_freep) struct totals *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	r = rising_init(&t->programs, PROGRAMS_MAX);
	if (r == 0)
		r = rising_init(&t->findings, FINDINGS_MAX);
	if (r == 0)
		r = rising_init(&t->rules, RULES_MAX);
	if (r == 0)
		r = rising_init(&t->labels, RULE_LABELS);
	if (r == 0)
		r = rising_init(&t->rest, 8);
	if (r == 0)
		*ret = TAKE_PTR(t);
	return r;
}

struct totals *totals_free(struct totals *t)
{
	if (!t)
		return NULL;
	rising_done(&t->programs);
	rising_done(&t->findings);
	rising_done(&t->rules);
	rising_done(&t->labels);
	rising_done(&t->rest);
	free(t);
	return NULL;
}

/* "a\0b", cut to what an id may hold. */
static struct str pair_of(struct str a, const char *b, char id[ID_MAX])
{
	size_t n = MIN(a.n, (size_t)ID_MAX - 64);

	memcpy(id, a.p, n);
	id[n] = 0;
	return (struct str){ id, n + 1 + (size_t)snprintf(id + n + 1, 60, "%.50s", b) };
}

static void put_pairs(const struct rising *r, enum metric id, const char *first, const char *second,
		      struct metrics_out *m)
{
	for (size_t i = 0; i < r->n; i++) {
		struct str rest = r->counts[i].id, a;

		str_cut(&rest, 0, &a);
		metric_begin(m, id);
		metric_label(m, first, a);
		metric_label(m, second, rest);
		metric_u64(m, r->counts[i].value);
	}
}

/* --- flows and findings ---------------------------------------------------------------------------------------------- */

static void count_finding(struct totals *t, const struct finding *f)
{
	struct rising_count *c;
	char id[ID_MAX];

	if (f->state != FINDING_OPEN)
		return;
	c = rising_at(&t->findings,
		      pair_of(str_of(f->detector), severity_name(f->severity) ?: "none", id));
	if (c)
		c->value++;
}

/*
 * What the flow has moved since the last time goes to the program that has it now: a flow that another program takes up is in
 * two programs with a part each, and all together are what was moved.
 */
static void meter(struct totals *t, struct flow *f)
{
	const uint64_t now[2] = { flow_up(f)->bytes, flow_down(f)->bytes };
	char text[ADDR_TEXT_MAX];
	struct rising_count *c;

	if (now[0] == f->metered[0] && now[1] == f->metered[1])
		return;
	c = rising_at(&t->programs, rollup_label(ROLLUP_PROGRAM, f, text));
	for (int side = 0; side < 2; side++) {
		uint64_t more = now[side] - f->metered[side];

		f->metered[side] = now[side];
		t->all[side] += more;
		if (!c)
			continue; /* so many programs: "other" */
		c->value += more;
		t->moved[c - t->programs.counts].bytes[side] += more;
	}
}

void totals_record(struct totals *t, const struct record *r)
{
	if (r->type == RECORD_FINDING)
		count_finding(t, r->finding);
	else if (r->type == RECORD_FLOW && r->flow_ends)
		/* `metered` is ours; the table hands its flows out as const. */
		meter(t, (struct flow *)r->flow);
}

static void meter_living(void *ctx, const struct flow *f)
{
	meter(ctx, (struct flow *)f);
}

static int by_value(const void *a, const void *b)
{
	const struct rising_count *x = *(struct rising_count *const *)a,
				  *y = *(struct rising_count *const *)b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	return (x > y) - (x < y);
}

/* A label is for life. */
static void label_programs(struct totals *t)
{
	struct rising_count *order[PROGRAMS_MAX];
	struct rising *p = &t->programs;

	for (size_t i = 0; i < p->n; i++)
		order[i] = &p->counts[i];
	qsort(order, p->n, sizeof(*order), by_value);
	for (size_t i = 0; i < MIN(p->n, (size_t)TOTALS_FIRST); i++) {
		if (order[i]->labelled || t->n_labels == TOTALS_LABELS)
			continue;
		order[i]->labelled = true;
		t->n_labels++;
	}
	/* what the others have moved until now is told as "other", and stays that */
	for (size_t i = 0; i < p->n; i++)
		if (!p->counts[i].labelled)
			memcpy(t->moved[i].before, t->moved[i].bytes, sizeof(t->moved[i].before));
}

static void put_bytes(int side, struct str app, uint64_t value, struct metrics_out *m)
{
	metric_begin(m, METRIC_BYTES);
	metric_label(m, "direction", str_of(directions[side]));
	metric_label(m, "app", app);
	metric_u64(m, value);
}

static void put_programs(const struct totals *t, int side, struct metrics_out *m)
{
	uint64_t others = t->all[side];

	for (size_t i = 0; i < t->programs.n; i++) {
		const struct rising_count *c = &t->programs.counts[i];
		uint64_t own = t->moved[i].bytes[side] - t->moved[i].before[side];

		if (!c->labelled)
			continue;
		put_bytes(side, c->id, own, m);
		others -= own;
	}
	put_bytes(side, STR("other"), others, m);
}

void totals_put(struct totals *t, struct flow_table *flows, struct metrics_out *m)
{
	flow_table_each(flows, meter_living, t);
	label_programs(t);
	for (int side = 0; side < 2; side++)
		put_programs(t, side, m);
	put_pairs(&t->findings, METRIC_FINDINGS, "detector", "severity", m);
}

/* --- rules ------------------------------------------------------------------------------------------------------------ */

void totals_verdicts_begin(struct totals *t)
{
	t->forgot = false;
}

/* What a rule has counted since the last time. After a restart of its count, all of it. */
static uint64_t growth_of(struct totals *t, struct str id, uint64_t hits)
{
	struct rising_count *c = rising_at(&t->rules, id);
	uint64_t more;

	if (!c) {
		/* So many rules came and went: what they did since the last time is not told, and all goes on from here. */
		rising_clear(&t->rules);
		t->forgot = true;
		c = rising_at(&t->rules, id);
	}
	if (!c)
		return 0;
	more = t->forgot ? 0 : hits >= c->seen ? hits - c->seen : hits;
	c->seen = hits;
	return more;
}

void totals_verdict(struct totals *t, struct str rule, const char *verdict, struct str text,
		    uint64_t hits)
{
	struct rising_count *c;
	char id[ID_MAX];
	uint64_t more;

	if (!hits)
		return; /* of two rules with one text the second never decides */
	more = growth_of(t, pair_of(text, verdict, id), hits);
	c = rising_at(&t->labels, pair_of(rule, verdict, id));
	if (!c)
		c = rising_at(&t->rest, str_of(verdict));
	if (c)
		c->value += more;
}

void totals_verdicts_put(struct totals *t, struct metrics_out *m)
{
	put_pairs(&t->labels, METRIC_VERDICTS, "rule", "verdict", m);
	for (size_t i = 0; i < t->rest.n; i++) {
		metric_begin(m, METRIC_VERDICTS);
		metric_label(m, "rule", STR("other"));
		metric_label(m, "verdict", t->rest.counts[i].id);
		metric_u64(m, t->rest.counts[i].value);
	}
}
