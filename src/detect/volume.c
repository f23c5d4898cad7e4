/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much is sent to whom. Pairs that moved 64 kB or more have twelve buckets of five minutes and totals that decay; their
 * entities have the hours of the week. A flow that came whole (a log) is spread over the time it took. Bytes of an open case
 * are not learned from.
 */
#include "detect/volume.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "detect/detectors.h"
#include "detect/dossier.h"

#define MAX_PAIRS 100000
#define MAX_ENTITIES 16384
#define MAX_RINGS 8192
#define PAIR_FLOOR 65536   /* bytes of a pair before it has state of its own */
#define RING_FLOOR 1000000 /* bytes of an entity before its hours are kept */
#define LOOK_EVERY 2e6     /* bytes sent between two looks */
#define LOOK_HOUR 10e6     /* that make an hour worth a look */
#define LOOK_WEEK 50e6     /* likewise the decayed week */
#define SPREAD_FLOOR 65536 /* a log's flow with less is told at its end */
#define SPREAD_MOST 4032   /* buckets: a fortnight */
#define PEAK_KEEP 0.97F    /* a day: half is gone after 23 */
#define CANDIDATES 8
#define DAY_NS (86400 * NSEC_PER_SEC)
#define WEEK_NS (7 * DAY_NS)

static const double half_lives[3] = { 1, 7, 30 }; /* days */

/* --- what has state ------------------------------------------------------------------------------------------------- */

bool volume_is_outside(const struct flow *f)
{
	enum addr_class to = addr_class(&f->key.dst);

	return f->direction != FLOW_REPLY && f->direction != FLOW_INGRESS &&
	       (to == ADDR_INTERNET || to == ADDR_RESERVED);
}

bool volume_is_bulk(const struct flow *f)
{
	if (f->key.proto == IPPROTO_TCP)
		return f->app != APP_BITTORRENT;
	return f->app == APP_QUIC;
}

static void drop_ring(struct detect *d, struct entity_volume *v)
{
	if (!v->ring)
		return;
	pool_put(&d->volumes->rings, v->ring);
	v->ring = NULL;
	list_del(&v->lru);
}

bool volume_ring(struct detect *d, struct entity_volume *v)
{
	struct volumes *all = d->volumes;

	if (!v->ring) {
		if (all->rings.used >= all->rings.max && !list_empty(&all->ring_lru)) {
			drop_ring(d, container_of(all->ring_lru.next, struct entity_volume, lru));
			all->evicted_rings++;
		}
		v->ring = pool_get(&all->rings);
		if (!v->ring) {
			all->no_room++;
			return false;
		}
	}
	list_del(&v->lru);
	list_push_back(&all->ring_lru, &v->lru);
	return true;
}

struct entity_volume *volume_of(struct detect *d, struct entity *e)
{
	struct entity_volume *v = e->volume;

	if (v)
		return v;
	v = e->volume = pool_get(&d->volumes->entities);
	if (!v) {
		d->volumes->no_room++;
		return NULL;
	}
	v->entity = e;
	list_init(&v->lru);
	return v;
}

static void forget_entity(struct detect *d, struct entity *e)
{
	if (!e->volume || !d->volumes)
		return;
	drop_ring(d, e->volume);
	pool_put(&d->volumes->entities, e->volume);
	e->volume = NULL;
}

static void pair_drop(struct detect *d, struct volume_pair *v)
{
	list_del(&v->lru);
	v->pair->volume = NULL;
	pool_put(&d->volumes->pairs, v);
}

static void forget(struct detect *d, struct pair *p)
{
	if (!d->volumes)
		return;
	theft_forget(p);
	if (p->volume)
		pair_drop(d, p->volume);
}

/* Of the idlest few the one that sent least. */
static void evict_pair(struct detect *d)
{
	struct volume_pair *worst = NULL;
	int seen = 0;

	list_for_each(it, &d->volumes->pair_lru) {
		struct volume_pair *v = container_of(it, struct volume_pair, lru);

		if (!worst || v->decayed[1] < worst->decayed[1])
			worst = v;
		if (++seen == CANDIDATES)
			break;
	}
	if (!worst)
		return;
	pair_drop(d, worst);
	d->volumes->evicted_pairs++;
}

struct volume_pair *volume_pair_of(struct detect *d, struct pair *p)
{
	struct volume_pair *v = p->volume;

	if (v)
		return v;
	if (d->volumes->pairs.used >= d->volumes->pairs.max)
		evict_pair(d);
	v = p->volume = pool_get(&d->volumes->pairs);
	if (!v) {
		d->volumes->no_room++;
		return NULL;
	}
	v->pair = p;
	v->bin = AMOUNT_BINS;
	list_init(&v->lru);
	list_push_back(&d->volumes->pair_lru, &v->lru);
	return v;
}

/* --- entities: hours ------------------------------------------------------------------------------------------------ */

static void close_hour(struct detect *d, struct entity_volume *v, uint32_t hour)
{
	float *up = &v->up[hour % OPEN_HOURS], *hours = v->entity->hours;
	float keep = exp2f(-1.0F / (30 * 24));

	for (int i = 0; i < 24; i++)
		hours[i] *= keep;
	hours[hour % 24] += *up;
	if (v->total_up >= RING_FLOOR && volume_ring(d, v))
		hour_ring_add(v->ring, hour, (double)*up);
	v->hours++;
	*up = 0;
}

/* Opens `hour` and closes what is now too long ago. False: `hour` is itself too long ago. */
static bool open_hour(struct detect *d, struct entity_volume *v, uint32_t hour)
{
	if (!v->hour)
		v->hour = hour;
	/* After a month's silence there is no more to learn from it. */
	if (hour > v->hour + HOUR_VALUES * 24)
		v->hour = hour - HOUR_VALUES * 24;
	while (v->hour < hour) {
		v->hour++;
		close_hour(d, v, v->hour - OPEN_HOURS);
	}
	return hour + OPEN_HOURS > v->hour;
}

static void count_inside(struct entity_volume *v, uint32_t hour, double bytes)
{
	if (hour >= v->inside_hour + INSIDE_HOURS)
		memset(v->inside, 0, sizeof(v->inside));
	while (v->inside_hour < hour && hour < v->inside_hour + INSIDE_HOURS)
		v->inside[++v->inside_hour % INSIDE_HOURS] = 0;
	v->inside_hour = MAX(v->inside_hour, hour);
	if (hour + INSIDE_HOURS > v->inside_hour)
		v->inside[hour % INSIDE_HOURS] += (float)bytes;
}

/* --- pairs: minutes, days ------------------------------------------------------------------------------------------- */

double volume_hour(const struct volume_pair *v, enum flow_side side)
{
	const float *of = side == TO_SERVER ? v->up : v->down;
	double sum = 0;

	for (int i = 0; i < BUCKETS; i++)
		sum += (double)of[i];
	return sum;
}

static void new_day(struct volume_pair *v, uint32_t day)
{
	if (v->day) {
		cusum_day(&v->cusum, (double)v->day_up);
		for (uint32_t i = v->day + 1; i < day && i < v->day + 30; i++)
			cusum_day(&v->cusum, 0);
	}
	if (v->day) {
		v->peak = fmaxf(v->peak * PEAK_KEEP, v->peak_today);
		v->peak_today = 0;
	}
	v->day = day;
	v->day_up = 0;
}

static void roll(struct volume_pair *v, uint32_t bucket)
{
	uint32_t by = bucket - v->bucket;

	for (int i = 0; i < 3; i++)
		v->decayed[i] *= (float)exp2(-(double)by / (half_lives[i] * BUCKETS_A_DAY));
	for (uint32_t i = 0; i < MIN(by, (uint32_t)BUCKETS); i++)
		v->up[(bucket - i) % BUCKETS] = v->down[(bucket - i) % BUCKETS] = 0;
	v->bucket = bucket;
	if (bucket / BUCKETS_A_DAY > v->day)
		new_day(v, bucket / BUCKETS_A_DAY);
}

/* What new peers get is learned from those that came after the first day, however long is learned: in it all
 * are new. */
static void count_new_peer(struct detect *d, struct volume_pair *v, struct entity_volume *of)
{
	unsigned bin = amount_bin((double)v->week_up);

	if (v->bin == bin || v->pair->first_ns < d->started_ns + DAY_NS)
		return;
	if (v->bin == AMOUNT_BINS) {
		/* It was counted with the smallest when it began. */
		amounts_move(&of->new_peers, 0, bin);
		amounts_move(&d->volumes->new_peers, 0, bin);
	} else {
		amounts_move(&of->new_peers, v->bin, bin);
		amounts_move(&d->volumes->new_peers, v->bin, bin);
	}
	v->bin = (uint8_t)bin;
}

static bool is_open_case(const struct pair *p)
{
	return p->dossier && p->dossier->state == CASE_OPEN;
}

static void account(struct detect *d, struct volume_pair *v, uint64_t at_ns, double up, double down,
		    uint64_t flow_id)
{
	uint32_t bucket = (uint32_t)(at_ns / BUCKET_NS), hour = bucket / BUCKETS_AN_HOUR;
	struct entity_volume *of = volume_of(d, v->pair->entity);

	if (!of)
		return;
	if (bucket > v->bucket) {
		if (v->unsaid > 0 && volume_hour(v, TO_SERVER) >= LOOK_HOUR)
			volume_look(d, v, flow_id);
		roll(v, bucket);
		list_del(&v->lru);
		list_push_back(&d->volumes->pair_lru, &v->lru);
	}
	if (bucket + BUCKETS > v->bucket) {
		v->up[bucket % BUCKETS] += (float)up;
		v->down[bucket % BUCKETS] += (float)down;
	}
	if (!(up > 0))
		return;
	v->day_up += (float)up;
	v->unsaid += (float)up;
	for (int i = 0; i < 3; i++)
		v->decayed[i] += (float)up;
	of->total_up += up;
	if (is_open_case(v->pair))
		; /* not learned from */
	else if (open_hour(d, of, hour))
		of->up[hour % OPEN_HOURS] += (float)up;
	if (at_ns < v->pair->first_ns + WEEK_NS) {
		v->week_up += (float)up;
		if (!is_open_case(v->pair))
			count_new_peer(d, v, of);
	}
	if ((double)v->unsaid >= LOOK_EVERY &&
	    (volume_hour(v, TO_SERVER) >= LOOK_HOUR || (double)v->decayed[1] >= LOOK_WEEK))
		volume_look(d, v, flow_id);
}

/* --- what the engine tells ------------------------------------------------------------------------------------------ */

static void flow_seen(struct detect *d, struct sighting *s, const struct flow *f)
{
	struct pair *p = s->pair;
	struct entity_volume *v;

	s->outside = volume_is_outside(f);
	if (!s->outside)
		return;
	v = volume_of(d, p->entity);
	if (v && p->flows == 1 && p->first_ns >= d->started_ns + DAY_NS) {
		amounts_add(&v->new_peers, 0);
		amounts_add(&d->volumes->new_peers, 0);
	}
	s->place = f->name ? peer_class_of(text_str(f->name)) : NULL;
	theft_flow(d, s, f);
}

static void data(struct detect *d, struct sighting *s, const struct flow *f, enum flow_side side,
		 uint64_t bytes, uint64_t time_ns)
{
	struct pair *p = s->pair;
	struct volume_pair *v = p->volume;
	double of_side[2] = { 0 };
	bool whole, began = !v;
	uint64_t buckets;

	if (!volume_is_bulk(f))
		return;
	if (!s->outside) {
		if (side == TO_CLIENT && bytes >= 1024 && volume_of(d, p->entity))
			count_inside(p->entity->volume,
				     (uint32_t)(time_ns / BUCKET_NS / BUCKETS_AN_HOUR),
				     (double)bytes);
		return;
	}
	if (!v) {
		if (p->up + p->down < PAIR_FLOOR)
			return;
		v = volume_pair_of(d, p);
		if (!v)
			return;
	}
	of_side[side] = (double)bytes;
	/* What passed below the floor; the other side's, too. */
	if (began) {
		of_side[TO_SERVER] = (double)p->up;
		of_side[TO_CLIENT] = (double)p->down;
	}
	whole = bytes >= SPREAD_FLOOR && bytes == f->half[side].payload &&
		f->last_ns >= f->start_ns + BUCKET_NS;
	if (!whole) {
		account(d, v, time_ns, of_side[TO_SERVER], of_side[TO_CLIENT], f->id);
		return;
	}
	buckets = (f->last_ns - f->start_ns) / BUCKET_NS + 1;
	buckets = MIN(buckets, (uint64_t)SPREAD_MOST);
	for (uint64_t i = 0; i < buckets; i++)
		account(d, v, f->last_ns - (buckets - 1 - i) * BUCKET_NS,
			of_side[TO_SERVER] / (double)buckets, of_side[TO_CLIENT] / (double)buckets,
			f->id);
}

static void report(struct detect *d, struct sighting *s, const struct flow *f, bool ends)
{
	if (!s->outside)
		return;
	if (ends && s->pair->volume && volume_is_bulk(f))
		volume_chunk(d, s->pair->volume, (double)s->up);
	if (s->place && peer_class_takes_uploads(s->place->class))
		volume_destination(d, s, f);
	theft_report(d, s, f, ends);
}

static void plot(const struct pair *p, struct finding *f)
{
	const struct volume_pair *v = p->volume;

	if (!v)
		return;
	f->plot.what = "bytes sent in five minutes";
	for (uint32_t i = 0; i < BUCKETS; i++)
		f->plot.at[f->plot.n++] = v->up[(v->bucket + 1 + i) % BUCKETS];
}

static size_t memory(const struct detect *d)
{
	return pool_bytes(&d->volumes->pairs) + pool_bytes(&d->volumes->entities) +
	       pool_bytes(&d->volumes->rings);
}

static int start(struct detect *d)
{
	struct volumes *v = d->volumes = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	list_init(&v->pair_lru);
	list_init(&v->ring_lru);
	pool_init(&v->pairs, sizeof(struct volume_pair), MAX_PAIRS);
	pool_init(&v->entities, sizeof(struct entity_volume), MAX_ENTITIES);
	pool_init(&v->rings, sizeof(struct hour_ring), MAX_RINGS);
	return 0;
}

static void stop(struct detect *d)
{
	if (!d->volumes)
		return;
	pool_done(&d->volumes->pairs);
	pool_done(&d->volumes->entities);
	pool_done(&d->volumes->rings);
	free(d->volumes);
	d->volumes = NULL;
}

const struct detector detect_volume = {
	.name = "volume",
	.start = start,
	.stop = stop,
	.flow = flow_seen,
	.data = data,
	.report = report,
	.record = theft_record,
	.plot = plot,
	.forget = forget,
	.forget_entity = forget_entity,
	.memory = memory,
	.state_version = VOLUME_STATE_VERSION,
	.save = volume_save,
	.load = volume_load,
};
