/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy needs to know of a recorded flow, in one form whether it came from a live flow, a capture, or a line of
 * eve.json. Texts are borrowed from whatever it was made of.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "flow/flow.h"
#include "policy/policy.h"
#include "policy/verdict.h"

#define RECORDED_GIDS_MAX 64

enum recorded_kind {
	RECORDED_FLOW,
	RECORDED_DROP, /* a call or packet that was refused */
};

struct recorded {
	enum recorded_kind kind;
	struct policy_subject subject; /* points into this struct: not to be copied */
	bool who_known; /* else program, user and the like are not: a capture, a lost notice */
	bool egress;    /* false: the other side opened it, which policy does not decide */

	uint64_t time_ns;        /* when it began; a drop: when it was refused */
	uint64_t flow_id;        /* 0: none */
	uint64_t flows;          /* 1, and 0 for a later record of a flow that was counted before */
	uint64_t up, down;       /* bytes; from records of one flow, since the last */
	uint64_t calls, packets; /* RECORDED_DROP */
	struct str program, user, unit; /* for people: names */
	struct str name;                /* the best one; empty: none */
	bool ended, mid_stream;
	uint64_t seq; /* records of this flow before this one */

	/* What the record says was decided then; action 0: nothing. */
	struct {
		uint8_t action;
		bool would_refuse, final, refused;
		struct str file, text;
		uint32_t line;
	} told;

	struct policy_container container;
	uint32_t gids[RECORDED_GIDS_MAX];
};

void recorded_of_flow(struct recorded *ret, const struct flow *f);
/* From an EVE record. -ENOENT: not of a kind that policy decides (also sums of refusals); -EBADMSG: makes no sense. */
int recorded_of_record(struct recorded *ret, const json_t *record);

/* The words of a rule, for records: index p->n_rules is the default, one more the implied allow. */
bool policy_rule_words(const struct policy *p, uint16_t rule, struct verdict_rule *ret);
