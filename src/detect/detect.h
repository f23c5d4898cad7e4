/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows → findings. Every detector is streaming and bounded; a finding says what was measured, against which baseline,
 * from which flows. Time is the event's: a capture and a live host give the same findings.
 *
 * Who is looked at is an **entity**: on a host a program (executable, user, container), else the address that opened the
 * flow. Whom it talks to is a **peer**: the registrable domain of the name it was called by, else address and port. Evidence is
 * gathered by pair of the two, weighed (detect/evidence.h, detect/fusion.c) and told as one case a pair (detect/cases.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/intern.h"
#include "detect/finding.h"
#include "flow/flow.h"
#include "flow/record.h"

struct detect;
struct proc_table;

enum detect_vantage { DETECT_HOST, DETECT_GATEWAY, DETECT_FILE };

struct detect_config {
	enum detect_vantage vantage;
	struct intern *texts;         /* borrowed, as the next */
	struct proc_table *procs;     /* NULL in a recording */
	struct origins *origins;      /* where executables come from; NULL: not known */
	size_t max_pairs;             /* 0: 131,072 */
	const struct addr *resolvers; /* those that are configured; none: not known */
	size_t n_resolvers;
	bool file_warm_up; /* a recording is treated like a live host: no findings of the first day */
};

int detect_new(struct detect **ret, const struct detect_config *cfg, struct finding_out out);
struct detect *detect_free(struct detect *d);

void detect_record(struct detect *d, const struct record *r);
struct flow_watch detect_watch(struct detect *d); /* for flow_table_set_watch() */
void detect_tick(struct detect *d, uint64_t now_ns);
void detect_finish(struct detect *d, uint64_t now_ns); /* a recording is over: what it comes to */

/* Every case, heaviest first, also closed ones of the last days; `low` ones too. */
void detect_each(struct detect *d, bool low, struct finding_out to);

struct detect_stats {
	uint64_t entities, peers, pairs, dossiers, cases_open;
	uint64_t evicted_pairs, evicted_peers, evicted_entities, evicted_dossiers;
	uint64_t held_back; /* findings over the noise budget or within warm-up */
	uint64_t memory_bytes;
};
void detect_stats(const struct detect *d, struct detect_stats *ret);
