/* SPDX-License-Identifier: Apache-2.0 */
/* Inside dns*.c only: the state of the detector, and the step from what was heard to what is said. */
#pragma once

#include "detect/dns_zones.h"

#define DNS_EXPANSIONS 1024 /* powers of two, as the next four */
#define DNS_RELAYED 2048
#define DNS_CLIENTS 2048
#define DNS_SITES 2048
#define DNS_DOMAINS 4096
#define DNS_SERVERS 4
#define DNS_SITE_CLIENTS 4

#define DNS_DOWN_LEAST 4096 /* bytes of answers in a day from which they are weighed */

/* A name that ends like one of the search list: forgotten again when the name in front of the suffix turns out to exist. */
struct dns_expansion {
	uint64_t key, zone;
	uint32_t hash, time_s, entity_id;
};

/*
 * What a server was told about a domain by those who ask it: when it asks on, that is theirs. The server is an address, or
 * anything on this machine.
 */
struct dns_relayed {
	uint64_t key;
	uint32_t last_s, bytes; /* new to those who said it */
	uint32_t entity_id;     /* who did; 0: several */
};

/* Which resolvers a client asks. */
struct dns_client {
	uint32_t entity_id, total;
	struct {
		struct addr addr;
		uint32_t n;
	} server[DNS_SERVERS];
};

/* Domains that ordinary machines here say much to. */
struct dns_site {
	uint64_t domain;
	uint32_t last_s;
	struct {
		uint32_t entity_id, since_s, bytes;
	} client[DNS_SITE_CLIENTS];
};

struct dns_watch {
	uint64_t seed; /* of the hashes of names; survives a restart with them */
	struct zones zones;
	struct dns_expansion expansions[DNS_EXPANSIONS];
	struct dns_relayed relayed[DNS_RELAYED];
	struct dns_client clients[DNS_CLIENTS];
	struct dns_site sites[DNS_SITES];
	/* How long the domain at the end of a name is: the list is slow, and a name comes at least twice. */
	struct {
		uint64_t name;
		uint16_t n;
		bool is_public;
	} domains[DNS_DOMAINS];
	uint64_t displaced; /* entries of the four tables above that gave way to another */
};

/* One question, by whom and about what. */
struct dns_asking {
	struct entity *e;
	const struct flow *f;
	struct str name;
	uint16_t type;
	bool asks; /* not the question repeated in a response */
	bool strange;
	uint8_t traits;
	uint64_t hash;
	uint32_t now_s;
};

/* dns_askers.c */
uint64_t dns_hash(const struct detect *d, struct str s);
uint64_t dns_hash_server(const struct detect *d, const struct addr *a);
bool dns_is_strange(struct detect *d, const struct dns_asking *q);
bool dns_is_relay(struct detect *d, const struct dns_asking *q, const struct zone *zone);
void dns_note_relay(struct detect *d, const struct dns_asking *q, const struct zone *zone,
		    uint32_t bytes);
void dns_keep_expansion(struct detect *d, const struct dns_asking *q, const struct zone *zone);
void dns_forget_expansions(struct detect *d, const struct dns_asking *q);

/* dns_weigh.c. Something new was said to this zone by `e`, in flow `f`: is it much? Of a relay it is only remembered. */
void dns_weigh(struct detect *d, struct zone *zone, struct entity *e, const struct flow *f,
	       bool relays);
/* The same of what came back. */
void dns_weigh_down(struct detect *d, struct zone *zone, struct entity *e, const struct flow *f);
/* The pair that evidence about a zone belongs to; NULL: no room. */
struct pair *dns_pair(struct detect *d, const struct zone *zone, struct entity *e,
		      const struct flow *f);

/* dns_state.c */
void dns_save(struct detect *d, struct state_out *o);
int dns_load(struct detect *d, struct state_in *in);
