/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two policies compared: statement by statement (as they are written, one blank between words, comments off), and by what
 * they decide on the same recorded flows.
 */
#pragma once

#include "policy/judge.h"
#include "policy/replay.h"

enum diff_kind {
	DIFF_SAME,
	DIFF_ADDED,
	DIFF_REMOVED,
	DIFF_MOVED, /* the same statement, but other rules come before it now */
	DIFF_CHANGED
};

struct diff_line {
	enum diff_kind kind;
	struct str old_text, new_text, old_file, new_file;
	uint32_t old_line, new_line; /* 0: not in that one */
};

/* In the order of the new policy, what is gone where it stood. The array is the caller's, the texts the diff's. */
struct policy_diff;
int policy_diff_new(struct policy_diff **ret, const struct policy *before,
		    const struct policy *after);
struct policy_diff *policy_diff_free(struct policy_diff *d);
const struct diff_line *policy_diff_lines(const struct policy_diff *d, size_t *ret_n);

/* Recorded flows under both. */
struct effect;
struct effect_totals {
	uint64_t flows, same;
	struct replay_sum refused_now, passed_now; /* passed before, refused before */
	uint64_t other_rule; /* the same effect, by a rule with another text */
	uint64_t unknown;    /* hangs on a program or user that is not recorded */
};
int effect_new(struct effect **ret, struct judge *before, struct judge *after);
struct effect *effect_free(struct effect *e);
void effect_add(struct effect *e, const struct recorded *r);
const struct effect_totals *effect_totals(const struct effect *e);
/* Those whose verdict changes; rule is the new policy's. */
const struct replay_who *const *effect_changed(struct effect *e, bool to_refused, size_t limit,
					       size_t *ret_n, size_t *ret_more);

/* Members of an object: "statements", and with `e` "effect". How many statements differ. `all`: every changed flow, not the first 20. */
struct json;
size_t policy_diff_put(struct json *j, const struct policy_diff *d, struct effect *e,
		       const struct policy *after, bool all);
