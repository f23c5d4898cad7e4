/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egret's own records read back, line by line: flows and refusals, each flow once whatever the number of its records
 * (a long flow has one every five minutes, with counters since its start). Bounded memory; what makes no sense is
 * counted.
 */
#pragma once

#include <stdint.h>

#include "policy/subject.h"

struct history;

struct history_config {
	uint64_t from_ns; /* what ended before is left out; 0: nothing is */
	void (*on_recorded)(void *ctx, const struct recorded *r);
	void *ctx;
};

struct history_stats {
	uint64_t lines, bad; /* bad: no JSON, or a flow that makes no sense */
	uint64_t flows, refusals;
	uint64_t summed_calls, summed_packets; /* refusals that are only known as sums */
	uint64_t first_ns, last_ns;
	uint64_t
		unjoined; /* records of long flows that may have been counted as flows of their own: too many at once */
};

int history_new(struct history **ret, const struct history_config *cfg);
struct history *history_free(struct history *h);
void history_line(struct history *h, struct str line);
const struct history_stats *history_stats(const struct history *h);
