/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who, whom, and both together. Each table is bounded; past its limit the least worth of the few idlest goes, so that a flood
 * of things seen once pushes out other things seen once, and not what has a history.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/dossier.h"
#include "detect/popular.h"
#include "flow/domain.h"

#define MAX_ENTITIES 16384
#define MAX_PEERS 131072
#define MAX_PAIRS 131072
#define CANDIDATES 8 /* idlest ones that could go, when one has to */
#define SCAN 64      /* looked at to find them */
/*
 * What was pushed out lately, 32 bits of its hash by the rest of it. A pair seen once goes first, so under a flood of new ones
 * what comes back more slowly than the table turns over would always be new; this tells that it is not.
 */
#define GHOSTS (1U << 20)

int tables_new(struct detect *d)
{
	list_init(&d->entity_lru);
	list_init(&d->peer_lru);
	list_init(&d->pair_lru);
	pool_init(&d->entities, sizeof(struct entity), MAX_ENTITIES);
	pool_init(&d->peers, sizeof(struct peer), MAX_PEERS);
	pool_init(&d->pairs, sizeof(struct pair), d->cfg.max_pairs ? d->cfg.max_pairs : MAX_PAIRS);
	d->entity_buckets = calloc(DETECT_BUCKETS, sizeof(*d->entity_buckets));
	d->peer_buckets = calloc(DETECT_BUCKETS, sizeof(*d->peer_buckets));
	d->pair_buckets = calloc(DETECT_BUCKETS, sizeof(*d->pair_buckets));
	return d->entity_buckets && d->peer_buckets && d->pair_buckets ? 0 : -ENOMEM;
}

static void touch(struct list *head, struct list *l)
{
	list_del(l);
	list_push_back(head, l);
}

static void touch_first(struct list *head, struct list *l)
{
	list_del(l);
	list_push_back(head->next, l); /* before the first */
}

/* One chained table for the three of them: `next` and `hash` stand where the macro finds them. */
#define UNLINK(d, buckets, obj)                                                     \
	do {                                                                        \
		__typeof__(obj) *at_ = &(d)->buckets[(obj)->hash % DETECT_BUCKETS]; \
		while (*at_ != (obj))                                               \
			at_ = &(*at_)->next;                                        \
		*at_ = (obj)->next;                                                 \
	} while (0)

static void entity_free(struct detect *d, struct entity *e)
{
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->forget_entity)
			(*det)->forget_entity(d, e);
	UNLINK(d, entity_buckets, e);
	list_del(&e->lru);
	intern_put(d->cfg.texts, e->exe);
	intern_put(d->cfg.texts, e->user);
	intern_put(d->cfg.texts, e->container);
	pool_put(&d->entities, e);
}

static void peer_free(struct detect *d, struct peer *p)
{
	UNLINK(d, peer_buckets, p);
	list_del(&p->lru);
	intern_put(d->cfg.texts, p->domain);
	pool_put(&d->peers, p);
}

static void pair_free(struct detect *d, struct pair *p)
{
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->forget)
			(*det)->forget(d, p);
	dossier_free(d, p);
	p->entity->refs--;
	p->peer->pairs--;
	UNLINK(d, pair_buckets, p);
	list_del(&p->lru);
	intern_put(d->cfg.texts, p->name);
	if (p->proc)
		proc_put(d->cfg.procs, p->proc);
	pool_put(&d->pairs, p);
}

/* What a pair would be missed for. */
static uint64_t worth(const struct pair *p)
{
	return p->flows + p->returned * 2 + (p->up + p->down >= 1000000) * 8 +
	       (p->dossier ? 1000 : 0) + (p->learned ? 4 : 0);
}

static uint32_t ghost_mark(uint64_t hash)
{
	return (uint32_t)(hash >> 32) | 1;
}

static void leave_ghost(struct detect *d, uint64_t hash)
{
	if (!d->ghosts)
		d->ghosts = calloc(GHOSTS, sizeof(*d->ghosts));
	if (d->ghosts)
		d->ghosts[hash % GHOSTS] = ghost_mark(hash);
}

/* Takes no more steps than SCAN, whatever the table holds: what cannot go, or is worth more, is put behind the others. */
static bool evict_pair(struct detect *d)
{
	struct pair *worst = NULL;
	int seen = 0, steps = 0;

	for (struct list *it = d->pair_lru.next;
	     it != &d->pair_lru && seen < CANDIDATES && steps < SCAN; it = it->next, steps++) {
		struct pair *p = container_of(it, struct pair, lru);

		if (p->watching)
			continue;
		seen++;
		if (!worst || worth(p) < worth(worst))
			worst = p;
	}
	for (struct list *it = d->pair_lru.next, *next; steps-- > 0; it = next) {
		struct pair *p = container_of(it, struct pair, lru);

		next = it->next;
		if (p->watching || worth(p) > worth(worst))
			touch(&d->pair_lru, it);
	}
	if (!worst)
		return false;
	leave_ghost(d, worst->hash);
	/* Its ends are the next to go, when it was all that held them. */
	if (worst->entity->refs == 1)
		touch_first(&d->entity_lru, &worst->entity->lru);
	if (worst->peer->pairs == 1)
		touch_first(&d->peer_lru, &worst->peer->lru);
	pair_free(d, worst);
	d->stats.evicted_pairs++;
	return true;
}

static bool evict_idle_entity(struct detect *d)
{
	for (int steps = 0; steps < SCAN && !list_empty(&d->entity_lru); steps++) {
		struct entity *e = container_of(d->entity_lru.next, struct entity, lru);

		if (e->refs) {
			touch(&d->entity_lru, &e->lru);
			continue;
		}
		entity_free(d, e);
		d->stats.evicted_entities++;
		return true;
	}
	return false;
}

/* When every one has pairs, pairs go until one has none. */
static bool evict_entity(struct detect *d)
{
	for (int tries = 0; tries < CANDIDATES; tries++)
		if (evict_idle_entity(d) || !evict_pair(d))
			break;
	return d->entities.used < d->entities.max || evict_idle_entity(d);
}

static bool evict_idle_peer(struct detect *d)
{
	struct peer *worst = NULL;
	int seen = 0, steps = 0;

	for (struct list *it = d->peer_lru.next;
	     it != &d->peer_lru && seen < CANDIDATES && steps < SCAN; it = it->next, steps++) {
		struct peer *p = container_of(it, struct peer, lru);

		if (p->pairs)
			continue;
		seen++;
		if (!worst || p->entities < worst->entities)
			worst = p;
	}
	for (struct list *it = d->peer_lru.next, *next; steps-- > 0; it = next) {
		struct peer *p = container_of(it, struct peer, lru);

		next = it->next;
		if (p->pairs || p->entities > worst->entities)
			touch(&d->peer_lru, it);
	}
	if (!worst)
		return false;
	peer_free(d, worst);
	d->stats.evicted_peers++;
	return true;
}

static bool evict_peer(struct detect *d)
{
	for (int tries = 0; tries < CANDIDATES; tries++)
		if (evict_idle_peer(d) || !evict_pair(d))
			break;
	return d->peers.used < d->peers.max || evict_idle_peer(d);
}

void tables_free(struct detect *d)
{
	if (!d->pair_buckets || !d->peer_buckets || !d->entity_buckets)
		goto out;
	while (!list_empty(&d->pair_lru))
		pair_free(d, container_of(d->pair_lru.next, struct pair, lru));
	while (!list_empty(&d->peer_lru))
		peer_free(d, container_of(d->peer_lru.next, struct peer, lru));
	while (!list_empty(&d->entity_lru))
		entity_free(d, container_of(d->entity_lru.next, struct entity, lru));
out:
	pool_done(&d->entities);
	pool_done(&d->peers);
	pool_done(&d->pairs);
	free(d->entity_buckets);
	free(d->peer_buckets);
	free(d->pair_buckets);
	free(d->ghosts);
}

/* --- entities ------------------------------------------------------------------------------------------------------- */

static struct entity *entity_find(struct detect *d, const struct entity *like)
{
	struct entity *e = d->entity_buckets[like->hash % DETECT_BUCKETS];

	while (e && (e->hash != like->hash || e->is_program != like->is_program ||
		     e->exe != like->exe || e->container != like->container ||
		     e->uid != like->uid || !addr_eq(&e->addr, &like->addr)))
		e = e->next;
	return e;
}

static struct entity *entity_get(struct detect *d, const struct entity *like)
{
	struct entity *e = entity_find(d, like);

	if (!e) {
		if (d->entities.used >= d->entities.max && !evict_entity(d))
			return NULL;
		e = pool_get(&d->entities);
		if (!e)
			return NULL;
		*e = *like;
		e->id = ++d->next_entity_id;
		text_ref(e->exe);
		text_ref(e->user);
		text_ref(e->container);
		e->class = e->exe ? program_class(text_str(e->exe)) : PROGRAM_UNKNOWN;
		e->is_resolver = e->class == PROGRAM_RESOLVER;
		e->first_ns = d->now_ns;
		list_init(&e->lru);
		e->next = d->entity_buckets[e->hash % DETECT_BUCKETS];
		d->entity_buckets[e->hash % DETECT_BUCKETS] = e;
	}
	e->last_ns = d->now_ns;
	touch(&d->entity_lru, &e->lru);
	return e;
}

struct entity *entity_of_addr(struct detect *d, const struct addr *a)
{
	struct entity like = { .addr = *a, .hash = hash_bytes(a, sizeof(*a), d->seed) };

	return entity_get(d, &like);
}

struct entity *entity_of_proc(struct detect *d, const struct proc *p)
{
	struct entity like = { .is_program = true,
			       .exe = p->exe ? p->exe : p->comm,
			       .user = p->user,
			       .uid = p->uid,
			       .container = p->workload ? p->workload->container_id : NULL };
	uint64_t parts[3] = { like.exe ? like.exe->hash : 0, like.uid,
			      like.container ? like.container->hash : 0 };

	like.hash = hash_bytes(parts, sizeof(parts), d->seed);
	return entity_get(d, &like);
}

struct entity *entity_of_flow(struct detect *d, const struct flow *f)
{
	if (f->proc)
		return entity_of_proc(d, f->proc);
	return entity_of_addr(d, &f->key.src);
}

struct entity *entity_of_client(struct detect *d, const struct flow *f)
{
	return f->direction == FLOW_REPLY ? entity_of_addr(d, &f->key.src) : entity_of_flow(d, f);
}

struct str entity_label(const struct entity *e, char text[256])
{
	struct str exe = text_str(e->exe), user = text_str(e->user);
	int n;

	if (!e->is_program) {
		addr_format(&e->addr, text);
		return str_of(text);
	}
	if (user.n)
		n = snprintf(text, 256, "%.*s (%.*s", STR_FMT(exe.n ? exe : STR("?")),
			     STR_FMT(user));
	else
		n = snprintf(text, 256, "%.*s (uid %u", STR_FMT(exe.n ? exe : STR("?")), e->uid);
	n = MIN(n, 240);
	if (e->container)
		n += snprintf(text + n, (size_t)(256 - n), ", %.*s",
			      STR_FMT(str_sub(text_str(e->container), 0, 12)));
	snprintf(text + MIN(n, 254), 2, ")");
	return str_of(text);
}

/* --- peers ---------------------------------------------------------------------------------------------------------- */

static struct peer *peer_get(struct detect *d, uint64_t hash, struct str domain,
			     const struct addr *addr, uint16_t port)
{
	struct peer *p = d->peer_buckets[hash % DETECT_BUCKETS];

	while (p && (p->hash != hash || !str_eq(text_str(p->domain), domain) ||
		     (!domain.n && (p->port != port || !addr_eq(&p->addr, addr)))))
		p = p->next;
	if (!p) {
		if (d->peers.used >= d->peers.max && !evict_peer(d))
			return NULL;
		p = pool_get(&d->peers);
		if (!p)
			return NULL;
		p->domain = domain.n ? intern_get(d->cfg.texts, domain) : NULL;
		if (domain.n && !p->domain) {
			pool_put(&d->peers, p);
			return NULL;
		}
		p->hash = hash;
		if (addr)
			p->addr = *addr;
		p->port = port;
		p->first_ns = d->now_ns;
		p->fame = domain.n ? (uint8_t)detect_fame(d, domain) : FAME_NONE;
		list_init(&p->lru);
		p->next = d->peer_buckets[hash % DETECT_BUCKETS];
		d->peer_buckets[hash % DETECT_BUCKETS] = p;
	}
	p->last_ns = d->now_ns;
	touch(&d->peer_lru, &p->lru);
	return p;
}

struct peer *peer_of_domain(struct detect *d, struct str domain)
{
	return peer_get(d, hash_bytes(domain.p, domain.n, d->seed), domain, NULL, 0);
}

struct peer *peer_of_addr(struct detect *d, const struct addr *a, uint16_t port, uint8_t proto)
{
	struct {
		struct addr addr;
		uint16_t port, proto;
	} key = { *a, flow_proto_has_ports(proto) ? port : 0, proto };
	struct peer *p = peer_get(d, hash_bytes(&key, sizeof(key), d->seed), STR_NONE, a, key.port);

	if (p)
		p->proto = proto;
	return p;
}

static struct peer *peer_of_flow(struct detect *d, const struct flow *f)
{
	struct str domain = f->name ? domain_of_text(f->name) : STR_NONE;

	if (domain.n)
		return peer_of_domain(d, domain);
	/* Names without a registrable domain (local ones) are names all the same. */
	if (f->name)
		return peer_of_domain(d, text_str(f->name));
	return peer_of_addr(d, &f->key.dst, f->key.dport, f->key.proto);
}

struct str peer_label(const struct peer *p, char text[256])
{
	char addr[ADDR_TEXT_MAX];

	if (p->domain)
		return text_str(p->domain);
	addr_format(&p->addr, addr);
	if (!p->port)
		snprintf(text, 256, "%s", addr);
	else
		snprintf(text, 256, addr_is_v4(&p->addr) ? "%s:%u" : "[%s]:%u", addr, p->port);
	return str_of(text);
}

/* --- pairs ---------------------------------------------------------------------------------------------------------- */

/* Where the idlest are all held by flows or cases, they were put behind the others: the next try sees those. */
static bool make_room(struct detect *d)
{
	for (int tries = 0; tries < 16; tries++)
		if (d->pairs.used < d->pairs.max || evict_pair(d))
			return true;
	return false;
}

struct pair *pair_of(struct detect *d, struct entity *e, struct peer *peer)
{
	uint64_t parts[2] = { e->hash, peer->hash };
	uint64_t hash = hash_bytes(parts, sizeof(parts), d->seed);
	struct pair *p = d->pair_buckets[hash % DETECT_BUCKETS];

	while (p && (p->entity != e || p->peer != peer))
		p = p->next;
	if (p)
		return p;
	/* What is being made must not be what goes. */
	e->refs++;
	peer->pairs++;
	if (make_room(d))
		p = pool_get(&d->pairs);
	if (!p) {
		e->refs--;
		peer->pairs--;
		d->stats.no_room++;
		return NULL;
	}
	p->hash = hash;
	p->entity = e;
	p->peer = peer;
	p->returned = d->ghosts && d->ghosts[hash % GHOSTS] == ghost_mark(hash);
	p->is_new_peer = !peer->entities;
	peer->entities++;
	p->first_ns = p->last_ns = d->now_ns;
	list_init(&p->lru);
	list_push_back(&d->pair_lru, &p->lru);
	p->next = d->pair_buckets[hash % DETECT_BUCKETS];
	d->pair_buckets[hash % DETECT_BUCKETS] = p;
	return p;
}

void pair_touch(struct detect *d, struct pair *p, const struct flow *f)
{
	bool moved = d->now_ns - p->last_ns >= NSEC_PER_SEC;

	p->last_ns = p->entity->last_ns = p->peer->last_ns = d->now_ns;
	p->addr = f->key.dst;
	p->port = f->key.dport;
	p->proto = f->key.proto;
	p->direction = f->direction;
	if (f->app > APP_UNKNOWN || p->app == APP_UNDECIDED)
		p->app = f->app;
	if (f->name && f->name != p->name) {
		intern_put(d->cfg.texts, p->name);
		p->name = text_ref(f->name);
	}
	if (f->proc && f->proc != p->proc) {
		if (p->proc)
			proc_put(d->cfg.procs, p->proc);
		p->proc = proc_ref(f->proc);
	}
	if (!moved)
		return;
	touch(&d->pair_lru, &p->lru);
	touch(&d->peer_lru, &p->peer->lru);
	touch(&d->entity_lru, &p->entity->lru);
}

/* A sighting is over. Processes are bounded too: only what has something said of it keeps the last one that it saw. */
void pair_leave(struct detect *d, struct pair *p)
{
	if (--p->watching || p->dossier || !p->proc)
		return;
	proc_put(d->cfg.procs, p->proc);
	p->proc = NULL;
}

struct pair *pair_of_flow(struct detect *d, const struct flow *f)
{
	struct entity *e = entity_of_flow(d, f);
	struct peer *peer;

	if (!e)
		return NULL;
	e->refs++; /* not to be evicted by the peer's making */
	peer = peer_of_flow(d, f);
	e->refs--;
	return peer ? pair_of(d, e, peer) : NULL;
}

struct pair *pair_of_name(struct detect *d, struct entity *e, struct text *name)
{
	struct str domain = domain_of_text(name);
	struct peer *peer;
	struct pair *p;

	e->refs++; /* not to be evicted by the peer's making */
	peer = peer_of_domain(d, domain.n ? domain : text_str(name));
	e->refs--;
	p = peer ? pair_of(d, e, peer) : NULL;
	if (p && !p->name)
		p->name = text_ref(name);
	return p;
}

struct pair *pair_of_hash(struct detect *d, uint64_t hash)
{
	struct pair *p = d->pair_buckets[hash % DETECT_BUCKETS];

	while (p && p->hash != hash)
		p = p->next;
	return p;
}
