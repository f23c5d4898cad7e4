/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas for people and for metrics. */
#include "base/cleanup.h"
#include "base/json.h"
#include "guard/internal.h"

static const char *state_of(const struct quota *q)
{
	if (quota_is_spent(q))
		return "spent";
	return q->told == QUOTA_TOLD_WARNED ? "warned" : "ok";
}

static const char *period_name(char period)
{
	return period == 'h' ? "hour" : period == 'd' ? "day" : period == 'w' ? "week" : "month";
}

static const struct quota *quota_of_rule(const struct guard *g, size_t rule)
{
	const struct rule_set *s = g->built.rules;

	if (!s || !s->quota || rule >= s->policy->n_rules || s->quota[rule] == QUOTA_NONE)
		return NULL;
	return &g->quotas.all[s->quota[rule]];
}

/* When the rest is gone if it goes on as since the period began; 0: not before it ends. */
static int64_t runs_out(const struct quota *q, int64_t now_s)
{
	double elapsed = (double)(now_s - q->from_s), when;

	if (!q->used || elapsed <= 0 || quota_is_spent(q))
		return 0;
	when = (double)now_s + (double)(q->of - q->used) / ((double)q->used / elapsed);
	return when < (double)q->to_s ? (int64_t)when : 0;
}

static void put_quota(const struct guard *g, struct json *j, size_t rule, const struct quota *q)
{
	int64_t out = runs_out(q, guard_now_s(g));
	char then[QUOTA_THEN_MAX];
	struct guard_rule r;

	if (!guard_rule_of(g->built.rules->policy, rule, &r))
		return;
	json_object_begin(j, NULL);
	json_str(j, "text", r.text);
	json_str(j, "file", r.file);
	json_u64(j, "line", r.line);
	json_u64(j, "used", q->used);
	json_u64(j, "of", q->of);
	json_u64(j, "left", q->of - MIN(q->used, q->of));
	json_text(j, "period", period_name(q->period));
	json_i64(j, "from", q->from_s);
	json_i64(j, "ends", q->to_s);
	if (out)
		json_i64(j, "runs_out", out);
	json_text(j, "state", state_of(q));
	json_text(j, "then", quota_then(r.rule, then));
	json_object_end(j);
}

void guard_quotas(struct guard *g, struct json *j)
{
	const struct rule_set *s = g->built.rules;

	quotas_catch_up(g);
	json_text(j, "mode", guard_mode_name(g->kernel_mode));
	json_array_begin(j, "quotas");
	for (size_t i = 0; s && i < s->policy->n_rules; i++) {
		const struct quota *q = quota_of_rule(g, i);

		if (q)
			put_quota(g, j, i, q);
	}
	json_array_end(j);
	budgets_put(g, j);
}

void quota_put_state(const struct guard *g, struct json *j, size_t rule)
{
	const struct quota *q = quota_of_rule(g, rule);
	char then[QUOTA_THEN_MAX];

	if (!q)
		return;
	json_object_begin(j, "quota");
	json_u64(j, "used", q->used);
	json_u64(j, "of", q->of);
	json_i64(j, "ends", q->to_s);
	json_text(j, "state", state_of(q));
	json_text(j, "then", quota_then(&g->built.rules->policy->rules[rule], then));
	json_object_end(j);
}

void guard_each_quota(const struct guard *g, void (*fn)(void *ctx, const struct guard_quota *q),
		      void *ctx)
{
	const struct rule_set *s = g->built.rules;

	for (size_t i = 0; s && i < s->policy->n_rules; i++) {
		const struct quota *q = quota_of_rule(g, i);
		struct guard_quota told;

		if (!q || !guard_rule_of(s->policy, i, &told.rule))
			continue;
		told.used_bytes = q->used;
		told.limit_bytes = q->of;
		fn(ctx, &told);
	}
}

void quotas_note(const struct guard *g, const struct rule_set *s, struct buf *messages)
{
	const struct policy *p = s->policy;
	size_t i = 0;

	if (g->state || !s->quota)
		return;
	while (s->quota[i] == QUOTA_NONE)
		i++;
	policy_complain(p, p->rules[i].place, "note", messages,
			"there is no state folder: what is used of a quota is forgotten when this "
			"process ends");
}
