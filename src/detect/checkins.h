/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of beacon.c: when a pair checked in. A check-in is payload to the peer after a second of silence, whether it opens a
 * connection or goes down one that is open. Each name of a pair has a stream of the last 128, and all names of a domain have one
 * together from the second name on. Bounded; what came once is pushed out before what came back.
 */
#pragma once

#include "base/time.h"
#include "detect/engine.h"

#define CHECKINS 128
#define FIRST_CHECKINS 8 /* kept in the stream itself; who has more gets a ring */
#define CHECKIN_UNIT_NS (10 * NSEC_PER_MSEC)
/*
 * Payload after less silence belongs to the check-in before. Half of it would make p smaller for beacons of 2 to 3 s (1e-8.2 for 1e-7.6,
 * 1e-4.0 for 1e-1.5) and let a dead time of a second, as people have, look like a beacon: tests/quality/beacon.c.
 */
#define CHECKIN_MERGE_NS NSEC_PER_SEC
#define STREAM_HOURS 32
#define SIZES_AN_OCTAVE 1536 /* of checkin.size */

struct checkin {
	uint32_t at, end; /* units of 10 ms since the stream's start: first and last payload */
	uint16_t size;    /* logarithm of the payload; 0: none yet */
	uint16_t
		port; /* of the client: another one is another connection, however flows were cut */
};

struct checkins {
	struct list lru; /* in beacons.plain or, with a ring, beacons.ringed; idlest first */
	struct beacon_pair *of;
	struct checkins *next; /* of the same pair */
	struct text *name;     /* a reference; NULL: all there is */
	uint64_t t0_ns;
	uint64_t begun_ns, until_ns; /* the last check-in; it takes in what comes before `until` */
	uint64_t up;                 /* of the last check-in */
	struct checkin *ring;        /* oldest first; first[], or CHECKINS from the pool */
	struct checkin first[FIRST_CHECKINS];
	uint64_t total;
	uint16_t n;
	float log10_p,
		raw_log10_p; /* the best so far: corrected for how many tests there were, and not */
	uint64_t looked_ns, said_ns; /* last tested, and last told */
	uint16_t said_n;
	uint8_t said_db;
	uint32_t hour;                 /* of counts[0], since t0 */
	uint16_t counts[STREAM_HOURS]; /* check-ins */
};

struct beacon_pair {
	struct pair *pair;
	struct checkins *named; /* latest used first */
	struct checkins *all;   /* of nameless flows, or of all names when there are two */
};

/* Who sent to whom, lately, in flows of their own: answers that come another way. */
#define SENDERS 4096

struct beacons {
	struct pool pairs, streams, rings;
	struct list plain, ringed;
	uint64_t evicted;
	uint64_t senders[SENDERS]; /* hashes, by their low bits */
};

int checkins_new(struct detect *d);
void checkins_free(struct detect *d);
void checkins_forget(struct detect *d, struct pair *p);

/* The stream of that name, made when new; NULL: there is no room. */
struct checkins *checkins_of(struct detect *d, struct pair *p, struct text *name, uint64_t time_ns);

/* Payload to the peer. True: a check-in has begun. Logs tell of connections in the order of their ends: also earlier ones. */
bool checkins_put(struct detect *d, struct checkins *s, uint64_t time_ns, uint64_t up,
		  uint16_t port);
/* Writes what is known of the last check-in into the ring. */
void checkins_settle(struct checkins *s);

void checkins_save(struct detect *d, struct state_out *o);
int checkins_load(struct detect *d, struct state_in *in);

/* The common case, many times a check-in: more payload of the last one. */
static inline bool checkin_goes_on(struct checkins *s, uint64_t time_ns, uint64_t up)
{
	if (time_ns < s->begun_ns || time_ns >= s->until_ns)
		return false;
	s->up += up;
	if (time_ns + CHECKIN_MERGE_NS > s->until_ns)
		s->until_ns = time_ns + CHECKIN_MERGE_NS;
	return true;
}

/* The best p of a pair so far, and before correction for the number of tests; 0: none. For tests of how often it is reached. */
double beacon_log10_p(const struct pair *p, double *ret_raw);
