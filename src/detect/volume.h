/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the volume detector: one accounting core, and what looks at it.
 *
 *     bytes ─► volume.c (five minutes, hours, days) ─► volume_say.c: burst, new peer, drip, destination
 *     flows and records ─► volume_theft.c: small uploads of thieves of passwords, by what comes before them
 */
#pragma once

#include "base/time.h"
#include "detect/engine.h"
#include "detect/peer_class.h"
#include "detect/volume_baseline.h"

#define BUCKET_NS (300 * NSEC_PER_SEC)
#define BUCKETS 12 /* the sliding hour */
#define BUCKETS_AN_HOUR 12
#define BUCKETS_A_DAY 288
#define OPEN_HOURS 4   /* that late reports of logs still reach */
#define INSIDE_HOURS 8 /* reads from inside that staging looks at */
#define FTP_KEPT 4

/* Bytes are floats: exact to 16 MB, then to one in 16 million. */
struct volume_pair {
	struct list lru; /* in volumes.pair_lru, idlest first */
	struct pair *pair;
	uint32_t bucket;                  /* newest, five minutes since 1970 */
	uint32_t day;                     /* of day_up */
	float up[BUCKETS], down[BUCKETS]; /* by bucket modulo 12 */
	float decayed[3];                 /* sent; half-lives of 1, 7 and 30 days */
	float week_up;                    /* sent in the pair's first week */
	float day_up;
	float peak,
		peak_today; /* the most within an hour, on earlier days (slowly forgotten) and on this one */
	float unsaid; /* sent since the last look */
	float chunk;  /* size of an upload, and how many in a row were alike */
	struct cusum cusum;
	uint16_t chunks, alike;
	uint8_t bin; /* of week_up, in the counts of new peers; AMOUNT_BINS: not in them */
};

struct ftp_seen {
	struct pair *pair; /* of the control connection; NULL: of the data connection */
	struct addr server;
	uint64_t from_ns, to_ns;
	uint64_t up;
};

struct entity_volume {
	struct list lru; /* in volumes.ring_lru, while it has a ring */
	struct entity *entity;
	struct hour_ring *ring; /* NULL: nothing worth comparing with was sent yet */
	uint32_t hour;          /* newest of the open ones, hours since 1970 */
	uint32_t hours;         /* closed so far */
	float up[OPEN_HOURS];   /* by hour modulo 4 */
	float inside[INSIDE_HOURS];
	uint32_t inside_hour;
	double total_up;
	struct amounts new_peers; /* what they got in their first week */
	/* volume_theft.c */
	const struct peer_class_row *lookup; /* the last service it asked for its own address */
	uint64_t lookup_ns;
	bool lookup_plain; /* not as a browser does */
	bool reads_mail;
	uint8_t next_ftp;
	struct ftp_seen ftp[FTP_KEPT];
};

struct volumes {
	struct pool pairs, entities, rings;
	struct list pair_lru, ring_lru;
	struct amounts new_peers; /* of all entities */
	uint32_t
		used[PROGRAM_CLASSES]; /* bit per class of destination that such programs sent to */
	uint64_t evicted_pairs, evicted_rings, no_room;
};

/* volume.c */
struct entity_volume *volume_of(struct detect *d,
				struct entity *e); /* made when new; NULL: no room */
bool volume_is_outside(const struct flow *f); /* it leaves the site, as far as addresses tell */
bool volume_is_bulk(const struct flow *f);    /* bytes that may be anything, unlike a call's */
double volume_hour(const struct volume_pair *v, enum flow_side side);

/* volume_say.c */
void volume_look(struct detect *d, struct volume_pair *v, uint64_t flow_id);
void volume_chunk(struct detect *d, struct volume_pair *v, double bytes); /* one flow's upload */
void volume_destination(struct detect *d, const struct sighting *s, const struct flow *f);

/* volume_theft.c */
void theft_flow(struct detect *d, const struct sighting *s, const struct flow *f);
void theft_record(struct detect *d, struct sighting *s, const struct record *r);
void theft_report(struct detect *d, struct sighting *s, const struct flow *f, bool ends);
void theft_forget(struct pair *p);

/* volume_state.c */
#define VOLUME_STATE_VERSION 1
void volume_save(struct detect *d, struct state_out *o);
int volume_load(struct detect *d, struct state_in *in);
bool volume_ring(struct detect *d, struct entity_volume *v);          /* volume.c: gives it one */
struct volume_pair *volume_pair_of(struct detect *d, struct pair *p); /* likewise */
