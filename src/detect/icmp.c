/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels in echo messages. A ping asks with one size and gets back what it sent; a tunnel's answers are data of their own, its
 * sizes follow what it carries. Neither how often nor how large it pings makes a tunnel: floods, monitors and `ping -s 1400` are all
 * alike in that, and no answer of theirs differs. What a pair did in flows that are over counts with what it does now.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "detect/detectors.h"
#include "detect/say.h"

#define MAX_PAIRS 8192
#define DIFFERING_LEAST \
	8 /* a device that answers oddly does so once, or always with the same size */
#define VARIED_LEAST 6
#define UNASKED_LEAST 20
#define REQUESTS_LEAST 20
#define DATA_LEAST 32768 /* bytes; a ping a minute with text in it takes a week to send as much */
#define LOG_LEAST (256 * 1024)

struct icmp_pair {
	struct list lru;
	struct pair *pair;
	uint64_t seen[2], varied[2], bytes[2];
	uint64_t differing, unasked;
	uint16_t shortest, longest; /* data of answers, by the last of each flow */
	uint8_t kinds;              /* of requests */
	uint32_t since;             /* messages of the flow when it was last weighed */
};

struct icmp_watch {
	struct pool pairs;
	struct list lru;
	uint64_t evicted;
};

static int start(struct detect *d)
{
	struct icmp_watch *w = d->icmp = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pool_init(&w->pairs, sizeof(struct icmp_pair), MAX_PAIRS);
	list_init(&w->lru);
	return 0;
}

static void stop(struct detect *d)
{
	if (d->icmp)
		pool_done(&d->icmp->pairs);
	free(d->icmp);
	d->icmp = NULL;
}

static void forget(struct detect *d, struct pair *p)
{
	if (!p->icmp || !d->icmp)
		return;
	list_del(&p->icmp->lru);
	pool_put(&d->icmp->pairs, p->icmp);
	p->icmp = NULL;
}

/* Of the idlest few the one with the least: what came once goes before what comes back. */
static void evict(struct detect *d)
{
	struct icmp_pair *worst = NULL;
	int seen = 0;

	list_for_each(it, &d->icmp->lru) {
		struct icmp_pair *h = container_of(it, struct icmp_pair, lru);

		if (!worst || h->seen[TO_SERVER] < worst->seen[TO_SERVER])
			worst = h;
		if (++seen == 8)
			break;
	}
	if (!worst)
		return;
	forget(d, worst->pair);
	d->icmp->evicted++;
}

static struct icmp_pair *state_of(struct detect *d, struct pair *p)
{
	struct icmp_watch *w = d->icmp;

	if (!p->icmp) {
		if (w->pairs.used >= w->pairs.max)
			evict(d);
		p->icmp = pool_get(&w->pairs);
		if (!p->icmp)
			return NULL;
		p->icmp->pair = p;
		list_init(&p->icmp->lru);
	}
	list_del(&p->icmp->lru);
	list_push_back(&w->lru, &p->icmp->lru);
	return p->icmp;
}

/* What is known of the pair with this flow in it. */
static struct icmp_pair with_flow(const struct icmp_pair *h, const struct flow *f)
{
	const struct flow_icmp *i = &f->icmp;
	struct icmp_pair sum = *h;

	for (int side = 0; side < 2; side++) {
		sum.seen[side] += i->seen[side];
		sum.varied[side] += i->varied[side];
		sum.bytes[side] += f->half[side].bytes;
	}
	sum.differing += i->differing;
	sum.unasked += i->unasked;
	sum.kinds |= i->kinds[TO_SERVER];
	if (i->seen[TO_CLIENT]) {
		sum.shortest =
			sum.longest ? MIN(sum.shortest, i->last[TO_CLIENT]) : i->last[TO_CLIENT];
		sum.longest = MAX(sum.longest, i->largest[TO_CLIENT]);
	}
	return sum;
}

static void say(struct detect *d, struct pair *p, const struct flow *f, enum evidence_id id, int db,
		uint64_t n, const char *what, const char *baseline)
{
	if (was_said(p, id, db))
		return;
	detect_evidence(d, p, id,
			&(struct evidence_in){ .db = db,
					       .measured = (double)n,
					       .n = n,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
}

static void weigh_answers(struct detect *d, struct pair *p, const struct flow *f,
			  const struct icmp_pair *h)
{
	uint64_t n = h->seen[TO_CLIENT];
	/* One size of answer to one size of question, shorter: cut by a router or a resolver that does not mirror much. */
	bool vary = h->varied[TO_CLIENT] >= VARIED_LEAST;
	bool differ = h->differing >= DIFFERING_LEAST && h->differing * 20 >= n;
	char what[128];

	if (differ && vary) {
		snprintf(what, sizeof(what),
			 "%lu of %lu answers to its pings are not what it sent, of %lu changes of "
			 "size",
			 h->differing, n, h->varied[TO_CLIENT]);
		say(d, p, f, E_ICMP_ANSWERS, 0, n, what,
		    "a ping gets back what it sends (RFC 792)");
	} else if (differ && f->icmp.last[TO_CLIENT] == f->icmp.last[TO_SERVER]) {
		snprintf(what, sizeof(what), "%lu of %lu answers to its pings hold other data",
			 h->differing, n);
		say(d, p, f, E_ICMP_ANSWERS, 30, n, what,
		    "a ping gets back what it sends (RFC 792)");
	} else if (h->unasked >= UNASKED_LEAST && h->varied[TO_CLIENT] >= UNASKED_LEAST &&
		   h->unasked * 5 >= n) {
		snprintf(what, sizeof(what),
			 "%lu answers to no question of its, of %lu changes of size", h->unasked,
			 h->varied[TO_CLIENT]);
		say(d, p, f, E_ICMP_ANSWERS, h->seen[TO_SERVER] ? 25 : 15, n, what,
		    "a ping is answered once (RFC 792)");
	}
}

static enum ping_data farthest(uint8_t kinds)
{
	enum ping_data v = PING_DATA_COUNT;

	while (v-- > PING_LITTLE)
		if (kinds & 1 << v)
			return v;
	return PING_LITTLE;
}

static void weigh_requests(struct detect *d, struct pair *p, const struct flow *f,
			   const struct icmp_pair *h)
{
	enum ping_data kind = farthest(h->kinds);
	bool vary = h->varied[TO_SERVER] >= VARIED_LEAST;
	char what[128];
	int db = 0;

	if (h->seen[TO_SERVER] < REQUESTS_LEAST || kind < PING_TEXT)
		return;
	if (vary && h->bytes[TO_SERVER] >= 4096)
		db = kind == PING_OTHER ? 16 : 22;
	else if (h->bytes[TO_SERVER] >= DATA_LEAST)
		db = kind == PING_RANDOM ? 16 : 8;
	if (!db)
		return;
	snprintf(what, sizeof(what), "%lu pings carry %s, %lu bytes in all%s", h->seen[TO_SERVER],
		 kind == PING_TEXT     ? "text"
		 : kind == PING_RANDOM ? "ciphertext"
				       : "data",
		 h->bytes[TO_SERVER], vary ? ", in many sizes" : "");
	say(d, p, f, E_ICMP_DATA, db, h->seen[TO_SERVER], what,
	    "pings carry a time and a pattern, in one size");
}

static void weigh(struct detect *d, struct pair *p, const struct flow *f, const struct icmp_pair *h)
{
	char what[128];

	weigh_answers(d, p, f, h);
	weigh_requests(d, p, f, h);
	/* Of a log, and of what the kernel only counted, there are sums: they are equal for pings. */
	if (h->seen[TO_SERVER] + h->seen[TO_CLIENT] || h->bytes[TO_CLIENT] < LOG_LEAST ||
	    h->bytes[TO_CLIENT] * 10 < h->bytes[TO_SERVER] * 11)
		return;
	snprintf(what, sizeof(what), "%lu bytes of ICMP came back for %lu", h->bytes[TO_CLIENT],
		 h->bytes[TO_SERVER]);
	say(d, p, f, E_ICMP_ANSWERS, 14, f->half[TO_CLIENT].packets, what,
	    "a ping gets back what it sends (RFC 792)");
}

static bool is_icmp(const struct flow *f)
{
	return f->key.proto == IPPROTO_ICMP || f->key.proto == IPPROTO_ICMPV6;
}

static void data(struct detect *d, struct sighting *s, const struct flow *f, enum flow_side side,
		 uint64_t bytes, uint64_t time_ns)
{
	struct icmp_pair *h, sum;
	uint32_t n;

	(void)side;
	(void)bytes;
	(void)time_ns;
	if (!is_icmp(f))
		return;
	/* Live, many messages come as one step of the counters. */
	n = (uint32_t)(f->half[TO_SERVER].packets + f->half[TO_CLIENT].packets);
	h = state_of(d, s->pair);
	if (!h || (n >= h->since && n - h->since < 16))
		return;
	h->since = n;
	sum = with_flow(h, f);
	weigh(d, s->pair, f, &sum);
}

static void report(struct detect *d, struct sighting *s, const struct flow *f, bool ends)
{
	struct icmp_pair *h, sum;

	if (!is_icmp(f))
		return;
	h = state_of(d, s->pair);
	if (!h)
		return;
	sum = with_flow(h, f);
	weigh(d, s->pair, f, &sum);
	if (ends && s->pair->icmp) {
		list_del(&h->lru);
		*h = sum;
		list_init(&h->lru);
		list_push_back(&d->icmp->lru, &h->lru);
	}
}

static size_t memory(const struct detect *d)
{
	return pool_bytes(&d->icmp->pairs);
}

const struct detector detect_icmp = {
	.name = "icmp",
	.start = start,
	.stop = stop,
	.data = data,
	.report = report,
	.forget = forget,
	.memory = memory,
};
