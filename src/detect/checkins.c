/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/checkins.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/state.h"

#define MAX_STREAMS 131072
#define MAX_RINGS 16384
#define NAMES_A_PAIR 8
#define CANDIDATES 8
#define EARLIER_NS (3600 * NSEC_PER_SEC) /* what a log may tell late */
#define UNITS_AN_HOUR (3600 * (uint32_t)(NSEC_PER_SEC / CHECKIN_UNIT_NS))
#define MERGE_UNITS ((uint32_t)(CHECKIN_MERGE_NS / CHECKIN_UNIT_NS))

int checkins_new(struct detect *d)
{
	struct beacons *b = d->beacons = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	pool_init(&b->pairs, sizeof(struct beacon_pair), MAX(d->pairs.max, (size_t)MAX_STREAMS));
	pool_init(&b->streams, sizeof(struct checkins), MAX_STREAMS);
	pool_init(&b->rings, sizeof(struct checkin[CHECKINS]), MAX_RINGS);
	list_init(&b->plain);
	list_init(&b->ringed);
	return 0;
}

void checkins_free(struct detect *d)
{
	struct beacons *b = d->beacons;

	if (!b)
		return;
	for (struct list *heads[] = { &b->plain, &b->ringed }, **h = heads; h < heads + 2; h++)
		list_for_each(it, *h)
			intern_put(d->cfg.texts, container_of(it, struct checkins, lru)->name);
	pool_done(&b->pairs);
	pool_done(&b->streams);
	pool_done(&b->rings);
	free(b);
	d->beacons = NULL;
}

static void let_go(struct detect *d, struct checkins *s)
{
	struct checkins **at = &s->of->named;

	if (s->of->all == s) {
		s->of->all = NULL;
	} else {
		while (*at != s)
			at = &(*at)->next;
		*at = s->next;
	}
	list_del(&s->lru);
	if (s->ring != s->first)
		pool_put(&d->beacons->rings, s->ring);
	intern_put(d->cfg.texts, s->name);
	pool_put(&d->beacons->streams, s);
}

void checkins_forget(struct detect *d, struct pair *p)
{
	struct beacon_pair *of = p->beacon;

	if (!of || !d->beacons)
		return;
	while (of->named)
		let_go(d, of->named);
	if (of->all)
		let_go(d, of->all);
	pool_put(&d->beacons->pairs, of);
	p->beacon = NULL;
}

static void touch(struct detect *d, struct checkins *s)
{
	list_del(&s->lru);
	list_push_back(s->ring == s->first ? &d->beacons->plain : &d->beacons->ringed, &s->lru);
}

/* Of the idlest few the one with the fewest check-ins; never one of `but`, which is being worked at. */
static void evict(struct detect *d, struct list *from, const struct beacon_pair *but)
{
	struct checkins *worst = NULL;
	int seen = 0;

	for (struct list *it = from->next; it != from && seen < CANDIDATES + NAMES_A_PAIR + 1;
	     seen++) {
		struct checkins *s = container_of(it, struct checkins, lru);

		it = it->next;
		if (s->of != but && (!worst || s->total < worst->total))
			worst = s;
	}
	if (!worst)
		return;
	/* Those that were spared for what they are worth are not asked again and again. */
	for (struct list *it = from->next; seen-- > 0;) {
		struct checkins *s = container_of(it, struct checkins, lru);

		it = it->next;
		if (s->total > worst->total)
			touch(d, s);
	}
	let_go(d, worst);
	d->beacons->evicted++;
}

static struct checkins *make(struct detect *d, struct beacon_pair *of, struct text *name,
			     uint64_t t0_ns)
{
	struct beacons *b = d->beacons;
	struct checkins *s;

	if (b->streams.used >= b->streams.max)
		evict(d, list_empty(&b->plain) ? &b->ringed : &b->plain, of);
	s = pool_get(&b->streams);
	if (!s) {
		b->evicted++;
		return NULL;
	}
	s->of = of;
	s->name = text_ref(name);
	s->t0_ns = t0_ns - MIN(t0_ns, EARLIER_NS);
	s->hour = EARLIER_NS / (3600 * NSEC_PER_SEC);
	s->ring = s->first;
	list_init(&s->lru);
	list_push_back(&b->plain, &s->lru);
	return s;
}

static bool grow(struct detect *d, struct checkins *s)
{
	struct beacons *b = d->beacons;
	struct checkin *ring;

	if (b->rings.used >= b->rings.max)
		evict(d, &b->ringed, s->of);
	ring = pool_get(&b->rings);
	if (!ring)
		return false;
	memcpy(ring, s->first, s->n * sizeof(*ring));
	s->ring = ring;
	touch(d, s);
	return true;
}

static size_t room(const struct checkins *s)
{
	return s->ring == s->first ? FIRST_CHECKINS : CHECKINS;
}

/* The stream of all names begins as a copy of the one that there was. */
static void begin_all(struct detect *d, struct beacon_pair *of)
{
	struct checkins *one = of->named, *all = make(d, of, NULL, one->t0_ns);
	size_t from = 0;

	if (!all)
		return;
	of->all = all;
	all->t0_ns = one->t0_ns;
	checkins_settle(one);
	if (one->ring != one->first && !grow(d, all))
		from = one->n - MIN(one->n, (size_t)FIRST_CHECKINS);
	memcpy(all->ring, one->ring + from, (one->n - from) * sizeof(*one->ring));
	all->n = (uint16_t)(one->n - from);
	all->begun_ns = one->begun_ns;
	all->until_ns = one->until_ns;
	all->up = one->up;
	all->total = one->total;
	all->hour = one->hour;
	memcpy(all->counts, one->counts, sizeof(all->counts));
}

/* The least used one makes room; a program that uses many names of a domain is seen by the stream of all. */
static void keep_few(struct detect *d, struct beacon_pair *of)
{
	struct checkins *worst = NULL;
	size_t n = 0;

	for (struct checkins *s = of->named; s; s = s->next, n++)
		if (!worst || s->total <= worst->total)
			worst = s;
	if (n >= NAMES_A_PAIR)
		let_go(d, worst);
}

static struct checkins *find_named(struct beacon_pair *of, const struct text *name)
{
	struct checkins **at = &of->named, *s = *at;

	while (s && s->name != name) {
		at = &s->next;
		s = *at;
	}
	if (s && s != of->named) {
		*at = s->next;
		s->next = of->named;
		of->named = s;
	}
	return s;
}

struct checkins *checkins_of(struct detect *d, struct pair *p, struct text *name, uint64_t time_ns)
{
	struct beacon_pair *of = p->beacon;
	struct checkins *s;

	if (!of) {
		of = p->beacon = pool_get(&d->beacons->pairs);
		if (!of) {
			d->beacons->evicted++;
			return NULL;
		}
		of->pair = p;
	}
	s = name ? find_named(of, name) : of->all;
	if (s)
		return s;
	if (name && of->named && !of->all)
		begin_all(d, of);
	if (name)
		keep_few(d, of);
	s = make(d, of, name, time_ns);
	if (!s)
		return NULL;
	if (!name)
		return of->all = s;
	s->next = of->named;
	return of->named = s;
}

/* --- check-ins ------------------------------------------------------------------------------------------------------ */

static uint16_t size_of(uint64_t up)
{
	return (uint16_t)MIN(lround(SIZES_AN_OCTAVE * log2((double)up + 1)), (long)UINT16_MAX);
}

static uint64_t size_up(uint16_t size)
{
	return (uint64_t)llround(exp2((double)size / SIZES_AN_OCTAVE) - 1);
}

void checkins_settle(struct checkins *s)
{
	struct checkin *last = s->n ? &s->ring[s->n - 1] : NULL;
	uint64_t end_ns = s->until_ns - CHECKIN_MERGE_NS;

	if (!last || !s->until_ns)
		return;
	last->size = size_of(s->up);
	if (end_ns > s->t0_ns) {
		uint64_t end = (end_ns - s->t0_ns) / CHECKIN_UNIT_NS;

		end = MIN(end, (uint64_t)UINT32_MAX);
		last->end = MAX(last->end, (uint32_t)end);
	}
}

static void count_hour(struct checkins *s, uint32_t at)
{
	uint32_t hour = at / UNITS_AN_HOUR;

	if (hour >= s->hour + STREAM_HOURS) {
		uint32_t by = MIN(hour - s->hour - STREAM_HOURS + 1, (uint32_t)STREAM_HOURS);

		memmove(s->counts, s->counts + by, (STREAM_HOURS - by) * sizeof(*s->counts));
		memset(s->counts + STREAM_HOURS - by, 0, by * sizeof(*s->counts));
		s->hour = hour - STREAM_HOURS + 1;
	}
	if (hour >= s->hour && s->counts[hour - s->hour] < UINT16_MAX)
		s->counts[hour - s->hour]++;
}

/* One more at the end of the ring; the oldest goes when it is full. */
static struct checkin *make_room(struct detect *d, struct checkins *s, size_t *i)
{
	if (s->n == room(s) && (s->ring != s->first || !grow(d, s))) {
		if (!*i)
			return NULL; /* older than all that is kept */
		memmove(s->ring, s->ring + 1, (s->n - 1U) * sizeof(*s->ring));
		s->n--;
		--*i;
	}
	memmove(s->ring + *i + 1, s->ring + *i, (s->n - *i) * sizeof(*s->ring));
	s->n++;
	s->total++;
	return &s->ring[*i];
}

/* Of a log, or of a flow whose name came late: it belongs before what is there already. */
static bool put_earlier(struct detect *d, struct checkins *s, uint32_t at, uint64_t up,
			uint16_t port)
{
	struct checkin *c = s->ring;
	size_t i = s->n;

	checkins_settle(s);
	while (i && c[i - 1].at > at)
		i--;
	if (i && at < (uint64_t)c[i - 1].end + MERGE_UNITS) {
		c[i - 1].end = MAX(c[i - 1].end, at);
		c[i - 1].size = size_of(size_up(c[i - 1].size) + up);
	} else if (i < s->n && c[i].at - at < MERGE_UNITS) {
		c[i].at = at;
		c[i].size = size_of(size_up(c[i].size) + up);
	} else {
		c = make_room(d, s, &i);
		if (!c)
			return false;
		*c = (struct checkin){ at, at, size_of(up), port };
		count_hour(s, at);
		return true;
	}
	if (i >= (size_t)s->n - 1)
		s->up += up;
	return false;
}

bool checkins_put(struct detect *d, struct checkins *s, uint64_t time_ns, uint64_t up,
		  uint16_t port)
{
	uint64_t at = time_ns > s->t0_ns ? (time_ns - s->t0_ns) / CHECKIN_UNIT_NS : 0;
	size_t i = s->n;
	struct checkin *c;

	if (checkin_goes_on(s, time_ns, up))
		return false;
	if (at >= UINT32_MAX - UNITS_AN_HOUR) { /* 16 months */
		s->t0_ns = time_ns;
		s->n = 0;
		s->hour = 0;
		memset(s->counts, 0, sizeof(s->counts));
		i = at = 0;
	}
	if (time_ns < s->begun_ns)
		return put_earlier(d, s, (uint32_t)at, up, port);
	checkins_settle(s);
	c = make_room(d, s, &i);
	if (!c)
		return false;
	*c = (struct checkin){ (uint32_t)at, (uint32_t)at, 0, port };
	s->begun_ns = time_ns;
	s->until_ns = time_ns + CHECKIN_MERGE_NS;
	s->up = up;
	count_hour(s, (uint32_t)at);
	touch(d, s);
	return true;
}

/* --- the state file ------------------------------------------------------------------------------------------------- */

static void save_stream(struct state_out *o, struct checkins *s)
{
	uint32_t last = 0;

	checkins_settle(s);
	state_text(o, s->name);
	state_u64(o, s->t0_ns);
	state_u64(o, s->begun_ns);
	state_u64(o, s->until_ns);
	state_u64(o, s->up);
	state_u64(o, s->total);
	state_f64(o, (double)s->log10_p);
	state_u64(o, s->hour);
	for (int i = 0; i < STREAM_HOURS; i++)
		state_u64(o, s->counts[i]);
	state_u64(o, s->n);
	for (uint16_t i = 0; i < s->n; i++) {
		state_u64(o, s->ring[i].at - last);
		state_u64(o, s->ring[i].end - s->ring[i].at);
		state_u64(o, s->ring[i].size);
		state_u64(o, s->ring[i].port);
		last = s->ring[i].at;
	}
}

/* What came once is not worth its bytes. */
static bool is_kept(const struct checkins *s)
{
	return s && s->n >= 2;
}

void checkins_save(struct detect *d, struct state_out *o)
{
	list_for_each(it, &d->pair_lru) {
		const struct pair *p = container_of(it, struct pair, lru);
		size_t n = 0;

		if (!p->beacon)
			continue;
		for (struct checkins *s = p->beacon->named; s; s = s->next)
			n += is_kept(s);
		n += is_kept(p->beacon->all);
		if (!n)
			continue;
		state_u64(o, n);
		state_pair(o, p);
		if (is_kept(p->beacon->all))
			save_stream(o, p->beacon->all);
		for (struct checkins *s = p->beacon->named; s; s = s->next)
			if (is_kept(s))
				save_stream(o, s);
	}
	state_u64(o, 0);
}

static void load_checkins(struct detect *d, struct state_in *in, struct checkins *s)
{
	uint64_t n = state_get_most(in, CHECKINS), at = 0;
	bool fits = s && (n <= room(s) || (s->ring == s->first && grow(d, s)));

	for (uint64_t i = 0; i < n && !in->bad; i++) {
		struct checkin c;

		at += state_get_most(in, UINT32_MAX - at);
		c.at = (uint32_t)at;
		c.end = (uint32_t)(at + state_get_most(in, UINT32_MAX - at));
		c.size = (uint16_t)state_get_most(in, UINT16_MAX);
		c.port = (uint16_t)state_get_most(in, UINT16_MAX);
		if (fits && !in->bad)
			s->ring[s->n++] = c;
	}
	if (s && (in->bad || !s->n))
		let_go(d, s);
}

static void load_stream(struct detect *d, struct state_in *in, struct pair *p)
{
	struct text *name = state_get_text(in);
	uint64_t t0 = state_get_u64(in);
	struct checkins *s = p && !in->bad ? checkins_of(d, p, name, t0) : NULL;
	struct checkins none = { 0 }, *to = s ? s : &none;

	intern_put(d->cfg.texts, name);
	to->t0_ns = t0;
	to->begun_ns = state_get_u64(in);
	to->until_ns = state_get_u64(in);
	to->up = state_get_u64(in);
	to->total = state_get_u64(in);
	to->log10_p = (float)state_get_f64(in);
	to->hour = (uint32_t)state_get_most(in, UINT32_MAX - STREAM_HOURS);
	for (int i = 0; i < STREAM_HOURS; i++)
		to->counts[i] = (uint16_t)state_get_most(in, UINT16_MAX);
	if (!(to->log10_p <= 0))
		to->log10_p = 0;
	to->n = 0;
	load_checkins(d, in, s);
}

int checkins_load(struct detect *d, struct state_in *in)
{
	uint64_t n;

	while ((n = state_get_most(in, NAMES_A_PAIR + 1))) {
		struct pair *p = state_get_pair(in);

		for (uint64_t i = 0; i < n && !in->bad; i++)
			load_stream(d, in, p);
	}
	return 0;
}
