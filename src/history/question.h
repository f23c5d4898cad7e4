/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question to the history, one JSON object (docs/api.md): {"do":VERB, "from":S,"to":S | "last":SECONDS | "period":"month", "filter":"…", …}.
 * Each member is checked for its kind and range; one that the verb does not know is an error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "store/read.h"

struct filter;

#define QUESTION_MAX 8192 /* bytes */
#define QUESTION_BY_MAX 4
#define QUESTION_LIMIT_MAX 10000
#define QUESTION_SERIES_MAX 20
#define QUESTION_ERROR_MAX 256

enum question_verb {
	ASK_FLOWS_KEPT,
	ASK_USAGE,
	ASK_TIMELINE,
	ASK_WHO,
	ASK_FLOW_KEPT,
	ASK_REPLAY,
	ASK_FINDINGS,
	ASK_HOSTS,
	ASK_CASES,
	ASK_POLICIES,
};

/* What usage is asked by: the dimensions of sums, and those that only pieces of flows have. */
enum question_dim {
	DIM_ADDRESS = STORE_DIM_COUNT,
	DIM_PORT,
	DIM_PROTO,
	DIM_HOST,
	DIM_FROM, /* segment of who opened the flow, and of who was opened, by the policy in force */
	DIM_TO,
	QUESTION_DIM_COUNT,
};
const char *question_dim_word(unsigned dim);

/* X(identifier, word) */
#define QUESTION_SORTS(X) \
	X(BYTES, "bytes") \
	X(UP, "up")       \
	X(DOWN, "down")   \
	X(FLOWS, "flows") \
	X(COST, "cost")   \
	X(LAST, "last")

enum question_sort {
#define X(id, word) QUESTION_SORT_##id,
	QUESTION_SORTS(X)
#undef X
		QUESTION_SORT_COUNT
};

struct question_cursor { /* the last flow that was shown; its last piece ended at time_ns */
	uint64_t time_ns, flow_id, boot;
};

struct history_question {
	enum question_verb verb;
	struct store_span
		span; /* whole seconds; its end may lie in the future: then it is an unfinished period */
	struct filter *filter; /* NULL: everything */
	unsigned by[QUESTION_BY_MAX];
	size_t n_by;
	enum question_sort sort;
	uint64_t limit, step_s, flow_id;
	struct question_cursor after; /* time_ns 0: from the newest */
	char what[256];
	/* findings of a fleet: only of these; empty: of any */
	char id[16], level[16], class[16], detector[32];
	bool low; /* those that are only for the log, too */
};

/* 0; -EINVAL, -ENOMEM with the reason in words, and then nothing is held. `now_ns` is where "last" ends. */
int question_parse(struct str text, uint64_t now_ns, struct history_question *ret,
		   char error[QUESTION_ERROR_MAX]);
void question_done(struct history_question *q);
