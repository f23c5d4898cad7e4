/* SPDX-License-Identifier: Apache-2.0 */
/* Whose bytes are whose, when periods end, and what a rule does once its quota is used up. */
#include "guard/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "flow/flow.h"
#include "guard/internal.h"

/* ---- which rule has which ---- */

static bool is_of(const struct quota *q, const struct policy_rule *r)
{
	return r->quota_bytes && q->text && str_eq(str_of(q->text), r->text);
}

/* The one of this text that no rule before took: of several alike, the first goes with the first. */
static size_t find(const struct quotas *all, const struct policy_rule *r, uint64_t hash)
{
	size_t i = 0;

	while (i < all->n && (all->all[i].mapped == all->n_mapped || all->all[i].hash != hash ||
			      !is_of(&all->all[i], r)))
		i++;
	return i;
}

static bool is_in_force(const struct guard *g, size_t at)
{
	const struct rule_set *s = g->built.rules;

	for (size_t i = 0; s && s->quota && i < s->policy->n_rules; i++)
		if (s->quota[i] == at)
			return true;
	return false;
}

/* A new place, or that of the one whose period ends first among those that are not in force. */
static int place(struct guard *g, size_t *ret)
{
	struct quotas *all = &g->quotas;
	struct quota *more;
	size_t best = all->n;

	if (all->n < QUOTAS_MAX) {
		more = reallocarray(all->all, all->n + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		all->all = more;
		more[all->n] = (struct quota){ 0 };
		*ret = all->n++;
		return 0;
	}
	for (size_t i = 0; i < all->n; i++)
		if (all->all[i].mapped != all->n_mapped &&
		    (best == all->n || all->all[i].to_s < all->all[best].to_s) &&
		    !is_in_force(g, i))
			best = i;
	if (best == all->n)
		return -E2BIG;
	free(all->all[best].text);
	all->all[best] = (struct quota){ 0 };
	*ret = best;
	return 0;
}

static int map_rule(struct guard *g, const struct policy_rule *r, uint32_t *ret)
{
	struct quotas *all = &g->quotas;
	uint64_t hash = hash_bytes(r->text.p, r->text.n, 0);
	size_t at = find(all, r, hash);
	struct quota *q;

	if (at == all->n) {
		_cleanup_free_ char *text = strndup(r->text.p, r->text.n);
		int e = text ? place(g, &at) : -ENOMEM;

		if (e < 0)
			return e;
		q = &all->all[at];
		q->text = TAKE_PTR(text);
		q->hash = hash;
		calendar_period(r->quota_period, guard_now_s(g), &q->from_s, &q->to_s);
	}
	q = &all->all[at];
	q->mapped = all->n_mapped;
	q->period = r->quota_period;
	q->of = r->quota_bytes;
	*ret = (uint32_t)at;
	return 0;
}

int quotas_map(struct guard *g, struct rule_set *s)
{
	const struct policy *p = s->policy;
	uint32_t *quota;
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < p->n_rules; i++)
		any |= p->rules[i].quota_bytes != 0;
	if (!any)
		return 0;
	quota = calloc(p->n_rules, sizeof(*quota));
	if (!quota)
		return -ENOMEM;
	g->quotas.n_mapped++;
	for (size_t i = 0; r == 0 && i < p->n_rules; i++) {
		quota[i] = QUOTA_NONE;
		if (p->rules[i].quota_bytes)
			r = map_rule(g, &p->rules[i], &quota[i]);
	}
	if (r < 0) {
		free(quota);
		return r;
	}
	s->quota = quota;
	return 0;
}

bool quota_is_spent(const struct quota *q)
{
	return q->used >= q->of;
}

enum eg_action quota_action(const struct policy_rule *r)
{
	return r->quota_then_bits ? r->action : r->quota_then;
}

const char *quota_then(const struct policy_rule *r, char buf[QUOTA_THEN_MAX])
{
	char rate[HUMAN_TEXT_MAX];

	if (!r->quota_then_bits)
		return policy_action_name(r->quota_then);
	snprintf(buf, QUOTA_THEN_MAX, "limit %sbit/s", human_count(r->quota_then_bits, rate));
	return buf;
}

int quotas_instead(const struct guard *g, const struct rule_set *s, uint8_t **ret)
{
	const struct policy *p = s->policy;
	uint8_t *instead = s->quota ? calloc(p->n_rules, 1) : NULL;

	*ret = instead;
	if (s->quota && !instead)
		return -ENOMEM;
	for (size_t i = 0; instead && i < p->n_rules; i++) {
		const struct quota *q =
			s->quota[i] == QUOTA_NONE ? NULL : &g->quotas.all[s->quota[i]];

		if (q && quota_is_spent(q))
			instead[i] = (uint8_t)quota_action(&p->rules[i]);
	}
	return 0;
}

/* ---- counting ---- */

struct quota *quota_of(const struct guard *g, const struct flow *f)
{
	const struct verdict_rule *v = f->verdict.rule;
	const struct rule_set *s = NULL;
	struct quota *q;

	for (size_t i = g->n_gens; v && !s && i; i--)
		if (g->gens[i - 1].gen == v->gen)
			s = g->gens[i - 1].rules;
	if (!s || !s->quota || v->rule >= s->policy->n_rules || s->quota[v->rule] == QUOTA_NONE)
		return NULL;
	q = &g->quotas.all[s->quota[v->rule]];
	return is_of(q, &s->policy->rules[v->rule]) ? q : NULL; /* else its place was given away */
}

int quota_mark_order(const void *a, const void *b)
{
	const struct quota_mark *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

/* Its counters may be older than this process: what was counted of it before is not counted again. */
static struct quota *first_sight(struct guard *g, struct flow *f, uint64_t bytes)
{
	struct quota_mark want = { .cookie = f->cookie, .key = quota_flow_key(f) }, *m;

	m = g->quotas.n_marks ? bsearch(&want, g->quotas.marks, g->quotas.n_marks, sizeof(*m),
					quota_mark_order)
			      : NULL;
	/* Of a flow that the process before was told of, this one is told no cookie. */
	if (!m || m->taken || (f->cookie && f->cookie != m->cookie)) {
		if (g->quotas.as_of_ns && (!f->cookie || f->start_ns <= g->quotas.as_of_ns))
			f->quoted = bytes;
		return NULL;
	}
	m->taken = true;
	f->quoted = m->bytes <= bytes ? m->bytes : 0;
	return m->quota < g->quotas.n ? &g->quotas.all[m->quota] : NULL;
}

void quotas_flow(struct guard *g, struct flow *f)
{
	uint64_t bytes = flow_up(f)->bytes + flow_down(f)->bytes, more;
	struct quota *q = NULL, *now;

	if (bytes == f->quoted)
		return;
	if (!f->quoted)
		q = first_sight(g, f, bytes);
	more = bytes > f->quoted ? bytes - f->quoted : 0;
	f->quoted = bytes;
	now = quota_of(g, f);
	q = now ? now : q;
	if (!q || !more)
		return;
	q->used = more < UINT64_MAX - q->used ? q->used + more : UINT64_MAX;
	g->quotas.changed = true;
}

static void on_flow(void *ctx, const struct flow *f)
{
	/* `quoted` is ours; the table hands its flows out as const. */
	quotas_flow(ctx, (struct flow *)f);
}

/* Back in time: what was used stays used, of the period that is now. */
static void roll(struct guard *g, int64_t now)
{
	for (size_t i = 0; i < g->quotas.n; i++) {
		struct quota *q = &g->quotas.all[i];

		if (now >= q->from_s && now < q->to_s)
			continue;
		if (now >= q->to_s) {
			q->used = 0;
			q->told = QUOTA_TOLD_NOTHING;
		}
		calendar_period(q->period, now, &q->from_s, &q->to_s);
		g->quotas.changed = true;
	}
}

void quotas_catch_up(struct guard *g)
{
	if (!g->quotas.n)
		return;
	if (g->cfg.flows)
		flow_table_each(g->cfg.flows, on_flow, g);
	roll(g, guard_now_s(g));
}

/* ---- once a second ---- */

static void tell(const struct guard *g, const struct quota *q, size_t rule)
{
	char used[HUMAN_TEXT_MAX], of[HUMAN_TEXT_MAX], end[64], text[QUOTA_THEN_MAX];
	const char *then = quota_then(&g->built.rules->policy->rules[rule], text);
	time_t to = (time_t)q->to_s;
	struct guard_rule r;
	struct tm tm = { 0 };

	if (!guard_rule_of(g->built.rules->policy, rule, &r))
		return;
	localtime_r(&to, &tm);
	strftime(end, sizeof(end), "%F %T %z", &tm);
	human_bytes(q->used, used);
	human_bytes(q->of, of);
	if (q->told == QUOTA_TOLD_WARNED)
		log_warn("%.*s:%u: %d %% of the quota is used: %s of %s, until %s: %.*s",
			 STR_FMT(r.file), r.line, QUOTA_WARN_PERCENT, used, of, end,
			 STR_FMT(r.text));
	else
		log_warn("%.*s:%u: the quota is used up: %s of %s; %s until %s: %.*s",
			 STR_FMT(r.file), r.line, used, of, then, end, STR_FMT(r.text));
}

static void warn(struct guard *g, struct quota *q, size_t rule)
{
	enum quota_told now = quota_is_spent(q) ? QUOTA_TOLD_SPENT
			      : q->used >= q->of / 100 * QUOTA_WARN_PERCENT +
						      q->of % 100 * QUOTA_WARN_PERCENT / 100
				      ? QUOTA_TOLD_WARNED
				      : QUOTA_TOLD_NOTHING;

	if (now <= q->told)
		return;
	q->told = now;
	g->quotas.changed = true;
	tell(g, q, rule);
}

bool quotas_tick(struct guard *g)
{
	const struct rule_set *s = g->built.rules;
	bool differs = false;

	quotas_catch_up(g);
	for (size_t i = 0; s && s->quota && i < s->policy->n_rules; i++) {
		struct quota *q = s->quota[i] == QUOTA_NONE ? NULL : &g->quotas.all[s->quota[i]];

		if (!q)
			continue;
		warn(g, q, i);
		differs |= g->built.instead && (g->built.instead[i] != 0) != quota_is_spent(q);
	}
	quotas_keep(g);
	return differs;
}

void quotas_done(struct guard *g)
{
	for (size_t i = 0; i < g->quotas.n; i++)
		free(g->quotas.all[i].text);
	free(g->quotas.all);
	free(g->quotas.marks);
	g->quotas = (struct quotas){ 0 };
}
