/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of rules, as the kernel's side has them: bytes a second, and whose text it is, so that its buckets outlive a swap. */
#include "policy/compile.h"

#include "base/hash.h"

_Static_assert((int)EACH_NONE == (int)EG_EACH_NONE && (int)EACH_APP == (int)EG_EACH_APP &&
		       (int)EACH_USER == (int)EG_EACH_USER && (int)EACH_UNIT == (int)EG_EACH_UNIT &&
		       (int)EACH_HOST == (int)EG_EACH_HOST &&
		       (int)EACH_SEGMENT == (int)EG_EACH_SEGMENT &&
		       (int)EACH_FLOW == (int)EG_EACH_FLOW,
	       "what follows `each` is numbered alike");

uint64_t compile_rate(const struct compile *c, size_t rule)
{
	const struct policy_rule *r = &c->p->rules[rule];

	if (r->quota_then_bits && c->cfg->instead && c->cfg->instead[rule])
		return r->quota_then_bits;
	return r->limit_bits;
}

void compile_limits(struct compile *c)
{
	const struct policy *p = c->p;
	size_t n = 0;

	for (size_t i = 0; i < p->n_rules; i++)
		n += compile_rate(c, i) != 0;
	if (!n)
		return;
	c->limits = calloc(n, sizeof(*c->limits));
	c->limit_of = calloc(p->n_rules, sizeof(*c->limit_of));
	if (!c->limits || !c->limit_of) {
		compile_no_memory(c);
		return;
	}
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];
		uint64_t bits = compile_rate(c, i);

		if (!bits)
			continue;
		c->limits[c->n_limits++] = (struct eg_limit){
			.id = hash_bytes(r->text.p, r->text.n, 0),
			.rate = MAX(bits / 8, 1ULL),
			.each = (uint32_t)r->limit_each,
		};
		c->limit_of[i] = (uint16_t)c->n_limits;
		c->each_segment |= r->limit_each == EACH_SEGMENT;
	}
}
