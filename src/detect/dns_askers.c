/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: whose question it really is, which servers he usually asks, and what his search list makes of one name. */
#include "base/cleanup.h"
#include "base/hash.h"
#include "detect/dns_watch.h"
#include "detect/doh.h"
#include "flow/domain.h"

#define EXPANSION_S 30 /* a search list has been tried by then */
#define EXPANSION_WAYS 4
#define CUTS 3                 /* names looked for in front of a search suffix */
#define MIX 0x9e3779b97f4a7c15 /* 2^64 / golden ratio */

uint64_t dns_hash(const struct detect *d, struct str s)
{
	return hash_bytes(s.p, s.n, d->dns->seed);
}

uint64_t dns_hash_server(const struct detect *d, const struct addr *a)
{
	return hash_bytes(a, sizeof(*a), d->dns->seed) ^ MIX;
}

/* --- relays ---------------------------------------------------------------------------------------------------------- */

static uint64_t relay_key(const struct zone *zone, uint64_t server)
{
	/* Names without a domain of their own have another zone at each server. */
	return (zone->domain ? zone->hash : 0) + server * MIX;
}

static bool is_local(const struct flow *f)
{
	return addr_class(&f->key.dst) == ADDR_LOOPBACK || f->direction == FLOW_REPLY;
}

/* Something new was said to a server: it may say it again. */
void dns_note_relay(struct detect *d, const struct dns_asking *q, const struct zone *zone,
		    uint32_t bytes)
{
	uint64_t key = relay_key(zone, is_local(q->f) ? 0 : dns_hash_server(d, &q->f->key.dst));
	struct dns_relayed *r = &d->dns->relayed[key % DNS_RELAYED];

	if (r->key != key) {
		d->dns->displaced += r->key && q->now_s - r->last_s < DNS_HALF_S;
		*r = (struct dns_relayed){ .key = key, .entity_id = q->e->id };
	}
	r->last_s = q->now_s;
	r->bytes += bytes;
	if (r->entity_id != q->e->id)
		r->entity_id = 0;
}

#define RELAY_SLACK 512 /* names that were known to the one and new to the other */

/*
 * True: this one only asks on what others asked it. Shorter parts of a name, asked for one after the other (RFC 9156), are up to as
 * much again. One that says more to the domain than it was told is not excused by a few questions of others.
 */
bool dns_is_relay(struct detect *d, const struct dns_asking *q, const struct zone *zone)
{
	uint64_t servers[] = { 0, dns_hash_server(d, &q->e->addr) };

	if (is_local(q->f))
		return false;
	for (int i = 0; i < (q->e->is_program ? 1 : 2); i++) {
		uint64_t key = relay_key(zone, servers[i]);
		const struct dns_relayed *r = &d->dns->relayed[key % DNS_RELAYED];

		if (r->key != key || r->entity_id == q->e->id ||
		    zone->bytes > 2 * r->bytes + RELAY_SLACK)
			continue;
		q->e->is_resolver |= !q->e->is_program;
		return true;
	}
	return false;
}

static bool is_configured(const struct detect *d, const struct addr *server)
{
	for (size_t i = 0; i < d->cfg.n_resolvers; i++)
		if (addr_eq(&d->cfg.resolvers[i], server))
			return true;
	return false;
}

#define STRANGE_LEAST 40 /* questions of a client before its habits are known */

/* Counts whom the client asks. True: not one of those that it is meant to ask, or that it asks nearly always. */
bool dns_is_strange(struct detect *d, const struct dns_asking *q)
{
	struct dns_client *c = &d->dns->clients[q->e->id % DNS_CLIENTS];
	const struct addr *to = &q->f->key.dst;
	uint32_t most = 0, least = UINT32_MAX, n = 0;
	int at = -1, idlest = 0;
	bool strange, is_public = doh_is_server(d, to);

	if (c->entity_id != q->e->id) {
		d->dns->displaced += !!c->entity_id;
		*c = (struct dns_client){ .entity_id = q->e->id };
	}
	for (int i = 0; i < DNS_SERVERS; i++) {
		most = MAX(most, c->server[i].n);
		if (c->server[i].n && addr_eq(&c->server[i].addr, to))
			at = i;
		if (c->server[i].n < least) {
			least = c->server[i].n;
			idlest = i;
		}
	}
	if (at < 0) {
		at = idlest;
		c->server[at].addr = *to;
		c->server[at].n = 0;
	}
	n = c->server[at].n += q->asks;
	c->total += q->asks;
	if (q->e->is_resolver || addr_class(to) != ADDR_INTERNET)
		return false; /* one on the way out asks whom it must; what is inside does not leave */
	if (d->cfg.n_resolvers)
		strange = !is_configured(d, to);
	else
		strange =
			c->total >= STRANGE_LEAST && n * 20 < c->total && most * 10 >= c->total * 6;
	/* Told at 8, 16, 32 … questions: others may ask one server once to find something out. */
	if (strange && q->asks && n >= 8 && !(n & (n - 1))) {
		struct pair *p = pair_of_flow(d, q->f);

		if (p)
			detect_evidence(
				d, p, E_DNS_RESOLVER,
				&(struct evidence_in){
					.db = is_public ? 2 : 0,
					.measured = n,
					.n = n,
					.flow_id = q->f->id,
					.what = "asks a DNS server that is not one of its own",
					.baseline = "it has others for that" });
	}
	return strange && !is_public;
}

/* --- search lists ---------------------------------------------------------------------------------------------------- */

static uint64_t expansion_key(const struct entity *e, uint64_t name_hash)
{
	return name_hash + e->id * MIX;
}

/*
 * "www.example.com.svc.cluster.local" may be a name, or the first try of "www.example.com". Kept until it is known whether the
 * shorter name exists.
 */
void dns_keep_expansion(struct detect *d, const struct dns_asking *q, const struct zone *zone)
{
	struct str front = q->name;
	int cuts = 0;

	for (size_t at = q->name.n; at > 0 && cuts < CUTS; at--) {
		uint64_t key;

		if (q->name.p[at - 1] != '.')
			continue;
		front = str_sub(q->name, 0, at - 1);
		if (!memchr(front.p, '.', front.n))
			return;
		if (!domain_is_public(front))
			continue;
		cuts++;
		key = expansion_key(q->e, dns_hash(d, front));
		for (int i = 0, free = -1; i < EXPANSION_WAYS; i++) {
			struct dns_expansion *x =
				&d->dns->expansions[(key + (unsigned)i) % DNS_EXPANSIONS];

			if (x->key == key && x->zone == zone->hash &&
			    x->hash == (uint32_t)(q->hash >> 32))
				break;
			if (free < 0 && (!x->key || q->now_s - x->time_s > EXPANSION_S))
				free = i;
			if (i < EXPANSION_WAYS - 1)
				continue;
			d->dns->displaced += free < 0;
			x = &d->dns->expansions[(key + (unsigned)MAX(free, 0)) % DNS_EXPANSIONS];
			*x = (struct dns_expansion){ .key = key,
						     .zone = zone->hash,
						     .hash = (uint32_t)(q->hash >> 32),
						     .time_s = q->now_s,
						     .entity_id = q->e->id };
		}
	}
}

void dns_forget_expansions(struct detect *d, const struct dns_asking *q)
{
	uint64_t key = expansion_key(q->e, q->hash);

	for (unsigned i = 0; i < EXPANSION_WAYS; i++) {
		struct dns_expansion *x = &d->dns->expansions[(key + i) % DNS_EXPANSIONS];
		struct zone *zone;

		if (x->key != key || q->now_s - x->time_s > EXPANSION_S)
			continue;
		zone = zones_find(&d->dns->zones, x->zone, x->entity_id);
		if (zone)
			zone_remove(zone, x->hash);
		x->key = 0;
	}
}
