/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meaning of a policy, written down once more without any cleverness: rule by rule, value by value, from docs/policy.md
 * and struct policy alone. What is not known yet is tried out: every way in which it may turn out. Slow, and the judge of
 * the evaluator.
 */
#pragma once

#include "policy_random.h"

struct naive_answer {
	size_t rule; /* of the first way; when `final` of all */
	enum eg_action action;
	bool final; /* the same rule decides whatever the unknown turns out to be */
	bool could_pass, could_drop;
	uint64_t ways;
};
void naive_judge(const struct policy *p, const struct policy_subject *s, struct naive_answer *ret);

/* Whether a flow of which everything is known is one that the expectation speaks of (all, as for `expect deny`). */
bool naive_expected(const struct policy *p, const struct policy_expect *e,
		    const struct policy_subject *s);
