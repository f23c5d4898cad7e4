/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to guard/. How much of their quotas rules have used.
 *
 * A quota belongs to the text of its rule: it outlives loads, rollbacks and `egret policy clear`, and ends with its period. Bytes
 * come to it from flows as they move: flow.quoted is what was looked at of a flow, the rest goes to the rule that has the
 * flow now. So nothing is counted twice, whatever becomes of flow, rule and period in between.
 *
 * With a state folder all of it is in STATE/policy/quotas, written in the second in which something changed. Sockets that
 * outlive the process keep their counters in the kernel: `marks` say how much of each was counted, so that the next process
 * goes on where this one ended, even by kill -9.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct built;
struct buf;
struct flow;
struct guard;
struct json;
struct policy_rule;
struct rule_set;

#define QUOTAS_MAX 16384 /* in memory; those of rules that are not in force give way */
#define QUOTA_MARKS_MAX \
	16384 /* flows whose count goes on over a restart; of others nothing more is counted */
#define QUOTA_WARN_PERCENT 80

enum quota_told { QUOTA_TOLD_NOTHING, QUOTA_TOLD_WARNED, QUOTA_TOLD_SPENT };

struct quota {
	char *text; /* of the rule */
	uint64_t hash;
	char period;          /* as policy_rule.quota_period */
	uint64_t of;          /* bytes */
	int64_t from_s, to_s; /* the period that `used` is of */
	uint64_t used;
	enum quota_told told;
	uint64_t mapped; /* the last rule_set that has it, by number */
};

struct quota_mark {
	uint64_t cookie, key; /* of the flow */
	uint64_t bytes;       /* were counted */
	uint32_t quota;       /* of the rule that had it */
	bool taken;
};

struct quotas {
	struct quota *all;
	size_t n;
	uint64_t n_mapped;
	bool changed;             /* since it was written */
	bool failing;             /* it cannot be written, and that was said */
	struct quota_mark *marks; /* of the process before, by key */
	size_t n_marks;
	uint64_t
		as_of_ns; /* what is younger is not in marks because it was not there; 0: nothing goes on */
};

/* quota.c */
int quotas_map(struct guard *g, struct rule_set *s); /* fills s->quota */
/* By rule, as compile_config.instead; NULL when no rule has a quota. */
int quotas_instead(const struct guard *g, const struct rule_set *s, uint8_t **ret);
/* Of the rule that has the flow; NULL: it has none. */
struct quota *quota_of(const struct guard *g, const struct flow *f);
int quota_mark_order(const void *a, const void *b);
bool quota_is_spent(const struct quota *q);
/* What the rule does once it is. */
#define QUOTA_THEN_MAX 64
enum eg_action quota_action(const struct policy_rule *r);
const char *quota_then(const struct policy_rule *r, char buf[QUOTA_THEN_MAX]);
/* All that moved so far goes to whom it belongs, and periods that are over begin anew. */
void quotas_catch_up(struct guard *g);
void quotas_flow(struct guard *g, struct flow *f);
/* Once a second; true when the image in force is not what quotas say. */
bool quotas_tick(struct guard *g);
void quotas_done(struct guard *g);

/* quota_file.c */
void quotas_read(struct guard *g);
void quotas_keep(struct guard *g);
uint64_t quota_flow_key(const struct flow *f);

/* quota_show.c */
void quota_put_state(const struct guard *g, struct json *j, size_t rule);
void quotas_note(const struct guard *g, const struct rule_set *s, struct buf *messages);
