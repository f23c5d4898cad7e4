/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels in names: who said how much that was new to which zone. This file reads the messages: whose question is it, to which
 * zone, and what came back. Counting is in dns_zones.c, judging in dns_weigh.c.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/dns_allow.h"
#include "detect/dns_watch.h"
#include "detect/popular.h"
#include "flow/domain.h"

#define WEIGH_EVERY 4 /* new names */

/* --- which zone ------------------------------------------------------------------------------------------------------ */

static struct str last_two_labels(struct str name)
{
	size_t at = name.n;
	int dots = 0;

	while (at && dots < 2)
		dots += name.p[--at] == '.';
	return dots < 2 ? name : str_sub(name, at + 1, name.n);
}

/* The registrable domain; of names without a public suffix the last two labels. Empty: it is a suffix itself. */
static struct str domain_at_end(struct detect *d, const struct dns_asking *q, bool *ret_is_public)
{
	__typeof__(&d->dns->domains[0]) slot = &d->dns->domains[q->hash % DNS_DOMAINS];

	if (slot->name != q->hash) {
		slot->name = q->hash;
		slot->is_public = domain_is_public(q->name);
		slot->n = (uint16_t)(slot->is_public ? domain_of(q->name).n
						     : last_two_labels(q->name).n);
	}
	*ret_is_public = slot->is_public;
	return slot->n <= q->name.n ? str_sub(q->name, q->name.n - slot->n, slot->n) : STR_NONE;
}

static struct str before(struct str name, struct str domain)
{
	return name.n > domain.n ? str_sub(name, 0, name.n - domain.n - 1) : STR_NONE;
}

static struct zone *zone_new_or_found(struct detect *d, const struct dns_asking *q, uint64_t hash,
				      struct str domain, bool is_public)
{
	struct zone *zone = zones_get(&d->dns->zones, hash, q->e->id, domain, q->now_s);

	if (zone && zone->first_s == q->now_s && !zone->bytes && domain.n) {
		zone->is_public = is_public;
		zone->fame = is_public ? (uint8_t)detect_fame(d, domain) : FAME_NONE;
		zone->allow = dns_allow_find(domain);
	}
	return zone;
}

/*
 * A name with a public suffix counts for its domain, where there is something in front of it. Others count for their last two
 * labels once those have come back; what never repeats them counts for the server.
 */
static struct zone *zone_of(struct detect *d, const struct dns_asking *q, struct str domain,
			    bool is_public, struct str *ret_sub)
{
	struct zone *zone;

	*ret_sub = before(q->name, domain);
	if (is_public)
		return ret_sub->n ? zone_new_or_found(d, q, dns_hash(d, domain), domain, true)
				  : NULL;
	if (ret_sub->n) {
		uint8_t bytes, traits;

		zone = zone_new_or_found(d, q, dns_hash(d, domain), domain, false);
		if (!zone || zone->names || zone->n_few > 2)
			return zone;
		traits = dns_name_traits(*ret_sub, &bytes);
		zone_add(&d->dns->zones, zone, (uint32_t)(q->hash >> 32), bytes, traits | q->traits,
			 *ret_sub, q->now_s);
	}
	*ret_sub = q->name;
	return zone_new_or_found(d, q, dns_hash_server(d, &q->f->key.dst), STR_NONE, false);
}

/* --- messages -------------------------------------------------------------------------------------------------------- */

/* NULL, KEY, and what iodine made up: types that nothing else asks for. */
static bool is_odd(uint16_t type)
{
	return type == 10 || type == 25 || type == 65399;
}

/* Types whose answers hold what the owner of the zone likes. */
static bool is_carrier(uint16_t type)
{
	switch (type) {
	case DNS_CNAME:
	case DNS_MX:
	case DNS_TXT:
	case DNS_SRV:
	case DNS_DNAME:
	case 10:    /* NULL */
	case 13:    /* HINFO */
	case 25:    /* KEY */
	case 99:    /* SPF */
	case 255:   /* any */
	case 65399: /* of iodine's own */
		return true;
	default:
		return false;
	}
}

static uint8_t traits_of_answer(const struct dns_message *m)
{
	uint8_t traits = m->rcode == 3 ? DNS_NX : 0;

	for (size_t i = 0; i < m->n_answers; i++)
		if (m->answers[i].has_addr && addr_class(&m->answers[i].addr) == ADDR_PRIVATE)
			traits |= DNS_PRIVATE;
	return traits;
}

/* Keys and policies of mail and of certificates are large, public, and asked for by everybody who gets mail. */
static bool is_policy(struct str name)
{
	static const struct str words[] = { STR("_domainkey."), STR("_dmarc."),   STR("_spf."),
					    STR("_acme-"),      STR("_mta-sts."), STR("_smtp."),
					    STR("_bimi.") };

	for (size_t i = 0; memchr(name.p, '_', name.n) && i < ARRAY_SIZE(words); i++)
		if (memmem(name.p, name.n, words[i].p, words[i].n))
			return true;
	return false;
}

/* Bytes that came back and were not the same as before. */
static void count_down(struct detect *d, const struct dns_asking *q, struct zone *zone,
		       struct str sub, const struct dns_message *m)
{
	struct zone_names *n;

	uint8_t bytes;

	/* Block lists and macros of senders' policies (RFC 7208) have an address in front. */
	if (!is_carrier(q->type) || is_policy(q->name) ||
	    dns_name_traits(sub, &bytes) & DNS_ADDRESS)
		return;
	n = zone_names_get(&d->dns->zones, zone, q->now_s);
	if (!n)
		return;
	if (q->now_s - n->down_since_s >= DNS_DAY_S) {
		n->down = n->down_told = 0;
		n->down_since_s = q->now_s;
		memset(n->down_seen, 0, sizeof(n->down_seen));
	}
	for (size_t i = 0; i < m->n_answers; i++) {
		const struct dns_record *a = &m->answers[i];
		uint64_t h = dns_hash(d, a->rdata);
		uint64_t *one = &n->down_seen[h >> 6 & 7], *two = &n->down_seen[h >> 15 & 7];
		uint64_t one_bit = 1ULL << (h & 63), two_bit = 1ULL << (h >> 9 & 63);

		if (a->type != q->type && q->type != 255)
			continue;
		if (*one & one_bit && *two & two_bit)
			continue;
		*one |= one_bit;
		*two |= two_bit;
		n->down += (uint32_t)MIN(a->rdata.n, (size_t)65535);
	}
	if (n->down >= DNS_DOWN_LEAST && !dns_is_relay(d, q, zone))
		dns_weigh_down(d, zone, q->e, q->f);
}

static void count(struct detect *d, const struct dns_asking *q, struct zone *zone, struct str sub,
		  const struct dns_message *m)
{
	struct zones *zones = &d->dns->zones;
	uint32_t hash = (uint32_t)(q->hash >> 32), known = zone->bytes;
	uint8_t bytes, traits = q->traits;

	zones_touch(zones, zone, q->now_s);
	zone->saw_query |= q->asks;
	zone->server = q->f->key.dst;
	zone->strange = q->strange;
	zone->flows += zone->flow_id != q->f->id;
	zone->flow_id = q->f->id;
	if (q->asks || !zone->saw_query) {
		traits |= dns_name_traits(sub, &bytes);
		if (is_carrier(q->type) && sub.n && sub.p[0] != '_')
			traits |= DNS_CARRIER;
		dns_keep_expansion(d, q, zone);
		if (zone->names)
			zone->names->odd_types += is_odd(q->type);
		zone_add(zones, zone, hash, bytes, traits, sub, q->now_s);
	} else {
		zone_mark(zone, hash, traits);
	}
	if (m->response)
		count_down(d, q, zone, sub, m);
	if (zone->names && zone->names->since >= WEIGH_EVERY) {
		zone->names->since = 0;
		dns_weigh(d, zone, q->e, q->f, dns_is_relay(d, q, zone));
	}
	if (zone->bytes > known)
		dns_note_relay(d, q, zone, zone->bytes - known);
}

static void look_at(struct detect *d, struct dns_asking *q, const struct dns_message *m)
{
	struct str domain, sub;
	struct zone *zone;
	bool is_public;

	if (q->name.n < 2 || dns_is_reverse(q->name))
		return;
	q->hash = dns_hash(d, q->name);
	q->strange = dns_is_strange(d, q);
	domain = domain_at_end(d, q, &is_public);
	if (!domain.n)
		return; /* a public suffix itself: nobody's */
	if (m->response && !m->rcode && m->n_answers)
		dns_forget_expansions(d, q);
	zone = zone_of(d, q, domain, is_public, &sub);
	if (!zone)
		return;
	if (zone->allow && !q->strange && dns_allow_covers(zone->allow, sub))
		return;
	count(d, q, zone, sub, m);
}

/*
 * Live by chance, so that nobody can choose names that the samples pass over. Of a recording by its first message, which nobody
 * knew who made its names, and which gives the same findings each time it is read.
 */
static uint64_t make_seed(const struct detect *d, const struct flow *f)
{
	uint64_t seed = d->cfg.vantage == DETECT_FILE
				? hash_bytes(&f->key.src, sizeof(f->key.src), d->now_ns)
				: hash_random_seed();

	return seed ? seed : 1;
}

/* Whoever opened the flow: on a host a program, or another machine that asks a server here. */
static struct entity *who(struct detect *d, const struct flow *f)
{
	if (f->direction == FLOW_REPLY || f->direction == FLOW_INGRESS)
		return entity_of_addr(d, &f->key.src);
	return entity_of_flow(d, f);
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	const struct dns_message *m = r->dns;
	const struct flow *f = r->flow;
	struct dns_asking q = { .f = f };

	(void)s;
	if (r->type != RECORD_DNS || !f || m->opcode || f->app == APP_MDNS || f->app == APP_LLMNR ||
	    addr_class(&f->key.dst) == ADDR_MULTICAST)
		return;
	q.e = who(d, f);
	if (!q.e)
		return;
	if (!d->dns->seed)
		d->dns->seed = make_seed(d, f);
	q.asks = !m->response;
	q.now_s = (uint32_t)(d->now_ns / NSEC_PER_SEC);
	q.traits = m->response ? traits_of_answer(m) : 0;
	for (unsigned i = 0; i < m->n_questions; i++) {
		q.name = m->questions[i].name;
		q.type = m->questions[i].type;
		look_at(d, &q, m);
	}
}

/* A flow goes to an address that a name resolved to: what the name was asked for. */
static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	for (unsigned i = 0; i < f->n_names; i++) {
		const struct text *name = f->names[i]->asked;
		struct str domain = domain_of_text(name);
		struct zone *zone =
			zones_find(&d->dns->zones,
				   dns_hash(d, domain.n ? domain : last_two_labels(text_str(name))),
				   s->pair->entity->id);

		if (zone)
			zone_mark(zone, (uint32_t)(dns_hash(d, text_str(name)) >> 32),
				  DNS_FOLLOWED);
	}
}

static int start(struct detect *d)
{
	int r;

	d->dns = calloc(1, sizeof(*d->dns));
	if (!d->dns)
		return -ENOMEM;
	r = zones_init(&d->dns->zones, d->cfg.texts);
	domain_load();
	return r;
}

static void stop(struct detect *d)
{
	if (!d->dns)
		return;
	zones_done(&d->dns->zones);
	free(d->dns);
	d->dns = NULL;
}

const struct detector detect_dns = {
	.name = "dns",
	.start = start,
	.stop = stop,
	.flow = flow,
	.record = record,
	.state_version = 1,
	.save = dns_save,
	.load = dns_load,
};
