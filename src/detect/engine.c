/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From flows to pairs: which entity talks to which peer, once that can be told, and on to the detectors. Payload that moves
 * before the name is known (a ClientHello in pieces) is counted and told with the first that comes after.
 */
#include "detect/engine.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/time.h"
#include "detect/prevalence.h"

#define MAX_SIGHTINGS 262144
/* A name that has not come by then does not come any more: what the decoders look at is over. */
#define SETTLE_BYTES 16384
#define SETTLE_NS (2 * NSEC_PER_SEC)
#define BEAT_NS (NSEC_PER_SEC / 10)
#define SMALL_BURST 128 /* payload of a key stroke, a command, a prompt */

static bool is_settled(const struct flow *f, const struct sighting *s, uint64_t now_ns)
{
	if (f->name_source == NAME_SNI || f->name_source == NAME_QUIC ||
	    f->name_source == NAME_HTTP)
		return true;
	switch (f->app) {
	case APP_UNDECIDED:
	case APP_HTTP:
	case APP_QUIC:
		break;
	case APP_TLS:
		if (f->ja3 || f->ja4)
			return true; /* a hello without a name */
		break;
	default:
		return true;
	}
	return s->up + s->down >= SETTLE_BYTES || now_ns - s->first_up_ns >= SETTLE_NS;
}

/* What only ever speaks to its own network, or to nobody in particular. */
static bool is_housekeeping(enum app_proto app)
{
	switch (app) {
	case APP_MDNS:
	case APP_LLMNR:
	case APP_DHCP:
	case APP_NETBIOS:
	case APP_SSDP:
		return true;
	default:
		return false;
	}
}

bool detect_leaves(const struct flow *f)
{
	enum addr_class to = addr_class(&f->key.dst);

	if (f->direction == FLOW_REPLY || f->direction == FLOW_INGRESS)
		return false;
	return to != ADDR_LOOPBACK && to != ADDR_MULTICAST && !addr_is_unset(&f->key.dst) &&
	       !is_housekeeping(f->app);
}

static struct sighting *sighting_of(struct detect *d, struct flow *f)
{
	struct sighting *s = f->watched;

	if (!s) {
		s = f->watched = pool_get(&d->sightings);
		if (!s)
			d->stats.no_room++;
	}
	return s;
}

/* From the first of all events on: what comes before the first tick is no older than the site. */
static void advance(struct detect *d, uint64_t time_ns)
{
	if (time_ns > d->now_ns)
		d->now_ns = time_ns;
	if (!d->started_ns)
		d->started_ns = d->now_ns;
}

static void resolve(struct detect *d, struct sighting *s, const struct flow *f)
{
	s->resolved = true;
	s->pair = detect_leaves(f) ? pair_of_flow(d, f) : NULL;
	s->ignored = !s->pair;
	for (const struct detector *const *det = detectors; s->ignored && *det; det++)
		if ((*det)->aside)
			(*det)->aside(d, f);
	if (!s->pair)
		return;
	s->pair->watching++;
	s->pair->flows++;
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->flow)
			(*det)->flow(d, s, f);
}

static void tell_data(struct detect *d, struct sighting *s, const struct flow *f,
		      enum flow_side side, uint64_t bytes, uint64_t time_ns)
{
	struct pair *p = s->pair;

	*(side == TO_SERVER ? &p->up : &p->down) += bytes;
	pair_touch(d, p, f);
	for (const struct detector *const *det = d->on_data; *det; det++)
		(*det)->data(d, s, f, side, bytes, time_ns);
}

/* Runs of one side's payload, as a conversation has them; what a person types comes as small ones in turn. */
static void count_bursts(struct sighting *s, enum flow_side side, uint64_t bytes)
{
	if (s->up + s->down == 0 || s->last_side != side) {
		s->bursts[side]++;
		if (bytes < SMALL_BURST) {
			s->small[side]++;
			s->answered += side == TO_CLIENT && s->bursts[TO_SERVER] > 0;
		}
	}
	s->last_side = (uint8_t)side;
}

/* All that has moved so far, at the time when it began. */
static void tell_all(struct detect *d, struct sighting *s, const struct flow *f, uint64_t time_ns)
{
	s->told = true;
	if (s->up)
		tell_data(d, s, f, TO_SERVER, s->up, s->first_up_ns);
	if (s->down)
		tell_data(d, s, f, TO_CLIENT, s->down, time_ns);
}

static void on_data(void *ctx, struct flow *f, enum flow_side side, uint64_t bytes,
		    uint64_t time_ns)
{
	struct detect *d = ctx;
	struct sighting *s = sighting_of(d, f);

	advance(d, time_ns);
	if (!s || s->ignored)
		return;
	count_bursts(s, side, bytes);
	if (!s->first_up_ns)
		s->first_up_ns = time_ns;
	*(side == TO_SERVER ? &s->up : &s->down) += bytes;
	if (s->told) {
		if (side == TO_SERVER)
			s->last_up_ns = time_ns;
		tell_data(d, s, f, side, bytes, time_ns);
		return;
	}
	if (!s->resolved && is_settled(f, s, time_ns))
		resolve(d, s, f);
	if (!s->pair)
		return;
	tell_all(d, s, f, time_ns);
	s->last_up_ns = side == TO_SERVER ? time_ns : s->first_up_ns;
}

static void on_open(void *ctx, struct flow *f)
{
	struct detect *d = ctx;

	advance(d, f->last_ns);
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->open)
			(*det)->open(d, f);
}

static void on_exec(void *ctx, struct proc *p, uint64_t time_ns)
{
	struct detect *d = ctx;

	advance(d, time_ns);
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->exec)
			(*det)->exec(d, p);
}

struct flow_watch detect_watch(struct detect *d)
{
	return (struct flow_watch){
		.on_data = on_data, .on_open = on_open, .on_exec = on_exec, .ctx = d
	};
}

void detect_set_flows(struct detect *d, struct flow_table *t)
{
	d->flows = t;
}

/* A flow that came whole (a log), or ended before its name was known. */
static void settle_at_end(struct detect *d, struct sighting *s, const struct flow *f)
{
	bool whole = !s->up && !s->down;
	uint64_t up = whole ? f->half[TO_SERVER].payload : s->up;
	uint64_t down = whole ? f->half[TO_CLIENT].payload : s->down;

	if (!s->first_up_ns)
		s->first_up_ns = f->start_ns;
	if (!s->resolved)
		resolve(d, s, f);
	if (!s->pair)
		return;
	s->up = up;
	s->down = down;
	tell_all(d, s, f, f->last_ns);
}

static void flow_reported(struct detect *d, const struct record *r)
{
	struct flow *f = (struct flow *)r->flow; /* `watched` is ours, whatever else is not */
	struct sighting *s = sighting_of(d, f);

	if (!s)
		return;
	if (!s->told && !s->ignored && r->flow_ends)
		settle_at_end(d, s, f);
	if (s->pair) {
		pair_touch(d, s->pair, f);
		for (const struct detector *const *det = detectors; *det; det++)
			if ((*det)->report)
				(*det)->report(d, s, f, r->flow_ends);
	}
	if (!r->flow_ends)
		return;
	if (s->pair)
		pair_leave(d, s->pair);
	f->watched = NULL;
	pool_put(&d->sightings, s);
}

/* What is told before the payload that it stands in: the name is known by then, or will not come. */
static bool names_itself(enum record_type type)
{
	return type == RECORD_TLS || type == RECORD_QUIC || type == RECORD_HTTP ||
	       type == RECORD_SMTP || type == RECORD_SSH;
}

void detect_record(struct detect *d, const struct record *r)
{
	struct sighting *s;

	if (r->type == RECORD_STATS || r->type == RECORD_FINDING || r->type == RECORD_POLICY)
		return;
	detect_tick(d, r->time_ns);
	if (r->type == RECORD_FLOW) {
		for (const struct detector *const *det = detectors; r->flow_ends && *det; det++)
			if ((*det)->over)
				(*det)->over(d, r->flow);
		flow_reported(d, r);
		return;
	}
	s = r->flow ? sighting_of(d, (struct flow *)r->flow) : NULL;
	if (s && !s->resolved && names_itself(r->type))
		resolve(d, s, r->flow);
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->record)
			(*det)->record(d, s, r);
}

void detect_tick(struct detect *d, uint64_t now_ns)
{
	advance(d, now_ns);
	if (d->started_ns > d->now_ns)
		d->started_ns = d->now_ns; /* the clock was set back since it was written down */
	if (d->now_ns < d->next_minute_ns)
		return;
	d->next_minute_ns = d->now_ns + 60 * NSEC_PER_SEC;
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->tick)
			(*det)->tick(d);
	cases_tick(d);
}

void detect_beat(struct detect *d, uint64_t now_ns)
{
	advance(d, now_ns);
	if (d->now_ns < d->next_beat_ns)
		return;
	d->next_beat_ns = d->now_ns + BEAT_NS;
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->beat)
			(*det)->beat(d);
}

void detect_stats(const struct detect *d, struct detect_stats *ret)
{
	*ret = d->stats;
	ret->entities = d->entities.used;
	ret->peers = d->peers.used;
	ret->pairs = d->pairs.used;
	ret->dossiers = d->dossiers.used;
	ret->warming = detect_warming(d);
	ret->warm_until_ns = ret->warming ? d->started_ns + detect_learns_ns(d) : 0;
	ret->memory_bytes = pool_bytes(&d->entities) + pool_bytes(&d->peers) +
			    pool_bytes(&d->pairs) + pool_bytes(&d->sightings) +
			    pool_bytes(&d->dossiers) + pool_bytes(&d->evidence);
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->memory)
			ret->memory_bytes += (*det)->memory(d);
}

void detect_finish(struct detect *d, uint64_t now_ns)
{
	d->next_minute_ns = 0;
	detect_tick(d, now_ns);
	cases_finish(d);
}

struct detect *detect_free(struct detect *d)
{
	if (!d)
		return NULL;
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->stop)
			(*det)->stop(d);
	cases_free(d);
	exceptions_free(d);
	prevalence_free(d->prevalence);
	tables_free(d);
	pool_done(&d->dossiers);
	pool_done(&d->evidence);
	pool_done(&d->sightings);
	free(d);
	return NULL;
}

int detect_new(struct detect **ret, const struct detect_config *cfg, struct finding_out out)
{
	struct detect *d = calloc(1, sizeof(*d));
	size_t on_data = 0;
	int r;

	if (!d)
		return -ENOMEM;
	d->cfg = *cfg;
	d->out = out;
	d->seed = hash_random_seed();
	pool_init(&d->sightings, sizeof(struct sighting), MAX_SIGHTINGS);
	r = tables_new(d);
	if (r == 0)
		r = cases_new(d);
	if (r == 0)
		r = exceptions_new(d);
	for (const struct detector *const *det = detectors; r == 0 && *det; det++) {
		if ((*det)->data) {
			assert(on_data < DETECTORS_MAX - 1);
			d->on_data[on_data++] = *det;
		}
		r = (*det)->start ? (*det)->start(d) : 0;
	}
	if (r < 0) {
		detect_free(d);
		return r;
	}
	*ret = d;
	return 0;
}
