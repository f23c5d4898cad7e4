/* SPDX-License-Identifier: Apache-2.0 */
/* What came of each rule, over swaps and restarts: hits of the kernel, and bytes of the flows it decided. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "flow/flow.h"
#include "guard/internal.h"

static void hits_add(struct attach_hits *to, const struct attach_hits *h)
{
	to->verdicts += h->verdicts;
	to->refused_packets += h->refused_packets;
	to->refused_bytes += h->refused_bytes;
	to->refused_calls += h->refused_calls;
	to->limited_packets += h->limited_packets;
	to->limited_bytes += h->limited_bytes;
	to->last_ns = MAX(to->last_ns, h->last_ns);
}

size_t guard_counts(const struct guard *g, struct rule_count **ret)
{
	size_t n = g->built.rules ? g->built.rules->policy->n_rules + 2 : 0, n_now = 0;
	struct rule_count *all = calloc(n ? n : 1, sizeof(*all));
	_cleanup_free_ struct attach_hits *now = calloc(n ? n : 1, sizeof(*now));

	*ret = all;
	if (!all)
		return 0;
	for (size_t i = 0; i < MIN(n, g->kept.n_counts); i++)
		all[i] = g->kept.counts[i];
	if (now && g->cfg.attach)
		n_now = attach_policy_hits(g->cfg.attach, now, n);
	for (size_t i = 0; i < MIN(n, n_now); i++)
		hits_add(&all[i].hits, &now[i]);
	return n;
}

void guard_each_hits(const struct guard *g, void (*fn)(void *ctx, const struct guard_hits *h),
		     void *ctx)
{
	_cleanup_free_ struct rule_count *counts = NULL;
	size_t n = guard_counts(g, &counts);

	for (size_t i = 0; i < n; i++) {
		const struct policy *p = g->built.rules->policy;
		struct guard_hits h = {
			.verdicts = counts[i].hits.verdicts,
			.limited_packets = counts[i].hits.limited_packets,
			.limited_bytes = counts[i].hits.limited_bytes,
		};

		if (!h.verdicts || !guard_rule_of(p, i, &h.rule))
			continue;
		h.action = h.rule.rule         ? h.rule.rule->action
			   : h.rule.is_default ? p->fallback
					       : EG_ALLOW;
		fn(ctx, &h);
	}
}

/* The same rule is one with the same text; of several that are alike, the first goes with the first. */
static void carry_counts(const struct policy *from, const struct rule_count *old, size_t n_old,
			 const struct policy *to, struct rule_count *ret)
{
	_cleanup_free_ bool *used = calloc(from->n_rules + 1, sizeof(*used));
	size_t next = 0;

	if (!used || n_old != from->n_rules + 2)
		return;
	ret[to->n_rules] = old[from->n_rules];
	ret[to->n_rules + 1] = old[from->n_rules + 1];
	for (size_t i = 0; i < to->n_rules; i++) {
		for (size_t k = 0; k < from->n_rules; k++) {
			size_t at = (next + k) % from->n_rules;

			if (used[at] || !str_eq(from->rules[at].text, to->rules[i].text))
				continue;
			ret[i] = old[at];
			used[at] = true;
			next = at + 1;
			break;
		}
	}
}

/*
 * What `next` starts with: what the rules that stay have counted so far. After the swap, when the old image counts no
 * more.
 */
int counts_carry(struct guard *g, const struct policy *to, struct kept *next)
{
	const struct policy *from = g->built.rules ? g->built.rules->policy : NULL;
	_cleanup_free_ struct attach_hits *last = NULL;
	struct rule_count *old = g->kept.counts, *counts = calloc(to->n_rules + 2, sizeof(*counts));
	size_t n_last = 0;

	if (!counts)
		return -ENOMEM;
	if (from && g->cfg.attach)
		last = calloc(from->n_rules + 2, sizeof(*last));
	if (last)
		n_last = attach_policy_last_hits(g->cfg.attach, last, from->n_rules + 2);
	for (size_t i = 0; i < MIN(n_last, g->kept.n_counts); i++)
		hits_add(&old[i].hits, &last[i]);
	if (from)
		carry_counts(from, old, g->kept.n_counts, to, counts);
	free(next->counts);
	next->counts = counts;
	next->n_counts = to->n_rules + 2;
	return 0;
}

/* Whose bytes a flow's are; NULL: of a policy that is not in force any more. */
struct rule_count *guard_count_of(const struct guard *g, struct rule_count *counts, size_t n,
				  const struct flow *f)
{
	const struct verdict_rule *v = f->verdict.rule;

	if (!v || !g->built.rules || guard_policy(g, v->gen) != g->built.rules->policy ||
	    v->rule >= n)
		return NULL;
	return &counts[v->rule];
}

void guard_flow_ended(struct guard *g, const struct flow *f)
{
	struct rule_count *c = guard_count_of(g, g->kept.counts, g->kept.n_counts, f);

	if (g->quotas.n)
		quotas_flow(g, (struct flow *)f); /* as in quota.c */
	if (!c)
		return;
	c->flows++;
	c->up_bytes += flow_up(f)->bytes;
	c->down_bytes += flow_down(f)->bytes;
}
