/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy for recorded traffic: the same image and evaluator as the kernel's, on the recorded clock, and an honest word
 * where the recording lacks what a rule asks for. A capture knows no program and no user. Then the policy is read twice
 * more: once as if every rule that lets pass found its program and no rule that refuses did, once the other way round.
 * Only where both come out alike is the flow decided.
 */
#pragma once

#include "base/buf.h"
#include "policy/image.h"
#include "policy/subject.h"

struct judge;

struct judge_config {
	const char *list_cache; /* as compile_config */
	struct geo *geo;
	bool enforce; /* false: what is refused is only noted, as in watch mode */
};

/* `p` is borrowed. Compiles at once for `now`, so that mistakes show: -EINVAL with messages. */
int judge_new(struct judge **ret, const struct policy *p, const struct judge_config *cfg,
	      int64_t now_s, struct buf *messages);
struct judge *judge_free(struct judge *j);

/* Rules depend on the day: then images for other days are made as flows of these days come, and need lists again. */
bool judge_needs_files(const struct judge *j);

struct judgement {
	uint16_t rule; /* index; p->n_rules: the default, one more: the implied allow */
	uint8_t action;
	bool final; /* false: a fact was never seen (no payload), so that the flow stayed open for it */
	bool refuses;   /* calls and packets of it are refused */
	bool needs_who; /* whether it is refused hangs on the program or user, which are not known */
};

/* 0; -EINVAL: no image could be made for that day (counted, said once in the messages). */
int judge_flow(struct judge *j, const struct recorded *r, struct judgement *ret);
const struct policy *judge_policy(const struct judge *j);
const struct policy_image *judge_image(const struct judge *j);
