/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside src/detect only: what detectors see and say.
 *
 *     records, bytes as they move ─► engine.c (which pair is it?) ─► detectors ─► evidence ─► fusion.c ─► cases.c ─► findings
 *
 * A detector is one file with one `const struct detector`, listed in detectors.c. It owns its state, bounded by itself;
 * what it needs for each pair hangs on the pair and is freed by forget(). It says what it found with detect_evidence()
 * and never knows what comes of it.
 */
#pragma once

#include "base/list.h"
#include "base/pool.h"
#include "detect/detect.h"
#include "detect/program.h"
#include "flow/proc.h"

struct dossier;
struct peer_class_row;
struct state_out;
struct state_in;

struct entity {
	uint64_t hash;
	struct list lru; /* in detect.entities, idlest first */
	struct entity *next;
	uint32_t refs; /* pairs */
	uint32_t id;   /* never used again in a run */
	/* a program … */
	struct text *exe, *user, *container; /* references; NULL: none, or not known */
	uint32_t uid;
	bool is_program;
	enum program_class class;
	/* … or a machine */
	struct addr addr;
	bool is_resolver; /* answers DNS for others: its own questions are theirs */
	uint64_t first_ns, last_ns;
	float hours[24];              /* payload sent by hour of the day, decayed; detect_hour() */
	uint32_t number;              /* in the file that is being written */
	struct entity_volume *volume; /* volume.c */
	struct dga_seq *dga;          /* dga.c */
	/* naming.c: flows to public addresses by DNS, by a name of their own alone, by address alone */
	uint32_t named, unasked, unnamed;
};

/* Whom programs and machines talk to, site-wide. */
struct peer {
	uint64_t hash;
	struct list lru;
	struct peer *next;
	uint32_t pairs;      /* entities that talk to it, as far as remembered */
	uint32_t entities;   /* that ever did, as far as counted */
	struct text *domain; /* registrable domain; NULL: known by its address alone */
	struct addr addr;
	uint16_t port; /* with addr */
	uint8_t proto;
	uint64_t first_ns, last_ns;
	uint32_t cases; /* open ones, of whoever */
	uint8_t fame;   /* enum fame */
	uint32_t number;
};

struct pair {
	uint64_t hash;
	struct list lru;
	struct pair *next;
	struct entity *entity;
	struct peer *peer;
	struct text *name; /* the last full name; a reference */
	struct addr addr;  /* the last address */
	uint16_t port;
	uint8_t proto;
	enum app_proto app;
	enum flow_direction direction;
	struct proc *proc;                           /* a reference to the latest image; NULL */
	uint64_t first_ns, last_ns, flows, up, down; /* payload */
	uint32_t watching;       /* sightings and the case that point here: it stays */
	bool is_new_peer;        /* the peer was unknown to the site when this began */
	bool returned;           /* was pushed out and came back: worth more than what comes once */
	bool learned;            /* ordinary here: seen through warm-up without a case */
	uint32_t number;         /* in the file that is being written */
	struct dossier *dossier; /* evidence and case; NULL: nothing was ever found */
	/* detectors' own, NULL until needed */
	struct beacon_pair *beacon;
	struct volume_pair *volume;
	struct channel_pair *channel;
	struct http_pair *http;
	struct icmp_pair *icmp;
	struct polling_pair *polling;
};

/* A living flow, from its first payload to its end. */
struct sighting {
	struct pair *pair; /* NULL: not resolved yet, or nothing that is looked at */
	bool resolved, ignored;
	bool judged;                      /* channel.c: its protocol was known, and weighed */
	bool told;                        /* what moved before its pair was known has been told */
	uint64_t first_up_ns, last_up_ns; /* payload to the server */
	uint64_t up, down;                /* payload seen so far */
	uint32_t bursts[2]; /* runs of payload of one side, for interactive channels */
	uint32_t small[2];  /* of those, with less than 128 bytes */
	uint32_t answered;  /* small ones of the server, each followed by the client's */
	uint8_t last_side;
	uint64_t said; /* bit per evidence_id that this flow has given: once is enough */
	const struct peer_class_row *place; /* volume.c: what kind of place its name is */
	bool outside;                       /* volume.c: see volume_is_outside() */
};

struct detector {
	const char *name;
	int (*start)(struct detect *d); /* makes d's state of this detector; NULL: has none */
	void (*stop)(struct detect *d);
	/* The pair of a flow is known: program, name, protocol. Once a flow. */
	void (*flow)(struct detect *d, struct sighting *s, const struct flow *f);
	/* A flow that is of no pair, when that is known: it may be the other half of one that is. */
	void (*aside)(struct detect *d, const struct flow *f);
	/* Payload moved, in time order for each flow. Not for flows of logs. */
	void (*data)(struct detect *d, struct sighting *s, const struct flow *f,
		     enum flow_side side, uint64_t bytes, uint64_t time_ns);
	/* The flow ended, or (live) another five minutes of it are over. */
	void (*report)(struct detect *d, struct sighting *s, const struct flow *f, bool ends);
	/* Any record but flows. `s` NULL: of no flow, or of one that is not looked at. */
	void (*record)(struct detect *d, struct sighting *s, const struct record *r);
	void (*tick)(struct detect *d); /* once a minute */
	/* Live: its owner is known, before any payload and perhaps without a pair; again when the socket is passed on. */
	void (*open)(struct detect *d, struct flow *f);
	void (*over)(struct detect *d,
		     const struct flow *f);             /* each flow that ends, looked at or not */
	void (*exec)(struct detect *d, struct proc *p); /* live: a process is this image now */
	void (*beat)(struct detect *d);                 /* live, every 100 ms */
	/* What there is to draw of a pair's finding: f->plot. */
	void (*plot)(const struct pair *p, struct finding *f);
	void (*forget)(struct detect *d, struct pair *p);
	void (*forget_entity)(struct detect *d, struct entity *e);
	size_t (*memory)(
		const struct detect *d); /* held by its own state; NULL: none worth counting */
	/* The state file: a section of the detector's name. NULL: nothing is worth keeping. */
	unsigned state_version; /* raised when what is written changes */
	void (*save)(struct detect *d, struct state_out *o);
	int (*load)(struct detect *d, struct state_in *in);
};

extern const struct detector *const detectors[]; /* NULL at the end */

#define DETECT_BUCKETS 65536
#define DETECTORS_MAX 32

struct detect {
	struct detect_config cfg;
	struct finding_out out;
	uint64_t now_ns, started_ns, next_minute_ns, next_beat_ns;
	struct flow_table *flows;      /* NULL in a recording */
	struct prevalence *prevalence; /* NULL: there is no fleet, or nothing is heard of it */
	struct pool entities, peers, pairs, sightings, dossiers, evidence;
	struct list entity_lru, peer_lru, pair_lru, dossier_list;
	struct entity **entity_buckets;
	struct peer **peer_buckets;
	struct pair **pair_buckets;
	uint32_t *ghosts; /* of pairs that were pushed out; NULL until one was */
	/* detectors[] that have these, NULL at the end */
	const struct detector *on_data[DETECTORS_MAX];
	uint64_t seed;
	uint32_t next_entity_id;
	struct detect_stats stats;
	struct cases *cases;
	struct exceptions *exceptions;
	/* detectors' own, made by start() */
	struct beacons *beacons;
	struct dns_watch *dns;
	struct doh_watch *doh;
	struct dga_watch *dga;
	struct prints *prints;
	struct intel_watch *intel;
	struct volumes *volumes;
	struct channels *channels;
	struct http_watch *http;
	struct icmp_watch *icmp;
	struct mail_watch *mail;
	struct pollings *pollings;
	struct shells *shells;
};

/* engine.c: is it a flow that detectors look at? */
bool detect_leaves(const struct flow *f);

/* tables.c */
int tables_new(struct detect *d);
void tables_free(struct detect *d);
struct entity *entity_of_flow(struct detect *d, const struct flow *f);
struct entity *entity_of_proc(struct detect *d, const struct proc *p);
/* Who asked: the flow's entity, or the other side's address where this host answers. */
struct entity *entity_of_client(struct detect *d, const struct flow *f);
struct entity *entity_of_addr(struct detect *d, const struct addr *a);
struct peer *peer_of_domain(struct detect *d, struct str domain);
struct peer *peer_of_addr(struct detect *d, const struct addr *a, uint16_t port, uint8_t proto);
struct pair *pair_of(struct detect *d, struct entity *e, struct peer *p); /* made when new */
struct pair *pair_of_flow(struct detect *d, const struct flow *f);        /* NULL: nothing leaves */
struct pair *pair_of_name(struct detect *d, struct entity *e,
			  struct text *name);               /* of its domain */
struct pair *pair_of_hash(struct detect *d, uint64_t hash); /* NULL: there is none (any more) */
void pair_touch(struct detect *d, struct pair *p, const struct flow *f);
void pair_leave(struct detect *d, struct pair *p);
struct str entity_label(const struct entity *e, char text[256]);
struct str peer_label(const struct peer *p, char text[256]);

/*
 * The detectors' one way to say something. `db` <= 0 speaks for the peer. The same evidence given again takes the place of
 * what was said, if it weighs at least as much. `what` and `baseline` as in struct evidence; cut at their size.
 */
struct evidence_in {
	int db; /* 0: the row's weight */
	double measured;
	uint64_t n;
	uint64_t flow_id; /* 0: none */
	const char *what, *baseline;
};
void detect_evidence(struct detect *d, struct pair *p, enum evidence_id id,
		     const struct evidence_in *in);
/* Takes back what was said; what it was based on has turned out to be ordinary. */
void detect_retract(struct detect *d, struct pair *p, enum evidence_id id);

/* fusion.c */
struct weighed {
	int score_db;
	enum severity severity;
	enum finding_class class;
	const char *detector;
	unsigned groups;                         /* with weight against the peer */
	bool alone;                              /* a row that may alert without a second group */
	bool certain;                            /* and is never less than high */
	struct evidence lines[FINDING_EVIDENCE]; /* heaviest first */
	size_t n;
};
void fusion_weigh(struct detect *d, const struct pair *p, struct weighed *ret);

/* cases.c */
int cases_new(struct detect *d);
void cases_free(struct detect *d);
void cases_evidence(struct detect *d, struct pair *p);   /* its dossier changed: open, update? */
void cases_seen_again(struct detect *d, struct pair *p); /* no more than was known, but now */
void cases_tick(struct detect *d);
void cases_finish(struct detect *d);

/* exceptions.c */
int exceptions_new(struct detect *d);
void exceptions_free(struct detect *d);
bool exceptions_cover(const struct detect *d, const struct finding *f);

/* How long ago; 0 for what is to come, as clocks are set back between two runs. */
static inline uint64_t detect_since(const struct detect *d, uint64_t time_ns)
{
	return d->now_ns > time_ns ? d->now_ns - time_ns : 0;
}

/* For so long nothing is new, and little is told. */
static inline uint64_t detect_learns_ns(const struct detect *d)
{
	return d->cfg.vantage == DETECT_FILE ? DETECT_WARM_UP_NS : d->cfg.warm_up_ns;
}

static inline bool detect_warming(const struct detect *d)
{
	return (d->cfg.vantage != DETECT_FILE || d->cfg.file_warm_up) &&
	       detect_since(d, d->started_ns) < detect_learns_ns(d);
}
