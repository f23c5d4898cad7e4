/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threat intelligence: every address, name, URL, fingerprint and certificate that is met is asked for in the snapshot of feeds
 * (intel_index.h), and once more when there is a new one: what was met in the last week is remembered for that.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/intel_index.h"
#include "detect/popular.h"
#include "detect/state.h"

#define MAX_MET 65536
#define MET_BUCKETS 16384
#define MET_KEPT_NS (7 * 86400 * NSEC_PER_SEC)
/* From here on a hit is one by itself; lighter ones need a second group. */
#define STRONG_DB 36

struct met {
	struct list lru;
	struct met *next;
	uint64_t hash, pair; /* of both */
	struct text *name;   /* NULL: none */
	struct addr addr;    /* unset: asked for by name alone */
	uint16_t port;
	uint64_t last_ns;
};

struct intel_watch {
	struct pool met;
	struct met **buckets;
	struct list lru;
	uint64_t evicted;
};

static int start(struct detect *d)
{
	struct intel_watch *w = d->intel = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pool_init(&w->met, sizeof(struct met), MAX_MET);
	list_init(&w->lru);
	w->buckets = calloc(MET_BUCKETS, sizeof(*w->buckets));
	return w->buckets ? 0 : -ENOMEM;
}

static void met_free(struct detect *d, struct met *m)
{
	struct met **at = &d->intel->buckets[m->hash % MET_BUCKETS];

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	list_del(&m->lru);
	intern_put(d->cfg.texts, m->name);
	pool_put(&d->intel->met, m);
}

static void stop(struct detect *d)
{
	struct intel_watch *w = d->intel;

	if (!w)
		return;
	while (w->buckets && !list_empty(&w->lru))
		met_free(d, container_of(w->lru.next, struct met, lru));
	pool_done(&w->met);
	free(w->buckets);
	free(w);
	d->intel = NULL;
}

/* --- what was met --------------------------------------------------------------------------------------------------- */

static void remember(struct detect *d, const struct pair *p, struct text *name,
		     const struct addr *addr, uint16_t port, uint64_t time_ns)
{
	struct intel_watch *w = d->intel;
	struct {
		uint64_t pair, name, port;
		struct addr addr;
	} key = { p->hash, name ? name->hash : 0, port, *addr };
	uint64_t hash = hash_bytes(&key, sizeof(key), d->seed);
	struct met *m = w->buckets[hash % MET_BUCKETS];

	while (m && (m->hash != hash || m->pair != p->hash))
		m = m->next;
	if (!m) {
		if (w->met.used >= w->met.max) {
			met_free(d, container_of(w->lru.next, struct met, lru));
			w->evicted++;
		}
		m = pool_get(&w->met);
		if (!m)
			return;
		m->hash = hash;
		m->pair = p->hash;
		m->name = text_ref(name);
		m->addr = *addr;
		m->port = port;
		list_init(&m->lru);
		m->next = w->buckets[hash % MET_BUCKETS];
		w->buckets[hash % MET_BUCKETS] = m;
	}
	m->last_ns = time_ns;
	list_del(&m->lru);
	list_push_back(&w->lru, &m->lru);
}

/* --- hits ----------------------------------------------------------------------------------------------------------- */

static enum evidence_id evidence_of(const struct intel_hit *h)
{
	switch (h->class) {
	case INTEL_TOR:
		return E_LISTED_TOR;
	case INTEL_DOH:
	case INTEL_VPN:
	case INTEL_SCANNER:
	case INTEL_SUSPICIOUS:
		return E_LISTED_PLACE;
	default:
		return h->kind == INTEL_JA3 || h->kind == INTEL_JA4 ? E_LISTED_PRINT : E_LISTED;
	}
}

static void say(struct detect *d, const struct intel_index *ix, struct pair *p, const char *shown,
		const struct intel_hit *h, int db, uint64_t flow_id)
{
	struct intel_feed_state feed = { 0 };
	char what[128], baseline[128], age[TIME_TEXT_MAX];
	int64_t now_s = (int64_t)(d->now_ns / NSEC_PER_SEC);

	if (db <= 0)
		return;
	intel_index_feed(ix, h->feed, &feed);
	snprintf(what, sizeof(what), "%s is listed as %s%s%.*s by %.*s", shown,
		 intel_class_name(h->class), h->note.n ? ", " : "", (int)MIN(h->note.n, (size_t)40),
		 h->note.n ? h->note.p : "", (int)MIN(feed.name.n, (size_t)24),
		 feed.name.n ? feed.name.p : "?");
	if (now_s > h->seen_s)
		snprintf(baseline, sizeof(baseline), "%s, confidence %u, %s %s ago",
			 intel_kind_name(h->kind), h->confidence,
			 h->dated ? "seen" : "of a feed from",
			 duration_format((uint64_t)(now_s - h->seen_s) * NSEC_PER_SEC, age));
	else
		snprintf(baseline, sizeof(baseline), "%s, confidence %u", intel_kind_name(h->kind),
			 h->confidence);
	detect_evidence(d, p, evidence_of(h),
			&(struct evidence_in){ .db = db,
					       .measured = h->confidence,
					       .n = 1,
					       .flow_id = flow_id,
					       .what = what,
					       .baseline = baseline });
}

static int weight(const struct detect *d, const struct intel_hit *h)
{
	return intel_weight(h, (int64_t)(d->now_ns / NSEC_PER_SEC));
}

/*
 * An address that is listed without a port, spoken to under a name that is not: many names share addresses, and the one that is
 * meant is another. Half remains where nobody knows the name, nothing where everybody does.
 */
static int shared(const struct intel_hit *h, const struct text *name, const struct peer *peer,
		  int db)
{
	if (h->kind == INTEL_ADDR_PORT || !name)
		return db;
	return peer->fame == FAME_NONE ? db / 2 : 0;
}

static void ask(struct detect *d, const struct intel_index *ix, struct pair *p, struct text *name,
		const struct addr *addr, uint16_t port, uint64_t flow_id)
{
	char shown[96], text[ADDR_TEXT_MAX];
	bool named = false;
	struct intel_hit h;

	if (name && intel_name(ix, text_str(name), port, &h)) {
		snprintf(shown, sizeof(shown), "%.*s", (int)MIN(name->n, 80U), name->p);
		say(d, ix, p, shown, &h, weight(d, &h), flow_id);
		named = true;
	}
	if (addr_is_unset(addr) || named || !intel_addr(ix, addr, port, &h))
		return;
	addr_format(addr, text);
	snprintf(shown, sizeof(shown), h.kind == INTEL_ADDR_PORT ? "%s port %u" : "%s", text, port);
	say(d, ix, p, shown, &h, shared(&h, name, p->peer, weight(d, &h)), flow_id);
}

static struct intel_index *take(const struct detect *d)
{
	return d->cfg.intel ? intel_slot_take(d->cfg.intel) : NULL;
}

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	struct intel_index *ix = take(d);
	struct intel_hit h;

	remember(d, s->pair, f->name, &f->key.dst, f->key.dport, d->now_ns);
	if (!ix)
		return;
	ask(d, ix, s->pair, f->name, &f->key.dst, f->key.dport, f->id);
	if (f->ja4 && intel_hash(ix, INTEL_JA4, text_str(f->ja4), &h))
		say(d, ix, s->pair, f->ja4->p, &h, weight(d, &h), f->id);
	if (f->ja3 && intel_hash(ix, INTEL_JA3, text_str(f->ja3), &h))
		say(d, ix, s->pair, f->ja3->p, &h, weight(d, &h), f->id);
	intel_slot_put(d->cfg.intel, ix);
}

/* A question is enough: it is asked before anything leaves, and often nothing answers any more. */
static void asked(struct detect *d, const struct record *r, const struct intel_index *ix)
{
	static const struct addr none;
	const struct dns_message *m = r->dns;
	struct entity *e;

	for (unsigned i = 0; i < MIN(m->n_questions, (uint16_t)DNS_MAX_QUESTIONS); i++) {
		struct str name = m->questions[i].name;
		struct text *text;
		struct intel_hit h;
		struct pair *p;

		if (!intel_name(ix, name, 0, &h))
			continue;
		e = entity_of_client(d, r->flow);
		text = intern_get(d->cfg.texts, name);
		p = e && text && !e->is_resolver ? pair_of_name(d, e, text) : NULL;
		if (p) {
			remember(d, p, text, &none, 0, d->now_ns);
			ask(d, ix, p, text, &none, 0, r->flow->id);
		}
		intern_put(d->cfg.texts, text);
	}
}

static void requested(struct detect *d, struct sighting *s, const struct record *r,
		      const struct intel_index *ix)
{
	const struct http_request *q = &r->http->request;
	char shown[96];
	struct intel_hit h;

	if (!q->url.n || !intel_url(ix, q->host, r->flow->key.dport, q->url, &h))
		return;
	snprintf(shown, sizeof(shown), "%.*s%.*s", (int)MIN(q->host.n, (size_t)40), q->host.p ?: "",
		 (int)MIN(q->url.n, (size_t)50), q->url.p);
	say(d, ix, s->pair, shown, &h, weight(d, &h), r->flow->id);
}

static void hashed(struct detect *d, struct sighting *s, const struct record *r,
		   const struct intel_index *ix, enum intel_kind kind, const char *hex)
{
	struct intel_hit h;

	if (hex && *hex && intel_hash(ix, kind, str_of(hex), &h))
		say(d, ix, s->pair, hex, &h, weight(d, &h), r->flow->id);
}

/* What the server answered: its fingerprint, and the certificate by either of its usual hashes. */
static void answered(struct detect *d, struct sighting *s, const struct record *r,
		     const struct intel_index *ix)
{
	const struct record_certificate *c = r->tls->certificate;
	char hex[2 * sizeof(c->sha256) + 1];

	hashed(d, s, r, ix, INTEL_JA3, r->tls->ja3s);
	if (!c)
		return;
	if (c->has_sha1)
		hashed(d, s, r, ix, INTEL_CERT, str_hex(c->sha1, sizeof(c->sha1), hex));
	if (c->has_sha256)
		hashed(d, s, r, ix, INTEL_CERT, str_hex(c->sha256, sizeof(c->sha256), hex));
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	struct intel_index *ix;

	if (r->type != RECORD_DNS && r->type != RECORD_HTTP && r->type != RECORD_TLS)
		return;
	ix = take(d);
	if (!ix)
		return;
	if (r->type == RECORD_DNS && !r->dns->response)
		asked(d, r, ix);
	else if (r->type == RECORD_HTTP && s && s->pair)
		requested(d, s, r, ix);
	else if (r->type == RECORD_TLS && s && s->pair)
		answered(d, s, r, ix);
	intel_slot_put(d->cfg.intel, ix);
}

/* --- a new snapshot ------------------------------------------------------------------------------------------------- */

size_t intel_match_again(struct detect *d)
{
	struct intel_index *ix = take(d);
	size_t n = 0;

	if (!ix)
		return 0;
	list_for_each(it, &d->intel->lru) {
		struct met *m = container_of(it, struct met, lru);
		struct pair *p;
		struct intel_hit h;

		if (d->now_ns - m->last_ns > MET_KEPT_NS ||
		    !((m->name && intel_name(ix, text_str(m->name), m->port, &h)) ||
		      (!addr_is_unset(&m->addr) && intel_addr(ix, &m->addr, m->port, &h))))
			continue;
		p = pair_of_hash(d, m->pair);
		if (!p)
			continue;
		ask(d, ix, p, m->name, &m->addr, m->port, 0);
		n++;
	}
	intel_slot_put(d->cfg.intel, ix);
	return n;
}

static void tick(struct detect *d)
{
	while (!list_empty(&d->intel->lru)) {
		struct met *m = container_of(d->intel->lru.next, struct met, lru);

		if (d->now_ns - m->last_ns <= MET_KEPT_NS)
			return;
		met_free(d, m);
	}
}

static size_t memory(const struct detect *d)
{
	return pool_bytes(&d->intel->met) + MET_BUCKETS * sizeof(*d->intel->buckets);
}

/* --- across restarts ------------------------------------------------------------------------------------------------ */

static void save(struct detect *d, struct state_out *o)
{
	uint64_t n = 0;

	list_for_each(it, &d->intel->lru)
		n += !!pair_of_hash(d, container_of(it, struct met, lru)->pair);
	state_u64(o, n);
	list_for_each(it, &d->intel->lru) {
		struct met *m = container_of(it, struct met, lru);
		struct pair *p = pair_of_hash(d, m->pair);

		if (!p)
			continue;
		state_pair(o, p);
		state_text(o, m->name);
		state_addr(o, &m->addr);
		state_u64(o, m->port);
		state_u64(o, m->last_ns);
	}
}

static int load(struct detect *d, struct state_in *in)
{
	uint64_t n = state_get_most(in, MAX_MET);

	while (n-- && !in->bad) {
		struct pair *p = state_get_pair(in);
		struct text *name = state_get_text(in);
		struct addr addr = { 0 };
		uint64_t time_ns;
		uint16_t port;

		state_get_addr(in, &addr);
		port = (uint16_t)state_get_most(in, UINT16_MAX);
		time_ns = state_get_u64(in);
		if (p && !in->bad)
			remember(d, p, name, &addr, port, time_ns);
		intern_put(d->cfg.texts, name);
	}
	return 0;
}

const struct detector detect_intel = {
	.name = "intel",
	.start = start,
	.stop = stop,
	.flow = flow,
	.record = record,
	.tick = tick,
	.memory = memory,
	.state_version = 1,
	.save = save,
	.load = load,
};
