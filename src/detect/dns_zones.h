/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside dns*.c only: what each client said to each zone. A zone is a registrable domain; names without a public suffix that do
 * not even share their last two labels are taken together by the server that was asked, because then it is the server that
 * listens. Three tiers, each with a bound of its own: a few names for all, an hour of them, a day and a week of them.
 */
#pragma once

#include "detect/dns_allow.h"
#include "detect/dns_info.h"
#include "detect/engine.h"

#define DNS_FEW 6
#define DNS_EXAMPLES 3
#define DNS_EXAMPLE_MAX 40
#define DNS_HALF_S 1800
#define DNS_DAY_S 86400
#define DNS_WEEK_S (7 * 86400)

enum dns_horizon { DNS_HOUR, DNS_DAY, DNS_WEEK, DNS_HORIZONS };

/* How one window of names was asked for. */
struct dns_window {
	struct dns_sample names;
	uint32_t start_s;
	uint32_t asked; /* also names that were asked before */
};

struct zone_long {
	struct list lru;
	struct zone *zone;
	struct dns_window day, week;
};

struct zone_names {
	struct list lru;
	struct zone *zone;
	struct dns_window half[2]; /* the last, and the one before: the last 30 to 60 minutes */
	uint8_t now;               /* which is the last */
	uint8_t n_examples;
	char example[DNS_EXAMPLES][DNS_EXAMPLE_MAX];
	uint32_t fresh;     /* names that were new to their half */
	uint32_t odd_types; /* asked for by types that nothing but tunnels and tests use */
	uint32_t since;     /* … since it was last weighed */
	uint32_t weighed;   /* bytes then */
	uint32_t down;      /* distinct bytes that came back today */
	uint32_t down_since_s;
	uint32_t down_told;
	uint64_t down_seen[8];  /* which answers, as a Bloom filter */
	struct zone_long *more; /* NULL: too little yet */
};

struct zone {
	uint64_t hash;
	struct list lru;
	struct zone *next;
	const struct dns_allow_row *allow; /* NULL: none of its names are ordinary by themselves */
	struct text *domain;               /* NULL: by server */
	struct addr server;                /* asked last */
	uint64_t flow_id;                  /* the last one that asked */
	uint32_t entity_id, flows;
	uint32_t first_s, last_s;
	uint32_t bytes; /* the most that was ever estimated: what it would be missed for */
	struct {
		uint32_t hash;
		uint8_t bytes, traits;
	} few[DNS_FEW];
	uint8_t n_few;
	uint8_t fame;   /* enum fame */
	bool is_public; /* has a suffix of the public list */
	bool saw_query; /* responses then add nothing to what was asked */
	bool strange;   /* asked past the usual resolvers */
	struct zone_names *names;
};

struct zones {
	struct intern *texts;
	struct pool zones, names, more;
	struct list zone_lru, names_lru, more_lru;
	struct zone **buckets;
	uint64_t evicted; /* zones, and windows of zones, that had to go */
};

int zones_init(struct zones *z, struct intern *texts);
void zones_done(struct zones *z);
struct zone *zones_find(const struct zones *z, uint64_t hash, uint32_t entity_id);
/* Made when new; NULL: no memory. `domain` empty: by server. */
struct zone *zones_get(struct zones *z, uint64_t hash, uint32_t entity_id, struct str domain,
		       uint32_t now_s);
void zones_touch(struct zones *z, struct zone *zone, uint32_t now_s);

/* A name was asked for. True: it is new to the hour. */
bool zone_add(struct zones *z, struct zone *zone, uint32_t hash, uint8_t bytes, uint8_t traits,
	      struct str sub, uint32_t now_s);
void zone_mark(struct zone *zone, uint32_t hash, uint8_t traits);
void zone_remove(struct zone *zone, uint32_t hash);
/* The tiers, for zones that come from the state file. NULL: no room. */
struct zone_names *zone_names_get(struct zones *z, struct zone *zone, uint32_t now_s);
struct zone_long *zone_long_get(struct zones *z, struct zone *zone, uint32_t now_s);

struct dns_heard {
	struct dns_total total;
	double asked;   /* times each name was asked for */
	uint32_t for_s; /* how long the window has been open */
};
/* False: this horizon holds nothing of the zone yet. */
bool zone_heard(const struct zone *zone, enum dns_horizon horizon, uint32_t now_s,
		struct dns_heard *ret);
