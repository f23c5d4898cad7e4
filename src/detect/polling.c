/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One short connection after the other to an address without a name, all alike: somebody asks whether there is something to do. It
 * finds what sleeps so briefly, or so unevenly, that its gaps tell nothing (detect/regularity.h), and counts in the same group.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/places.h"
#include "detect/say.h"

#define MAX_PAIRS 8192
#define LEAST 12
#define SHORT_NS (30 * NSEC_PER_SEC)
#define SPAN_NS (30 * NSEC_PER_SEC)
#define ALIKE 4 /* sizes that differ by less than one of so many parts */

struct polling_pair {
	struct list lru;
	struct pair *pair;
	uint64_t first_ns, last_ns; /* of the first's start, of the latest payload sent */
	uint64_t size;              /* bytes up of most of them, so far */
	uint32_t votes;             /* for it */
	uint32_t n, alike, beside;  /* beside: begun before the one before was over */
};

struct pollings {
	struct pool pairs;
	struct list lru;
	uint64_t evicted;
};

static int start(struct detect *d)
{
	struct pollings *w = d->pollings = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pool_init(&w->pairs, sizeof(struct polling_pair), MAX_PAIRS);
	list_init(&w->lru);
	return 0;
}

static void stop(struct detect *d)
{
	if (d->pollings)
		pool_done(&d->pollings->pairs);
	free(d->pollings);
	d->pollings = NULL;
}

static size_t memory(const struct detect *d)
{
	return pool_bytes(&d->pollings->pairs);
}

static void forget(struct detect *d, struct pair *p)
{
	if (!p->polling || !d->pollings)
		return;
	list_del(&p->polling->lru);
	pool_put(&d->pollings->pairs, p->polling);
	p->polling = NULL;
}

/* Of the idlest few the one with the fewest: what came once goes before what comes back. */
static void evict(struct detect *d)
{
	struct polling_pair *worst = NULL;
	int seen = 0;

	list_for_each(it, &d->pollings->lru) {
		struct polling_pair *h = container_of(it, struct polling_pair, lru);

		if (!worst || h->n < worst->n)
			worst = h;
		if (++seen == 8)
			break;
	}
	if (!worst)
		return;
	forget(d, worst->pair);
	d->pollings->evicted++;
}

static struct polling_pair *state_of(struct detect *d, struct pair *p)
{
	struct pollings *w = d->pollings;

	if (!p->polling) {
		if (w->pairs.used >= w->pairs.max)
			evict(d);
		p->polling = pool_get(&w->pairs);
		if (!p->polling)
			return NULL;
		p->polling->pair = p;
		list_init(&p->polling->lru);
	}
	list_del(&p->polling->lru);
	list_push_back(&w->lru, &p->polling->lru);
	return p->polling;
}

static bool is_like(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) * ALIKE <= MAX(a, b);
}

/* A client may leave a connection open until it asks again. */
static uint64_t end_of(const struct sighting *s, const struct flow *f)
{
	return s->last_up_ns ? s->last_up_ns : f->last_ns;
}

static bool is_counted(const struct sighting *s, const struct flow *f)
{
	if (f->key.proto != IPPROTO_TCP || f->name || f->mid_stream || !s->up ||
	    end_of(s, f) - f->start_ns > SHORT_NS || network_owner(&f->key.dst))
		return false;
	return f->app == APP_TLS || f->app == APP_HTTP ||
	       (f->app == APP_UNKNOWN && !port_has_service(f->key.dport));
}

static void report(struct detect *d, struct sighting *s, const struct flow *f, bool ends)
{
	struct polling_pair *h;
	char what[128], text[TIME_TEXT_MAX];
	int db;

	if (!ends || !is_counted(s, f))
		return;
	h = state_of(d, s->pair);
	if (!h)
		return;
	/* The majority's size, of those seen: Boyer and Moore's vote. */
	if (!h->votes) {
		h->size = s->up;
		h->votes = 1;
	} else if (is_like(s->up, h->size)) {
		h->votes++;
	} else {
		h->votes--;
	}
	if (!h->n++)
		h->first_ns = f->start_ns;
	h->alike += is_like(s->up, h->size);
	h->beside += f->start_ns < h->last_ns;
	h->last_ns = MAX(h->last_ns, end_of(s, f));
	if (h->n < LEAST || h->alike * 10 < h->n * 7 || h->beside * 5 > h->n ||
	    h->last_ns - h->first_ns < SPAN_NS)
		return;
	db = h->n < 16 ? 7 : h->n < 24 ? 10 : evidence_rows[E_POLLING].most;
	if (was_said(s->pair, E_POLLING, db))
		return;
	snprintf(what, sizeof(what),
		 "%u short connections one after the other within %s, %u of them alike", h->n,
		 duration_format(h->last_ns - h->first_ns, text), h->alike);
	detect_evidence(d, s->pair, E_POLLING,
			&(struct evidence_in){ .db = db,
					       .measured = h->n,
					       .n = h->n,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = "an address without a name" });
}

const struct detector detect_polling = {
	.name = "polling",
	.start = start,
	.stop = stop,
	.report = report,
	.forget = forget,
	.memory = memory,
};
