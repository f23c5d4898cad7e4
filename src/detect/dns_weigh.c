/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a number of distinct bytes is worth. The weight begins with how it compares to the most that is ordinary, and is moved by
 * what tunnels have in common (each name asked for once, long, data rather than words, types that carry answers) and by
 * what ordinary heavy users have (famous, resolved and then used, the same names again, asked for by several machines here).
 */
#include <math.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/time.h"
#include "detect/dns_watch.h"
#include "detect/popular.h"

/*
 * Most that was measured to be ordinary: 745 B of distinct names in an hour for a whole network, 621 B for a client. Below
 * LEAST_SHARE of a threshold nothing is said.
 */
#define ORDINARY_HOUR "ordinary is below 745 B an hour"
#define LEAST_NAMES 20
#define LEAST_SHARE 0.5
#define LEAST_DB 5 /* with all that rarity can add still only for the log */

static const double thresholds[DNS_HORIZONS] = {
	[DNS_HOUR] = 2000, [DNS_DAY] = 6000, [DNS_WEEK] = 15000
};

#define SITE_NOTES 500     /* bytes an hour from which a client is remembered as heavy */
#define SITE_SETTLES_S 600 /* … and counts once that is so long ago */
#define SITE_CLIENTS 3
#define SITE_MOST 4 /* times the threshold: what a site teaches goes no further */

/* --- what is ordinary here ------------------------------------------------------------------------------------------- */

static void site_note(struct dns_watch *w, const struct zone *zone, double bytes, uint32_t now_s)
{
	struct dns_site *s = &w->sites[zone->hash % DNS_SITES];
	int at = 0;

	if (s->domain != zone->hash) {
		if (s->domain && now_s - s->last_s < DNS_WEEK_S)
			w->displaced++;
		*s = (struct dns_site){ .domain = zone->hash };
	}
	s->last_s = now_s;
	while (at < DNS_SITE_CLIENTS && s->client[at].entity_id &&
	       s->client[at].entity_id != zone->entity_id)
		at++;
	if (at == DNS_SITE_CLIENTS)
		return; /* enough are known */
	if (!s->client[at].entity_id) {
		s->client[at].entity_id = zone->entity_id;
		s->client[at].since_s = now_s;
	}
	s->client[at].bytes = MAX(s->client[at].bytes, (uint32_t)bytes);
}

/* How many others say much to it, and the most that one of them said. */
static int site_others(const struct dns_watch *w, const struct zone *zone, uint32_t now_s,
		       uint32_t *ret_most)
{
	const struct dns_site *s = &w->sites[zone->hash % DNS_SITES];
	int n = 0;

	*ret_most = 0;
	if (s->domain != zone->hash || now_s - s->last_s > DNS_WEEK_S)
		return 0;
	for (int i = 0; i < DNS_SITE_CLIENTS; i++) {
		if (!s->client[i].entity_id || s->client[i].entity_id == zone->entity_id ||
		    now_s - s->client[i].since_s < SITE_SETTLES_S)
			continue;
		*ret_most = MAX(*ret_most, s->client[i].bytes);
		n++;
	}
	return n;
}

/* --- what speaks for it and against ---------------------------------------------------------------------------------- */

static double for_program(const struct entity *e)
{
	if (!e->is_program)
		return 0;
	switch (e->class) {
	case PROGRAM_BROWSER:
	case PROGRAM_MTA:
		return -4;
	case PROGRAM_RESOLVER:
		return 0;
	case PROGRAM_SHELL:
	case PROGRAM_INTERPRETER:
	case PROGRAM_RELAY:
	case PROGRAM_UNKNOWN:
		return 3;
	default:
		return 0;
	}
}

static double against(const struct zone *zone, const struct entity *e, const struct dns_heard *h)
{
	const struct dns_total *t = &h->total;
	double mean = t->bytes / t->names, db = for_program(e);

	db += h->asked < 1.5 ? 4 : h->asked > 5 ? -8 : h->asked > 3 ? -4 : 0;
	db += mean > 40 ? 6 : mean > 25 ? 4 : 0;
	db += dns_share(t, DNS_DATA) >= 0.5 ? 6 : dns_share(t, DNS_DATA) < 0.2 ? -6 : 0;
	db += dns_share(t, DNS_CARRIER) > 0.3 ? 6 : 0;
	db += dns_share(t, DNS_NX) >= 0.9 ? 4 : 0;
	db -= dns_share(t, DNS_FOLLOWED) >= 0.3 ? 12 : 0;
	db -= dns_share(t, DNS_PRIVATE) >= 0.5 ? 12 : 0;
	db += zone->names->odd_types * 3 > h->total.names ? 8 : 0;
	if (zone->strange)
		db += 4; /* a famous name is not that domain's when somebody else is asked for it */
	else
		db += zone->fame == FAME_CORE ? -20 : zone->fame != FAME_NONE ? -10 : 4;
	return db;
}

/*
 * Block lists are asked for addresses, what was resolved to be used is used, and what looks like words is a directory that is read:
 * each of them for thousands of names an hour, and by few machines.
 */
static double at_most(const struct zone *zone, const struct dns_total *t)
{
	if (zone->strange)
		return 40;
	if (dns_share(t, DNS_ADDRESS) >= 0.7)
		return 0;
	if (dns_share(t, DNS_DATA) < 0.2 && dns_share(t, DNS_CARRIER) <= 0.3)
		return LEAST_DB;
	return dns_share(t, DNS_FOLLOWED) >= 0.5 ? LEAST_DB : 40;
}

/* Upper bound of what the names can carry: 5 bits a character, 4 in hexadecimal, nearly 8 in octets that are no letters. */
static double payload(const struct dns_total *t)
{
	if (dns_share(t, DNS_OCTETS) > 0.3)
		return t->bytes * 7 / 8;
	return t->bytes * (dns_share(t, DNS_HEX) >= 0.8 ? 4.0 / 8 : 5.0 / 8);
}

/* 28 dB at the threshold and 6 more each time it doubles; below it, 14 less each time it halves. */
static double for_bytes(double times)
{
	return 28 + (times >= 1 ? 6 : 14) * log2(times);
}

/* --- saying it ------------------------------------------------------------------------------------------------------- */

struct pair *dns_pair(struct detect *d, const struct zone *zone, struct entity *e,
		      const struct flow *f)
{
	struct peer *peer = NULL;
	struct pair *p;

	e->refs++; /* not to be evicted by the peer's making */
	if (zone->domain) {
		peer = peer_of_domain(d, text_str(zone->domain));
	} else {
		p = pair_of_flow(d, f);
		peer = p ? p->peer : NULL;
	}
	e->refs--;
	p = peer ? pair_of(d, e, peer) : NULL;
	if (!p)
		return NULL;
	p->last_ns = d->now_ns;
	if (!zone->domain || (p->flows && p->app != APP_DNS))
		return p; /* it is known from more than questions */
	p->flows = zone->flows;
	p->addr = f->key.dst;
	p->port = f->key.dport;
	p->proto = f->key.proto;
	p->app = f->app;
	p->direction = f->direction;
	p->up = MAX(p->up, (uint64_t)zone->bytes);
	p->down = MAX(p->down, (uint64_t)(zone->names ? zone->names->down : 0));
	if (f->proc && !p->proc)
		p->proc = proc_ref(f->proc);
	return p;
}

static void say(struct detect *d, const struct zone *zone, struct entity *e, const struct flow *f,
		const struct dns_heard *h, int db)
{
	struct pair *p = dns_pair(d, zone, e, f);
	char what[128], baseline[128], said[HUMAN_TEXT_MAX], most[HUMAN_TEXT_MAX],
		within[TIME_TEXT_MAX];

	if (!p)
		return;
	snprintf(what, sizeof(what), "%s in %.0f names asked for within %s; room for %s of data",
		 human_bytes((uint64_t)h->total.bytes, said), h->total.names,
		 duration_format((uint64_t)h->for_s * NSEC_PER_SEC, within),
		 human_bytes((uint64_t)payload(&h->total), most));
	snprintf(baseline, sizeof(baseline), ORDINARY_HOUR "; such as %.30s, %.30s",
		 zone->names->example[0],
		 zone->names->example[MAX(zone->names->n_examples, 1) - 1]);
	detect_evidence(d, p, E_DNS_INFO,
			&(struct evidence_in){ .db = db,
					       .measured = h->total.bytes,
					       .n = (uint64_t)h->total.names,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
}

void dns_weigh(struct detect *d, struct zone *zone, struct entity *e, const struct flow *f,
	       bool relays)
{
	struct dns_watch *w = d->dns;
	uint32_t now_s = (uint32_t)(d->now_ns / NSEC_PER_SEC), most;
	struct dns_heard best_heard = { 0 }, h;
	int best_db = 0, others = site_others(w, zone, now_s, &most);
	/* What others here say to it without being found is what one may say to it, within reason. */
	double ordinary = others >= SITE_CLIENTS ? fmax(1, 1.5 * most / thresholds[DNS_HOUR]) : 1;

	for (enum dns_horizon i = DNS_HOUR; i < DNS_HORIZONS; i++) {
		double times, db;

		if (!zone_heard(zone, i, now_s, &h))
			continue;
		zone->bytes = MAX(zone->bytes, (uint32_t)h.total.bytes);
		if (i == DNS_HOUR && h.total.bytes >= SITE_NOTES)
			site_note(w, zone, h.total.bytes, now_s);
		if (relays)
			continue;
		times = h.total.bytes / thresholds[i] / fmin(ordinary, SITE_MOST);
		if (times < LEAST_SHARE || h.total.names < LEAST_NAMES)
			continue;
		db = for_bytes(times) + against(zone, e, &h) - (others >= SITE_CLIENTS ? 14 : 0);
		db = fmin(db, at_most(zone, &h.total));
		if (lround(db) <= best_db)
			continue;
		best_db = (int)lround(db);
		best_heard = h;
	}
	if (best_db >= LEAST_DB)
		say(d, zone, e, f, &best_heard, best_db);
}

void dns_weigh_down(struct detect *d, struct zone *zone, struct entity *e, const struct flow *f)
{
	struct zone_names *n = zone->names;
	double db = 8 + 6 * log2((double)n->down / DNS_DOWN_LEAST);
	char what[128], bytes[HUMAN_TEXT_MAX];
	struct pair *p;

	if (n->down < n->down_told + n->down_told / 4)
		return;
	n->down_told = n->down;
	db += zone->strange ? 4 : zone->fame == FAME_CORE ? -20 : zone->fame != FAME_NONE ? -10 : 0;
	db += for_program(e);
	p = db >= LEAST_DB ? dns_pair(d, zone, e, f) : NULL;
	if (!p)
		return;
	snprintf(what, sizeof(what), "%s of distinct answers that carry text or data, in a day",
		 human_bytes(n->down, bytes));
	detect_evidence(d, p, E_DNS_DOWN,
			&(struct evidence_in){
				.db = MIN((int)lround(db), (int)evidence_rows[E_DNS_DOWN].most),
				.measured = n->down,
				.n = 1,
				.flow_id = f->id,
				.what = what,
				.baseline = "signatures and policies of mail are not counted" });
}
