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

#define TALLY_PROGRAMS 30 /* with a label of their own; the others are "other" */

struct record;
struct tally;

int tally_new(struct tally **ret);
struct tally *tally_free(struct tally *t);
void tally_record(struct tally *t, const struct record *r); /* flows that end, findings */
/* egret_bytes_total and egret_findings_total, as of now. */
void tally_put(struct tally *t, struct flow_table *flows, uint64_t now_ns, struct metrics_out *m);

/*
 * egret_verdicts_total: rule by rule between begin and put. `rule` is the label, `text` what makes it the same rule over loads,
 * `hits` its count, which the guard carries over.
 */
void tally_verdicts_begin(struct tally *t);
void tally_verdict(struct tally *t, struct str rule, const char *verdict, struct str text,
		   uint64_t hits);
void tally_verdicts_put(struct tally *t, struct metrics_out *m);
