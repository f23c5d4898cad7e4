/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/totals.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "flow/record.h"
#include "flow/rollup.h"
#include "serve/rising.h"

#define PROGRAMS_MAX 1024 /* told apart at all, as in `egret top` */
#define FINDINGS_MAX 256  /* detectors times severities are far less */
#define RULES_MAX 8192
#define RULE_LABELS 400 /* beyond: "other" */
#define ID_MAX 600

struct totals {
	struct rollup *rollup;
	struct rising programs[2]; /* up, down: by name */
	uint64_t others[2];
	size_t n_labels[2];
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
	r = rollup_new(&t->rollup, ROLLUP_PROGRAM, PROGRAMS_MAX);
	for (int i = 0; i < 2 && r == 0; i++)
		r = rising_init(&t->programs[i], PROGRAMS_MAX + 1);
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
	rollup_free(t->rollup);
	for (int i = 0; i < 2; i++)
		rising_done(&t->programs[i]);
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

void totals_record(struct totals *t, const struct record *r)
{
	if (r->type == RECORD_FINDING)
		count_finding(t, r->finding);
	else if (r->type == RECORD_FLOW && r->flow_ends)
		rollup_flow(t->rollup, r->flow, true);
}

static void add_living(void *ctx, const struct flow *f)
{
	struct totals *t = ctx;

	rollup_flow(t->rollup, f, false);
}

/*
 * What a program has moved since the last time goes to its own counter once it has a label, else to "other": so neither falls, and
 * all together are what was moved. A label is for life. A flow that another program takes up is that one's, with all its bytes.
 */
static void put_programs(struct totals *t, int side, const struct rollup_row *rows, size_t n,
			 struct metrics_out *m)
{
	struct rising *programs = &t->programs[side];

	for (size_t i = 0; i < n; i++) {
		struct rising_count *c = rising_at(programs, rows[i].label);
		uint64_t number = side ? rows[i].down_bytes : rows[i].up_bytes, more;

		if (!c)
			continue; /* no memory: seen the next time, with all that it has moved */
		more = number > c->seen ? number - c->seen : 0;
		c->seen = number;
		if (!c->labelled && i < TOTALS_FIRST && t->n_labels[side] < TOTALS_LABELS &&
		    !str_eq(c->id, STR("(others)"))) {
			c->labelled = true;
			t->n_labels[side]++;
		}
		*(c->labelled ? &c->value : &t->others[side]) += more;
	}
	for (size_t i = 0; i < programs->n; i++) {
		if (!programs->counts[i].labelled)
			continue;
		metric_begin(m, METRIC_BYTES);
		metric_label(m, "direction", str_of(directions[side]));
		metric_label(m, "app", programs->counts[i].id);
		metric_u64(m, programs->counts[i].value);
	}
	metric_begin(m, METRIC_BYTES);
	metric_label(m, "direction", str_of(directions[side]));
	metric_label(m, "app", STR("other"));
	metric_u64(m, t->others[side]);
}

void totals_put(struct totals *t, struct flow_table *flows, uint64_t now_ns, struct metrics_out *m)
{
	const struct rollup_row *rows;
	size_t n;

	rollup_begin(t->rollup, now_ns);
	flow_table_each(flows, add_living, t);
	rows = rollup_rows(t->rollup, "bytes", &n);
	for (int side = 0; side < 2; side++)
		put_programs(t, side, rows, n, m);
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
