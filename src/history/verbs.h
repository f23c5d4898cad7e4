/* SPDX-License-Identifier: Apache-2.0 */
/* Private to history/: what each verb is answered with, and what the answers share. */
#pragma once

#include <stdio.h>

#include "base/json.h"
#include "history/cost.h"
#include "history/scan.h"
#include "store/eve.h"

#define SEGMENT_TEXT_MAX 128

struct answering {
	struct scan scan;
	const struct history_question *question;
	FILE *out;
	struct buf line; /* the one that is made */
	struct json j;
	char error[QUESTION_ERROR_MAX]; /* why there is no answer, when a verb gives -EINVAL */
};

/* A line: begun with its brace, ended and written. */
void line_begin(struct answering *a);
int line_end(struct answering *a);
/* {"end":true, … up to what all of them say: span, oldest, source, notes. The caller ends the line. */
void end_begin(struct answering *a);
void end_common(struct answering *a);
void put_moved(struct json *j, const struct moved *s);

int answer_usage(struct answering *a);
int answer_timeline(struct answering *a);
int answer_flows_kept(struct answering *a);
int answer_flow_kept(struct answering *a);
int answer_who(struct answering *a);
int answer_replay(struct answering *a);
/* Of a fleet alone. */
int answer_fleet_findings(struct answering *a);
int answer_fleet_hosts(struct answering *a);
int answer_fleet_cases(struct answering *a);
int answer_fleet_policies(struct answering *a);
/* Those of its findings that stand, each as it stands now; as store_read_findings() of a machine. */
int fleet_findings(struct answering *a, store_finding_fn fn, void *ctx);
int fleet_flows(struct answering *a); /* answer_flows_kept() of a fleet */

/* labels.c: what a portion is grouped by. Texts live as long as the portion and `scratch`. */
struct label_scratch {
	char port[8], proto[8], address[ADDR_TEXT_MAX], host[ADDR_TEXT_MAX];
	char from[SEGMENT_TEXT_MAX], to[SEGMENT_TEXT_MAX];
};
void labels_of(const struct portion *p, const unsigned *by, size_t n, struct label_scratch *scratch,
	       struct str *ret);
void put_labels(struct json *j, const unsigned *by, size_t n, const struct group *g);

/* One row as an EVE `flow` record, or `drop` where it never became a flow, into the line. */
int put_record(struct answering *a, const struct store_row *row);
