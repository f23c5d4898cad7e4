/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beacons: check-ins too regular for chance. A check-in is payload to the peer after a silence, whether it opens a connection or
 * goes down one that is open. Two streams are tested: all check-ins, and those of the commonest upload size, which finds a
 * beacon among human traffic to the same name. A name has streams of its own, and all names of a domain one together.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/engine.h"
#include "detect/regularity.h"

#define CHECKINS 128
#define FIRST_CHECKINS 8 /* kept in the stream itself; who has more gets a ring */
#define MAX_STREAMS 131072
#define MAX_RINGS 16384
#define NAMES_A_PAIR 8
#define UNIT_NS (10 * NSEC_PER_MSEC)
#define LEAST_SPAN_S 45
#define MOST_DB 20
#define MOST_DB_ONE_FLOW 10 /* keep-alives of a connection: many programs have them */
#define HOURS 32

struct checkin {
	uint32_t at, length; /* units of 10 ms, `at` since the stream's start */
	uint32_t up;
	uint32_t flow; /* low bits of the flow's id: were they all of one? */
};

struct stream {
	struct list lru; /* idlest first */
	struct beacon_pair *of;
	struct stream *next; /* of the same pair */
	struct text *name;   /* a reference; NULL: all of the domain */
	uint64_t t0_ns;
	struct checkin *ring; /* oldest first; first[], or CHECKINS from the pool */
	struct checkin first[FIRST_CHECKINS];
	uint16_t n;
	uint8_t since; /* check-ins since the last test */
	float median_s;
	uint64_t total;
	uint32_t hour; /* of counts[0], since t0 */
	uint8_t counts[HOURS];
};

struct beacon_pair {
	struct pair *pair;
	struct stream *streams;
};

struct beacons {
	struct pool pairs, streams, rings;
	struct list lru;
	uint64_t evicted;
};

static int start(struct detect *d)
{
	struct beacons *b = d->beacons = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	pool_init(&b->pairs, sizeof(struct beacon_pair), MAX_STREAMS);
	pool_init(&b->streams, sizeof(struct stream), MAX_STREAMS);
	pool_init(&b->rings, sizeof(struct checkin[CHECKINS]), MAX_RINGS);
	list_init(&b->lru);
	return 0;
}

static void stop(struct detect *d)
{
	struct beacons *b = d->beacons;

	if (!b)
		return;
	pool_done(&b->pairs);
	pool_done(&b->streams);
	pool_done(&b->rings);
	free(b);
	d->beacons = NULL;
}

/* --- streams -------------------------------------------------------------------------------------------------------- */

static void stream_free(struct detect *d, struct stream *s)
{
	struct stream **at = &s->of->streams;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	list_del(&s->lru);
	if (s->ring != s->first)
		pool_put(&d->beacons->rings, s->ring);
	intern_put(d->cfg.texts, s->name);
	pool_put(&d->beacons->streams, s);
}

static void forget(struct detect *d, struct pair *p)
{
	if (!p->beacon || !d->beacons)
		return;
	while (p->beacon->streams)
		stream_free(d, p->beacon->streams);
	pool_put(&d->beacons->pairs, p->beacon);
	p->beacon = NULL;
}

/* Of the idlest few the one with the fewest check-ins: what was seen once goes before what came back. */
static void evict(struct detect *d, bool with_ring)
{
	struct stream *worst = NULL;
	int seen = 0;

	list_for_each(it, &d->beacons->lru) {
		struct stream *s = container_of(it, struct stream, lru);

		if (with_ring && s->ring == s->first)
			continue;
		if (!worst || s->total < worst->total)
			worst = s;
		if (++seen == 8)
			break;
	}
	if (!worst)
		return;
	stream_free(d, worst);
	d->beacons->evicted++;
}

static struct stream *stream_new(struct detect *d, struct beacon_pair *of, struct text *name,
				 uint64_t t0_ns)
{
	struct beacons *b = d->beacons;
	struct stream *s;

	if (b->streams.used >= b->streams.max)
		evict(d, false);
	s = pool_get(&b->streams);
	if (!s)
		return NULL;
	s->of = of;
	s->name = text_ref(name);
	s->t0_ns = t0_ns;
	s->ring = s->first;
	s->next = of->streams;
	of->streams = s;
	list_init(&s->lru);
	list_push_back(&b->lru, &s->lru);
	return s;
}

static bool grow(struct detect *d, struct stream *s)
{
	struct beacons *b = d->beacons;
	struct checkin *ring;

	if (b->rings.used >= b->rings.max)
		evict(d, true);
	ring = pool_get(&b->rings);
	if (!ring)
		return false;
	memcpy(ring, s->first, s->n * sizeof(*ring));
	s->ring = ring;
	return true;
}

static size_t room(const struct stream *s)
{
	return s->ring == s->first ? FIRST_CHECKINS : CHECKINS;
}

static struct stream *find(const struct beacon_pair *of, const struct text *name)
{
	struct stream *s = of->streams;

	while (s && s->name != name)
		s = s->next;
	return s;
}

/* The stream of all names of the domain: from the second name on there is one, which begins as a copy of the first's. */
static struct stream *domain_stream(struct detect *d, struct beacon_pair *of)
{
	struct stream *all = find(of, NULL), *one = of->streams;

	if (all || !one)
		return all;
	all = stream_new(d, of, NULL, one->t0_ns);
	if (!all)
		return NULL;
	if (one->ring != one->first && !grow(d, all))
		return all;
	memcpy(all->ring, one->ring, one->n * sizeof(*one->ring));
	all->n = one->n;
	all->total = one->total;
	return all;
}

/* The least used one makes room; a program that uses many names of a domain is seen by the domain's own stream. */
static void keep_few(struct detect *d, struct beacon_pair *of)
{
	struct stream *worst = NULL;
	size_t n = 0;

	for (struct stream *s = of->streams; s; s = s->next) {
		n += !!s->name;
		if (s->name && (!worst || s->total < worst->total))
			worst = s;
	}
	if (n >= NAMES_A_PAIR)
		stream_free(d, worst);
}

/* --- check-ins ------------------------------------------------------------------------------------------------------ */

static uint32_t merge_units(const struct stream *s)
{
	double merge_s = fmax(1, REGULARITY_MERGE * s->median_s);

	return (uint32_t)(merge_s * NSEC_PER_SEC / UNIT_NS);
}

static void count_hour(struct stream *s, uint32_t at)
{
	uint32_t hour = at / (3600 * (uint32_t)(NSEC_PER_SEC / UNIT_NS));

	if (hour >= s->hour + HOURS) {
		uint32_t by = MIN(hour - s->hour - HOURS + 1, (uint32_t)HOURS);

		memmove(s->counts, s->counts + by, HOURS - by);
		memset(s->counts + HOURS - by, 0, by);
		s->hour = hour - HOURS + 1;
	}
	if (hour >= s->hour && s->counts[hour - s->hour] < UINT8_MAX)
		s->counts[hour - s->hour]++;
}

/* True: a check-in that was not there. Logs tell of connections in the order of their ends: most are a little late. */
static bool push(struct detect *d, struct stream *s, uint32_t at, uint64_t up, uint32_t flow)
{
	struct checkin *c = s->ring;
	uint32_t merge = merge_units(s);
	size_t i = s->n;

	while (i && c[i - 1].at > at)
		i--;
	if (i && at < c[i - 1].at + c[i - 1].length + merge) {
		c[i - 1].length = MAX(c[i - 1].length, at - c[i - 1].at);
		c[i - 1].up = (uint32_t)MIN((uint64_t)c[i - 1].up + up, (uint64_t)UINT32_MAX);
		return false;
	}
	if (i < s->n && c[i].at - at < merge) {
		c[i].length += c[i].at - at;
		c[i].at = at;
		c[i].up = (uint32_t)MIN((uint64_t)c[i].up + up, (uint64_t)UINT32_MAX);
		return false;
	}
	if (s->n == room(s) && (s->ring != s->first || !grow(d, s))) {
		if (!i)
			return false; /* older than all that is kept */
		memmove(s->ring, s->ring + 1, (s->n - 1U) * sizeof(*s->ring));
		s->n--;
		i--;
	}
	c = s->ring;
	memmove(c + i + 1, c + i, (s->n - i) * sizeof(*c));
	c[i] = (struct checkin){ .at = at,
				 .up = (uint32_t)MIN(up, (uint64_t)UINT32_MAX),
				 .flow = flow };
	s->n++;
	s->total++;
	count_hour(s, at);
	return true;
}

/* --- the tests ------------------------------------------------------------------------------------------------------ */

#define BINS_AN_OCTAVE 24

static int size_bin(uint32_t up)
{
	return (int)floor(BINS_AN_OCTAVE * log2((double)up + 1));
}

/* The bin that, with its neighbours, holds most check-ins. */
static int modal_bin(const struct stream *s, size_t *ret_n)
{
	int bins[CHECKINS], best = 0;

	*ret_n = 0;
	for (size_t i = 0; i < s->n; i++)
		bins[i] = size_bin(s->ring[i].up);
	for (size_t i = 0; i < s->n; i++) {
		size_t n = 0;

		for (size_t k = 0; k < s->n; k++)
			n += abs(bins[k] - bins[i]) <= 1;
		if (n > *ret_n) {
			*ret_n = n;
			best = bins[i];
		}
	}
	return best;
}

static bool test(const struct stream *s, int bin, struct regularity *ret)
{
	double gaps[CHECKINS], merge_s = fmax(1, REGULARITY_MERGE * s->median_s);
	const struct checkin *last = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct checkin *c = &s->ring[i];

		if (bin >= 0 && abs(size_bin(c->up) - bin) > 1)
			continue;
		/* From the end of one to the start of the next: the silence is what has no memory. */
		if (last)
			gaps[n++] = (double)(c->at - last->at - last->length) /
				    (NSEC_PER_SEC / UNIT_NS);
		last = c;
	}
	return regularity(gaps, n, merge_s, ret);
}

static bool of_one_flow(const struct stream *s)
{
	for (size_t i = 1; i < s->n; i++)
		if (s->ring[i].flow != s->ring[0].flow)
			return false;
	return true;
}

static void say_regular(struct detect *d, struct stream *s, const struct regularity *r, bool mode,
			size_t of_mode, uint64_t flow_id)
{
	struct pair *p = s->of->pair;
	char what[128], baseline[128], every[TIME_TEXT_MAX];
	bool one_flow = of_one_flow(s);
	int most = one_flow ? MOST_DB_ONE_FLOW : MOST_DB;
	int db = (int)lround(fmin(-2 * r->log10_p - 4, most));

	/* What nobody answers is a retry, or a log that is sent one way. */
	if (!p->down)
		db /= 2;
	if (db <= 0)
		return;
	snprintf(what, sizeof(what), "%zu %s%s every %s ± %.0f %%", r->gaps + r->breaks + 1,
		 mode ? "of its check-ins, all of one size," : "check-ins",
		 one_flow ? " down one connection" : "",
		 duration_format((uint64_t)(r->median_s * NSEC_PER_SEC), every), 100 * r->jitter);
	snprintf(baseline, sizeof(baseline), "traffic at random times this regular: p = 1e%.0f",
		 fmax(r->log10_p, -99));
	detect_evidence(d, p, E_REGULAR,
			&(struct evidence_in){ .db = db,
					       .measured = r->median_s,
					       .n = r->gaps,
					       .flow_id = flow_id,
					       .what = what,
					       .baseline = baseline });
	if (of_mode * 10 < s->n * 9UL || s->n < 12)
		return;
	snprintf(what, sizeof(what), "%zu of %u check-ins sent the same amount", of_mode, s->n);
	detect_evidence(d, p, E_ONE_SIZE,
			&(struct evidence_in){
				.measured = (double)of_mode / s->n, .n = s->n, .what = what });
}

/*
 * A sleep drawn from an exponential distribution beats every test of gaps. It keeps one rate, though, day and night, which
 * people do not: the hourly counts spread no more than chance makes them.
 */
static void say_steady(struct detect *d, struct stream *s)
{
	uint32_t hours =
		s->n ? s->ring[s->n - 1].at / (3600 * (uint32_t)(NSEC_PER_SEC / UNIT_NS)) - s->hour
		     : 0;
	double mean = 0, spread = 0;
	char what[128];

	if (hours < 24)
		return;
	for (uint32_t i = 0; i < hours; i++)
		mean += (double)s->counts[i] / hours;
	for (uint32_t i = 0; i < hours; i++)
		spread += (s->counts[i] - mean) * (s->counts[i] - mean) / hours;
	if (mean < 2 || spread > 1.5 * mean)
		return;
	snprintf(what, sizeof(what), "%.1f check-ins in each of %u hours, day and night", mean,
		 hours);
	detect_evidence(
		d, s->of->pair, E_STEADY,
		&(struct evidence_in){ .measured = spread / mean, .n = hours, .what = what });
}

static void evaluate(struct detect *d, struct stream *s, uint64_t flow_id)
{
	struct regularity all, one = { 0 };
	size_t of_mode;
	int bin = modal_bin(s, &of_mode);
	bool ok = test(s, -1, &all), mode_ok = of_mode >= 9 && of_mode < s->n && test(s, bin, &one);
	double span = (double)(s->ring[s->n - 1].at - s->ring[0].at) / (NSEC_PER_SEC / UNIT_NS);

	if (ok || s->n >= REGULARITY_LEAST)
		s->median_s = (float)all.median_s;
	if (span >= LEAST_SPAN_S) {
		if (ok && (!mode_ok || all.log10_p <= one.log10_p))
			say_regular(d, s, &all, false, of_mode, flow_id);
		else if (mode_ok)
			say_regular(d, s, &one, true, of_mode, flow_id);
	}
	say_steady(d, s);
}

static bool is_time(struct stream *s)
{
	static const uint8_t at[] = { 8, 12, 16, 24, 32, 48, 64 };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		if (s->total == at[i])
			return true;
	return s->total > 64 && s->total % 16 == 0;
}

static void checkin(struct detect *d, struct stream *s, uint64_t time_ns, uint64_t up,
		    uint64_t flow_id)
{
	uint64_t at = time_ns > s->t0_ns ? (time_ns - s->t0_ns) / UNIT_NS : 0;

	if (at >= UINT32_MAX) /* 16 months */
		return;
	if (!push(d, s, (uint32_t)at, up, (uint32_t)flow_id))
		return;
	list_del(&s->lru);
	list_push_back(&d->beacons->lru, &s->lru);
	if (is_time(s))
		evaluate(d, s, flow_id);
}

/* What keeps itself alive by design, at a fixed interval, and is recognised by its bytes. */
static bool keeps_alive(enum app_proto app)
{
	switch (app) {
	case APP_DNS:
	case APP_NTP:
	case APP_STUN:
	case APP_WIREGUARD:
	case APP_OPENVPN:
	case APP_SNMP:
	case APP_SYSLOG:
	case APP_SIP:
		return true;
	default:
		return false;
	}
}

static void data(struct detect *d, struct sighting *s, const struct flow *f, enum flow_side side,
		 uint64_t bytes, uint64_t time_ns)
{
	struct pair *p = s->pair;
	struct stream *st;

	if (side != TO_SERVER || keeps_alive(f->app) || !flow_proto_has_ports(f->key.proto))
		return;
	if (!p->beacon) {
		p->beacon = pool_get(&d->beacons->pairs);
		if (!p->beacon)
			return;
		p->beacon->pair = p;
	}
	st = find(p->beacon, f->name);
	if (!st) {
		if (f->name && p->beacon->streams && !domain_stream(d, p->beacon))
			return;
		keep_few(d, p->beacon);
		st = stream_new(d, p->beacon, f->name, time_ns);
		if (!st)
			return;
	}
	checkin(d, st, time_ns, bytes, f->id);
	/* Evidence may have cost the stream its place; the domain's is looked up anew. */
	st = f->name ? find(p->beacon, NULL) : NULL;
	if (st)
		checkin(d, st, time_ns, bytes, f->id);
}

static void plot(const struct pair *p, struct finding *f)
{
	const struct stream *most = p->beacon ? p->beacon->streams : NULL;

	for (const struct stream *s = most; s; s = s->next)
		if (s->n > most->n)
			most = s;
	f->plot.what = "seconds from one check-in to the next";
	for (size_t i = 1; most && i < most->n; i++) {
		if (most->n - i > FINDING_PLOT)
			continue;
		f->plot.at[f->plot.n++] = (float)(most->ring[i].at - most->ring[i - 1].at) /
					  (float)(NSEC_PER_SEC / UNIT_NS);
	}
}

static size_t memory(const struct detect *d)
{
	const struct beacons *b = d->beacons;

	return pool_bytes(&b->pairs) + pool_bytes(&b->streams) + pool_bytes(&b->rings);
}

const struct detector detect_beacon = {
	.name = "beacon",
	.start = start,
	.stop = stop,
	.data = data,
	.forget = forget,
	.plot = plot,
	.memory = memory,
};
