/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of policy_explain() (image.h): explain.c finds the fact, explain_words.c says it. */
#pragma once

#include "policy/compile.h"

struct words {
	char p[512];
	size_t n;
};
/* Cut when there is no more room. */
void words_add(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Why a term of a rule does not hold: the value, and what the rule says. */
void explain_term(const struct policy *p, const struct policy_subject *s,
		  const struct policy_rule *rule, enum term term, uint8_t app, struct words *w);
/* What of the subject a term is about: "user is 1000". */
void explain_fact(const struct policy *p, const struct policy_subject *s, enum term term,
		  uint8_t app, struct words *w);
