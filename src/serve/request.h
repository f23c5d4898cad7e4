/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: one request line of the control socket, parsed and checked. What it may hold: serve/control.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "flow/record.h"
#include "flow/rollup.h"
#include "serve/request_detect.h"
#include "serve/request_page.h"
#include "serve/request_policy.h"

struct filter;

#define REQUEST_MAX 8192 /* bytes of a request line */
#define REQUEST_LABEL_MAX 512
#define REQUEST_ERROR_MAX 256
#define REQUEST_TOKEN_MAX 80

enum ask {
	ASK_STATUS,
	ASK_METRICS,
	ASK_POLICY,
	ASK_WHY,
	ASK_DETECT,
	ASK_PAGE,
	ASK_KEYS,
	ASK_FINDINGS,
	ASK_RIGHTS,
	ASK_HISTORY,
	ASK_FLOWS,
	ASK_TOP,
	ASK_EVENTS
};

/* X(identifier, word): what flows are sorted by, most first; RECENT is the order they began in, newest first. */
#define FLOW_SORTS(X)         \
	X(NONE, "none")       \
	X(START, "start")     \
	X(UP, "up")           \
	X(DOWN, "down")       \
	X(BYTES, "bytes")     \
	X(PACKETS, "packets") \
	X(LAST, "last")

enum flow_sort {
#define X(id, word) FLOW_SORT_##id,
	FLOW_SORTS(X)
#undef X
		FLOW_SORT_COUNT
};

struct request {
	enum ask ask;
	struct filter *filter; /* NULL: everything */
	bool has_limit;
	uint64_t limit;       /* of rows; 0: all */
	enum flow_sort sort;  /* ASK_FLOWS */
	const char *top_sort; /* ASK_TOP: a word of rollup_rows() */
	enum rollup_key by;   /* ASK_TOP */
	uint32_t types;       /* ASK_EVENTS: bit per enum record_type */
	bool ended;           /* ASK_FLOWS: recently ended ones too */
	bool grouped;         /* ASK_FLOWS: only those of one row of a "top" */
	enum rollup_key group_by;
	size_t group_label_n;
	char group_label[REQUEST_LABEL_MAX];
	char *history; /* ASK_HISTORY, ASK_FINDINGS: the line as asked of the history; history/question.h has what it may hold */
	char token[REQUEST_TOKEN_MAX],
		certificate[REQUEST_TOKEN_MAX]; /* with it asks who came over HTTP */
	union {
		struct policy_request policy; /* ASK_POLICY */
		struct why_request why;       /* ASK_WHY */
		struct detect_request detect; /* ASK_DETECT, ASK_FINDINGS */
		struct page_request page;     /* ASK_PAGE */
	};
};

/* 0, or -EINVAL, -ENOMEM … with the reason in words; then *ret holds nothing. */
int request_parse(struct str line, struct request *ret, char error[REQUEST_ERROR_MAX]);
void request_done(struct request *r);
