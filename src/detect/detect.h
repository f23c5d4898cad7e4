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
#include "detect/popular.h"
#include "flow/flow.h"
#include "flow/record.h"

struct detect;
struct intel_slot;
struct origin;
struct prevalence;
struct flow_table;
struct proc_table;

#define DETECT_WARM_UP_NS (24 * 3600 * 1000000000ULL)

enum detect_vantage { DETECT_HOST, DETECT_GATEWAY, DETECT_FILE };

struct detect_config {
	enum detect_vantage vantage;
	struct intern *texts;         /* borrowed, as the next */
	struct proc_table *procs;     /* NULL in a recording */
	struct origin *origin;        /* where executables come from; NULL: not known */
	size_t max_pairs;             /* 0: 131,072 */
	const struct addr *resolvers; /* those that are configured; none: not known */
	size_t n_resolvers;
	struct intel_slot *intel; /* what feeds say; NULL: nothing does */
	uint64_t warm_up_ns;      /* live; DETECT_WARM_UP_NS is what people get */
	bool file_warm_up; /* a recording is treated like a live host: no findings of the first day */
};

int detect_new(struct detect **ret, const struct detect_config *cfg, struct finding_out out);
struct detect *detect_free(struct detect *d);

void detect_record(struct detect *d, const struct record *r);
struct flow_watch detect_watch(struct detect *d); /* for flow_table_set_watch() */
void detect_tick(struct detect *d, uint64_t now_ns);
/* Live: where sockets that processes have are looked up, borrowed; and several times a second, for what cannot wait. */
void detect_set_flows(struct detect *d, struct flow_table *t);
void detect_beat(struct detect *d, uint64_t now_ns);
void detect_finish(struct detect *d, uint64_t now_ns); /* a recording is over: what it comes to */

/*
 * What is remembered across restarts. Load into a new struct detect and nothing else: after an error it is to be freed.
 * -EBADMSG: no such file, damaged, or of another format. -ENOMEM.
 */
int detect_save(struct detect *d, struct buf *out);
int detect_load(struct detect *d, struct str file);

/* What a fleet contacts (detect/prevalence.h), taken over; NULL: nothing is known of it. */
void detect_set_prevalence(struct detect *d, struct prevalence *p);
enum fame detect_fame(const struct detect *d, struct str registrable_domain); /* lower case */

/* A new snapshot of feeds: what was met in the last week is asked for again. How much of it is listed. */
size_t intel_match_again(struct detect *d);

/* Every case, heaviest first, also closed ones of the last days; `low` ones too. */
void detect_each(struct detect *d, bool low, struct finding_out to);

/*
 * What the user has declared ordinary: findings it covers are kept and shown, but not told. Dated, and over when its time is.
 * Words are compared as a whole; an empty one matches all, but not all three may be empty.
 */
struct exception {
	char entity[256];  /* executable's path, or an entity as findings show it */
	char peer[256];    /* domain or address:port */
	char detector[32]; /* "beacon" … */
	char note[256];
	char by[64]; /* user name of who said so; may be empty */
	uint64_t since_ns, until_ns;
};
#define EXCEPTIONS_MAX 256
int detect_except(struct detect *d, const struct exception *e); /* -EINVAL: covers all; -E2BIG */
bool detect_unexcept(struct detect *d, size_t i);
const struct exception *detect_exceptions(const struct detect *d, size_t *ret_n);

/* Does the one filter language (flow/filter.h) take it? By program, user, name, address, port, protocol and bytes. */
struct filter;
bool finding_match(const struct finding *f, const struct filter *filter);

const char *detect_detector(size_t i); /* their names; NULL past the last */

struct detect_stats {
	uint64_t entities, peers, pairs, dossiers, cases_open;
	uint64_t evicted_pairs, evicted_peers, evicted_entities, evicted_dossiers, evicted_shells;
	uint64_t no_room;       /* sightings, pairs and evidence that found no place at all */
	bool warming;           /* the first day: most findings are held back until it is over */
	uint64_t warm_until_ns; /* while it is not */
	uint64_t held_back;     /* findings over the noise budget or within warm-up */
	uint64_t memory_bytes;
};
void detect_stats(const struct detect *d, struct detect_stats *ret);
