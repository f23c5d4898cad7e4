/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/verdict.h"

#include <stdlib.h>

#include "base/cleanup.h"

static struct str keep(char **at, struct str s)
{
	struct str kept = { *at, s.n };

	if (s.n)
		memcpy(*at, s.p, s.n);
	(*at)[s.n] = 0;
	*at += s.n + 1;
	return kept;
}

static struct verdict_rule *rule_new(const struct verdict_rule *of)
{
	size_t n = of->file.n + of->text.n + of->note.n + of->alert_text.n + 4;
	struct verdict_rule *r = malloc(sizeof(*r) + n);
	char *at = (char *)(r + 1);

	if (!r)
		return NULL;
	*r = *of;
	r->refs = 1;
	r->file = keep(&at, of->file);
	r->text = keep(&at, of->text);
	r->note = keep(&at, of->note);
	r->alert_text = keep(&at, of->alert_text);
	return r;
}

struct verdict_rule *verdict_rule_ref(struct verdict_rule *r)
{
	if (r)
		r->refs++;
	return r;
}

void verdict_rule_put(struct verdict_rule *r)
{
	if (r && !--r->refs)
		free(r);
}

void verdict_rules_done(struct verdict_rules *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->slots); i++) {
		verdict_rule_put(r->slots[i]);
		r->slots[i] = NULL;
	}
}

struct verdict_rule *verdict_rules_find(struct verdict_rules *r, uint32_t gen, uint16_t rule)
{
	struct verdict_rule **slot = &r->slots[rule % VERDICT_RULES];
	struct verdict_rule told = { .gen = gen, .rule = rule };

	if (*slot && (*slot)->gen == gen && (*slot)->rule == rule)
		return *slot;
	if (!r->source.rule || !r->source.rule(r->source.ctx, gen, rule, &told))
		return NULL;
	told.gen = gen;
	told.rule = rule;
	verdict_rule_put(*slot);
	*slot = rule_new(&told);
	return *slot;
}

const char *verdict_action_name(uint8_t action)
{
	static const char *const names[] = { NULL, "allow", "deny", "reject", "audit" };

	return action < ARRAY_SIZE(names) ? names[action] : NULL;
}

const char *flow_verdict_word(const struct flow_verdict *v)
{
	static const char *const would[] = { NULL, "allow", "would deny", "would reject",
					     "would deny" };

	if (v->would_refuse && v->action < ARRAY_SIZE(would))
		return would[v->action];
	return verdict_action_name(v->action);
}
