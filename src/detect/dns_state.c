/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a restart must not forget: the day and the week of each zone that has them, and the key of the hashes by which names are
 * known again.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "detect/dns_watch.h"
#include "detect/popular.h"
#include "detect/state.h"

static int by_id(const void *a, const void *b)
{
	const struct entity *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* Entities that are still known, by id. */
static struct entity **entities_by_id(struct detect *d, size_t *ret_n)
{
	struct entity **all = calloc(d->entities.used + 1, sizeof(struct entity *));
	size_t n = 0;

	if (!all)
		return NULL;
	list_for_each(it, &d->entity_lru)
		all[n++] = container_of(it, struct entity, lru);
	qsort(all, n, sizeof(*all), by_id);
	*ret_n = n;
	return all;
}

static const struct entity *find(struct entity **all, size_t n, uint32_t id)
{
	struct entity like = { .id = id }, *key = &like;
	struct entity **at = bsearch(&key, all, n, sizeof(*all), by_id);

	return at ? *at : NULL;
}

static void save_window(struct state_out *o, const struct dns_window *w)
{
	state_u64(o, w->start_s);
	state_u64(o, w->asked);
	state_f64(o, (double)w->names.below);
	state_u64(o, w->names.n);
	for (int i = 0; i < w->names.n; i++) {
		state_u64(o, w->names.hash[i]);
		state_u64(o, w->names.bytes[i]);
		state_u64(o, w->names.traits[i]);
	}
}

static void load_window(struct state_in *in, struct dns_window *w)
{
	dns_sample_clear(&w->names);
	w->start_s = (uint32_t)state_get_most(in, UINT32_MAX);
	w->asked = (uint32_t)state_get_most(in, UINT32_MAX);
	w->names.below = (float)state_get_f64(in);
	w->names.n = (uint8_t)state_get_most(in, DNS_SAMPLE);
	for (int i = 0; i < w->names.n; i++) {
		w->names.hash[i] = (uint32_t)state_get_most(in, UINT32_MAX);
		w->names.bytes[i] = (uint8_t)state_get_most(in, UINT8_MAX);
		w->names.traits[i] = (uint8_t)state_get_most(in, UINT8_MAX);
	}
	if (in->bad)
		dns_sample_clear(&w->names);
}

void dns_save(struct detect *d, struct state_out *o)
{
	struct zones *z = &d->dns->zones;
	_cleanup_free_ struct entity **all = NULL;
	size_t n_all = 0;
	uint64_t n = 0;

	state_u64(o, d->dns->seed);
	all = entities_by_id(d, &n_all);
	list_for_each(it, &z->more_lru)
		n += find(all, n_all, container_of(it, struct zone_long, lru)->zone->entity_id) !=
		     NULL;
	state_u64(o, n);
	list_for_each(it, &z->more_lru) {
		const struct zone_long *m = container_of(it, struct zone_long, lru);
		const struct zone *zone = m->zone;
		const struct entity *e = find(all, n_all, zone->entity_id);

		if (!e)
			continue;
		state_entity(o, e);
		state_u64(o, zone->hash);
		state_text(o, zone->domain);
		state_addr(o, &zone->server);
		state_u64(o, zone->is_public);
		state_u64(o, zone->first_s);
		state_u64(o, zone->last_s);
		state_u64(o, zone->bytes);
		save_window(o, &m->day);
		save_window(o, &m->week);
	}
}

static void load_zone(struct detect *d, struct state_in *in)
{
	struct zones *z = &d->dns->zones;
	struct entity *e = state_get_entity(in);
	uint64_t hash = state_get_u64(in);
	struct str domain = state_get_str(in);
	struct zone like = { 0 }, *zone;
	struct dns_window day, week;

	state_get_addr(in, &like.server);
	like.is_public = state_get_most(in, 1);
	like.first_s = (uint32_t)state_get_most(in, UINT32_MAX);
	like.last_s = (uint32_t)state_get_most(in, UINT32_MAX);
	like.bytes = (uint32_t)state_get_most(in, UINT32_MAX);
	load_window(in, &day);
	load_window(in, &week);
	if (in->bad || !e)
		return;
	zone = zones_get(z, hash, e->id, domain, like.last_s);
	if (!zone || !zone_names_get(z, zone, like.last_s) || !zone_long_get(z, zone, like.last_s))
		return;
	zone->server = like.server;
	zone->is_public = like.is_public;
	zone->fame = like.is_public ? (uint8_t)detect_fame(d, domain) : FAME_NONE;
	zone->allow = domain.n ? dns_allow_find(domain) : NULL;
	zone->first_s = like.first_s;
	zone->bytes = like.bytes;
	zone->names->more->day = day;
	zone->names->more->week = week;
}

int dns_load(struct detect *d, struct state_in *in)
{
	uint64_t n;

	d->dns->seed = state_get_u64(in);
	n = state_get_most(in, d->dns->zones.more.max);
	for (uint64_t i = 0; i < n && !in->bad; i++)
		load_zone(d, in);
	return in->bad ? -EBADMSG : 0;
}
