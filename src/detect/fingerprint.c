/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which TLS library speaks (JA4), held against what this program, and everybody else here, has spoken before. A fingerprint alone is
 * weak: hundreds of programs share one. What is told is a change: a program that has its own for a week and now another beside it
 * (injected code brings its library along), one that only browsers had, one that nobody else has, to a peer of nobody else.
 *
 * Where nearly all speak with one fingerprint a TLS proxy speaks for them, and nothing is said. Of addresses (recordings, gateways)
 * only the last rule holds: a machine runs many programs.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/popular.h"
#include "detect/say.h"
#include "detect/state.h"

#define MAX_USED 16384
#define MAX_WEARERS 8192
#define MAX_PRINTS 8192
#define BUCKETS 4096
#define HOUR_NS (3600 * NSEC_PER_SEC)
#define SETTLED_NS (7 * 86400 * NSEC_PER_SEC)
#define SETTLED_LEAST 50  /* handshakes */
#define BROWSERS_LEAST 50 /* handshakes by browsers before a fingerprint is theirs */
#define OTHERS_LEAST 5    /* entities to be compared with */
#define HANDSHAKES_LEAST 200
#define YEAR_2016_S 1451606400ULL
#define YEAR_2020_S 1577836800ULL

struct print {
	struct list lru;
	struct print *next;
	uint64_t ja4; /* hash */
	uint32_t handshakes, browsers, entities;
};

struct used {
	struct list lru;
	struct used *next; /* of the same wearer */
	struct wearer *by;
	uint64_t ja4, first_ns, last_ns;
	uint32_t n;
};

struct wearer {
	struct list lru;
	struct wearer *next;
	struct entity *entity;
	struct used *used;
	uint64_t first_ns;
	uint64_t settled_ns; /* the last handshake with a fingerprint that it had for a week */
	uint32_t n;
};

struct prints {
	struct pool prints, used, wearers;
	struct list print_lru, used_lru, wearer_lru;
	struct print *print_buckets[BUCKETS];
	struct wearer *wearer_buckets[BUCKETS];
	uint64_t handshakes, evicted;
};

static int start(struct detect *d)
{
	struct prints *p = d->prints = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pool_init(&p->prints, sizeof(struct print), MAX_PRINTS);
	pool_init(&p->used, sizeof(struct used), MAX_USED);
	pool_init(&p->wearers, sizeof(struct wearer), MAX_WEARERS);
	list_init(&p->print_lru);
	list_init(&p->used_lru);
	list_init(&p->wearer_lru);
	return 0;
}

static void stop(struct detect *d)
{
	struct prints *p = d->prints;

	if (!p)
		return;
	pool_done(&p->prints);
	pool_done(&p->used);
	pool_done(&p->wearers);
	free(p);
	d->prints = NULL;
}

static void touch(struct list *lru, struct list *l)
{
	list_del(l);
	list_push_back(lru, l);
}

/* FNV-1a: the same in the next run, for the state file. */
static uint64_t hash_of(struct str ja4)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < ja4.n; i++)
		h = (h ^ (uint8_t)ja4.p[i]) * 0x100000001b3ULL;
	return h;
}

/* --- tables --------------------------------------------------------------------------------------------------------- */

static void print_free(struct prints *p, struct print *x)
{
	struct print **at = &p->print_buckets[x->ja4 % BUCKETS];

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	list_del(&x->lru);
	pool_put(&p->prints, x);
}

static struct print *print_find(struct prints *p, uint64_t ja4)
{
	struct print *x = p->print_buckets[ja4 % BUCKETS];

	while (x && x->ja4 != ja4)
		x = x->next;
	return x;
}

static struct print *print_get(struct prints *p, uint64_t ja4)
{
	struct print *x = print_find(p, ja4);

	if (x) {
		touch(&p->print_lru, &x->lru);
		return x;
	}
	if (p->prints.used >= p->prints.max) {
		print_free(p, container_of(p->print_lru.next, struct print, lru));
		p->evicted++;
	}
	x = pool_get(&p->prints);
	if (!x)
		return NULL;
	x->ja4 = ja4;
	x->next = p->print_buckets[ja4 % BUCKETS];
	p->print_buckets[ja4 % BUCKETS] = x;
	list_init(&x->lru);
	list_push_back(&p->print_lru, &x->lru);
	return x;
}

static void used_free(struct prints *p, struct used *u)
{
	struct used **at = &u->by->used;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	list_del(&u->lru);
	pool_put(&p->used, u);
}

static struct wearer *wearer_find(struct prints *p, const struct entity *e)
{
	struct wearer *w = p->wearer_buckets[e->hash % BUCKETS];

	while (w && w->entity != e)
		w = w->next;
	return w;
}

static void wearer_free(struct prints *p, struct wearer *w)
{
	struct wearer **at = &p->wearer_buckets[w->entity->hash % BUCKETS];

	while (w->used)
		used_free(p, w->used);
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	list_del(&w->lru);
	pool_put(&p->wearers, w);
}

static struct wearer *wearer_get(struct prints *p, struct entity *e, uint64_t now_ns)
{
	struct wearer *w = wearer_find(p, e);

	if (w) {
		touch(&p->wearer_lru, &w->lru);
		return w;
	}
	if (p->wearers.used >= p->wearers.max) {
		wearer_free(p, container_of(p->wearer_lru.next, struct wearer, lru));
		p->evicted++;
	}
	w = pool_get(&p->wearers);
	if (!w)
		return NULL;
	w->entity = e;
	w->first_ns = now_ns;
	w->next = p->wearer_buckets[e->hash % BUCKETS];
	p->wearer_buckets[e->hash % BUCKETS] = w;
	list_init(&w->lru);
	list_push_back(&p->wearer_lru, &w->lru);
	return w;
}

static struct used *used_get(struct prints *p, struct wearer *w, uint64_t ja4, uint64_t now_ns)
{
	struct used *u = w->used;

	while (u && u->ja4 != ja4)
		u = u->next;
	if (u) {
		touch(&p->used_lru, &u->lru);
		return u;
	}
	if (p->used.used >= p->used.max) {
		used_free(p, container_of(p->used_lru.next, struct used, lru));
		p->evicted++;
	}
	u = pool_get(&p->used);
	if (!u)
		return NULL;
	u->by = w;
	u->ja4 = ja4;
	u->first_ns = now_ns;
	u->next = w->used;
	w->used = u;
	list_init(&u->lru);
	list_push_back(&p->used_lru, &u->lru);
	return u;
}

static void forget_entity(struct detect *d, struct entity *e)
{
	struct wearer *w = d->prints ? wearer_find(d->prints, e) : NULL;

	if (w)
		wearer_free(d->prints, w);
}

/* --- rules ---------------------------------------------------------------------------------------------------------- */

static void say(struct detect *d, struct sighting *s, const struct flow *f, enum evidence_id id,
		int db, uint64_t n, const char *what, const char *baseline)
{
	if (was_said(s->pair, id, db))
		return;
	detect_evidence(d, s->pair, id,
			&(struct evidence_in){ .db = db,
					       .measured = (double)n,
					       .n = n,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
}

static bool is_proxied(const struct prints *p, const struct print *x)
{
	return p->wearers.used >= 4 && (uint64_t)x->handshakes * 10 >= p->handshakes * 9;
}

/*
 * An update changes a program's fingerprint for good. One that comes beside the old, which goes on, is of other code. Browsers and
 * interpreters have many of their own.
 */
static void new_print(struct detect *d, struct sighting *s, const struct flow *f,
		      const struct wearer *w, const struct used *u)
{
	const struct entity *e = w->entity;
	char what[128], baseline[128], ago[TIME_TEXT_MAX];

	if (!e->is_program || e->class == PROGRAM_BROWSER || e->class == PROGRAM_INTERPRETER ||
	    w->n < SETTLED_LEAST || u->first_ns < w->first_ns + SETTLED_NS ||
	    d->now_ns - u->first_ns >= SETTLED_NS || w->settled_ns < u->first_ns + HOUR_NS / 6)
		return;
	snprintf(what, sizeof(what), "TLS of another library (JA4 %.40s), first seen %s ago",
		 f->ja4->p, duration_format(d->now_ns - u->first_ns, ago));
	snprintf(baseline, sizeof(baseline), "%u handshakes before, and since, with its own", w->n);
	say(d, s, f, E_NEW_PRINT, evidence_rows[E_NEW_PRINT].most, u->n, what, baseline);
}

static void borrowed(struct detect *d, struct sighting *s, const struct flow *f,
		     const struct print *x)
{
	const struct entity *e = s->pair->entity;
	bool never =
		e->class == PROGRAM_INTERPRETER || e->class == PROGRAM_SHELL ||
		e->class == PROGRAM_RELAY || e->class == PROGRAM_TRANSFER ||
		(f->proc && (f->proc->exe_state == EXE_MEMFD || f->proc->exe_state == EXE_DELETED));
	char what[128], baseline[128];

	if (!e->is_program || e->class == PROGRAM_BROWSER || x->browsers < BROWSERS_LEAST ||
	    (uint64_t)x->browsers * 100 < (uint64_t)x->handshakes * 95)
		return;
	snprintf(what, sizeof(what), "it speaks TLS as a browser does (JA4 %.40s)", f->ja4->p);
	snprintf(baseline, sizeof(baseline), "%u of %u such handshakes here are browsers'",
		 x->browsers, x->handshakes);
	/* Half of all programs with windows have a browser's library inside. */
	say(d, s, f, E_BORROWED_PRINT, never ? evidence_rows[E_BORROWED_PRINT].most : 4,
	    x->handshakes, what, baseline);
}

static void rare(struct detect *d, struct sighting *s, const struct flow *f, const struct print *x)
{
	const struct prints *p = d->prints;
	char what[128], baseline[128];

	if (x->entities != 1 || s->pair->peer->entities != 1 || s->pair->peer->fame != FAME_NONE ||
	    p->wearers.used < OTHERS_LEAST || p->handshakes < HANDSHAKES_LEAST ||
	    detect_since(d, d->started_ns) < HOUR_NS)
		return;
	snprintf(what, sizeof(what), "JA4 %.40s is nobody else's here, and so is its peer",
		 f->ja4->p);
	snprintf(baseline, sizeof(baseline), "%lu handshakes of %zu others", p->handshakes,
		 p->wearers.used - 1);
	say(d, s, f, E_RARE_PRINT, evidence_rows[E_RARE_PRINT].most, x->handshakes, what, baseline);
}

/* The highest version that the hello offers stands in JA4: t10…, ts3… */
static void old_tls(struct detect *d, struct sighting *s, const struct flow *f)
{
	uint64_t now_s = d->now_ns / NSEC_PER_SEC;
	const char *v = f->ja4->p + 1; /* and then d or i: a name, or none */
	char what[128];
	int db;

	if (f->ja4->n < 4 || !is_outside(f) || f->key.proto != IPPROTO_TCP ||
	    s->pair->peer->fame != FAME_NONE || now_s < YEAR_2016_S ||
	    (memcmp(v, "10", 2) && memcmp(v, "s3", 2) && memcmp(v, "s2", 2)))
		return;
	/* Old things that still work ask for a name all the same. */
	db = v[2] == 'i' && !f->name ? 12 : 4;
	snprintf(what, sizeof(what), "a client of %s",
		 v[0] == 's' ? "SSL, which RFC 7568 ended in 2015"
			     : "TLS 1.0, which RFC 8996 ended in 2021");
	say(d, s, f, E_OLD_TLS, now_s < YEAR_2020_S ? db / 2 : db, 1, what, NULL);
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	struct prints *p = d->prints;
	const struct flow *f = r->flow;
	struct wearer *w;
	struct print *x;
	struct used *u;

	if ((r->type != RECORD_TLS && r->type != RECORD_QUIC) || !s || !s->pair || !f->ja4)
		return;
	old_tls(d, s, f);
	x = print_get(p, hash_of(text_str(f->ja4)));
	w = x ? wearer_get(p, s->pair->entity, d->now_ns) : NULL;
	u = w ? used_get(p, w, x->ja4, d->now_ns) : NULL;
	if (!u)
		return;
	p->handshakes++;
	x->handshakes++;
	x->browsers += w->entity->class == PROGRAM_BROWSER;
	x->entities += !u->n;
	w->n++;
	u->n++;
	u->last_ns = d->now_ns;
	if (u->first_ns < w->first_ns + SETTLED_NS)
		w->settled_ns = d->now_ns;
	if (is_proxied(p, x))
		return;
	new_print(d, s, f, w, u);
	borrowed(d, s, f, x);
	rare(d, s, f, x);
}

/* --- across restarts ------------------------------------------------------------------------------------------------ */

static void save(struct detect *d, struct state_out *o)
{
	struct prints *p = d->prints;

	state_u64(o, p->wearers.used);
	list_for_each(it, &p->wearer_lru) {
		struct wearer *w = container_of(it, struct wearer, lru);
		uint64_t n = 0;

		for (struct used *u = w->used; u; u = u->next)
			n++;
		state_entity(o, w->entity);
		state_u64(o, w->first_ns);
		state_u64(o, w->settled_ns);
		state_u64(o, n);
		for (struct used *u = w->used; u; u = u->next) {
			state_u64(o, u->ja4);
			state_u64(o, u->first_ns);
			state_u64(o, u->last_ns);
			state_u64(o, u->n);
		}
	}
}

static void load_used(struct prints *p, struct wearer *w, struct state_in *in)
{
	uint64_t ja4 = state_get_u64(in), first_ns = state_get_u64(in), last_ns = state_get_u64(in);
	uint32_t n = (uint32_t)state_get_most(in, UINT32_MAX);
	struct print *x;
	struct used *u;

	if (in->bad || !w)
		return;
	x = print_get(p, ja4);
	u = x ? used_get(p, w, ja4, first_ns) : NULL;
	if (!u || u->n)
		return;
	u->n = n;
	u->last_ns = last_ns;
	w->n += n;
	p->handshakes += n;
	x->handshakes += n;
	x->browsers += w->entity->class == PROGRAM_BROWSER ? n : 0;
	x->entities += n > 0;
}

static int load(struct detect *d, struct state_in *in)
{
	uint64_t wearers = state_get_most(in, MAX_WEARERS);

	for (uint64_t i = 0; i < wearers && !in->bad; i++) {
		struct entity *e = state_get_entity(in);
		uint64_t first_ns = state_get_u64(in), settled_ns = state_get_u64(in);
		uint64_t n = state_get_most(in, MAX_USED);
		struct wearer *w = e && !in->bad ? wearer_get(d->prints, e, first_ns) : NULL;

		if (w)
			w->settled_ns = settled_ns;
		for (uint64_t k = 0; k < n && !in->bad; k++)
			load_used(d->prints, w, in);
	}
	return in->bad ? -EBADMSG : 0;
}

static size_t memory(const struct detect *d)
{
	return pool_bytes(&d->prints->prints) + pool_bytes(&d->prints->used) +
	       pool_bytes(&d->prints->wearers) + sizeof(*d->prints);
}

const struct detector detect_fingerprint = {
	.name = "fingerprint",
	.start = start,
	.stop = stop,
	.record = record,
	.forget_entity = forget_entity,
	.state_version = 1,
	.save = save,
	.load = load,
	.memory = memory,
};
