/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policy said of a flow, or of a call or packet that never became one, and the rule that said so, in words. Rules
 * come as numbers (generation of the policy, index in it); whoever holds the policies turns them into words once, and
 * flows keep references to the words, so that a record written hours later still names the line that decided.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Texts are NUL-ended copies within the same block. Numbers of `action` are those of bpf/policy_image.h. */
struct verdict_rule {
	uint32_t refs;
	uint32_t gen;
	uint16_t rule;
	uint8_t action;
	uint8_t alert; /* 0 none, 1 low, 2 medium, 3 high, 4 critical (enum policy_level) */
	bool log, quiet;
	bool is_default, is_implied, is_block;
	uint32_t line; /* 0: nobody wrote it */
	struct str file, text, note, alert_text;
};

/* Where words come from. May be absent: verdicts then name no rule. */
struct verdict_source {
	/* Fills all but `refs`, `gen` and `rule`; the texts are copied. false: not known (any more). */
	bool (*rule)(void *ctx, uint32_t gen, uint16_t rule, struct verdict_rule *ret);
	void *ctx;
};

/* The latest verdict on a flow. action 0: never judged. */
struct flow_verdict {
	struct verdict_rule *rule;      /* a reference; NULL: not known */
	uint64_t calls, packets, bytes; /* refused so far */
	uint8_t action;
	uint8_t visible, app; /* what the verdict knew: enum eg_visible, EG_APP_* */
	bool final;
	bool refused;      /* it is cut off */
	bool would_refuse; /* it would be, were it not for watch mode or `audit` */
	bool alerted;      /* an alert was written of it */
};

/* The rules that were asked for lately: one of a table, direct-mapped, so that a source is asked once a rule. */
#define VERDICT_RULES 1024
struct verdict_rules {
	struct verdict_source source;
	struct verdict_rule *slots[VERDICT_RULES];
};

void verdict_rules_done(struct verdict_rules *r);
/* Borrowed until the next call; NULL: not known, or no memory. */
struct verdict_rule *verdict_rules_find(struct verdict_rules *r, uint32_t gen, uint16_t rule);

struct verdict_rule *verdict_rule_ref(struct verdict_rule *r); /* NULL stays NULL */
void verdict_rule_put(struct verdict_rule *r);                 /* NULL is fine */

const char *
verdict_action_name(uint8_t action); /* "allow", "deny", "reject", "audit"; NULL: none */
/* The word for lists and filters: an action, or "would deny", "would reject"; NULL: never judged. */
const char *flow_verdict_word(const struct flow_verdict *v);
