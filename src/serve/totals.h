/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that only rise, made of numbers that may fall, vanish or change their owner: bytes of living and ended flows by program,
 * hits of rules of a policy that is loaded anew. Also what must be counted as it happens. For one thread.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "detect/finding.h"
#include "flow/flow.h"
#include "serve/metrics.h"

/* A program that is among so many when metrics are asked for gets a label of its own, and at most so many do; the rest is "other". */
#define TOTALS_FIRST 30
#define TOTALS_LABELS 100

struct record;
struct totals;

int totals_new(struct totals **ret);
struct totals *totals_free(struct totals *t);
void totals_record(struct totals *t, const struct record *r); /* flows that end, findings */
/* egret_bytes_total and egret_findings_total, as of now. Living flows remember what is counted of them: one `totals` for a table. */
void totals_put(struct totals *t, struct flow_table *flows, struct metrics_out *m);

/*
 * egret_verdicts_total: rule by rule between begin and put. `rule` is the label, `text` what makes it the same rule over loads,
 * `hits` its count, which the guard carries over.
 */
void totals_verdicts_begin(struct totals *t);
void totals_verdict(struct totals *t, struct str rule, const char *verdict, struct str text,
		    uint64_t hits);
void totals_verdicts_put(struct totals *t, struct metrics_out *m);
