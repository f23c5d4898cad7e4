/* SPDX-License-Identifier: Apache-2.0 */
/* What the volume detector remembers across restarts: hours of the week, new peers, decayed totals. Not the last hour. */
#include <math.h>

#include "base/cleanup.h"
#include "detect/state.h"
#include "detect/volume.h"

static void save_amounts(struct state_out *o, const struct amounts *a)
{
	for (int i = 0; i < AMOUNT_BINS; i++)
		state_u64(o, a->n[i]);
}

static void load_amounts(struct state_in *in, struct amounts *a)
{
	for (int i = 0; i < AMOUNT_BINS; i++)
		a->n[i] = (uint16_t)state_get_most(in, UINT16_MAX);
}

static void save_ring(struct state_out *o, const struct hour_ring *r)
{
	state_u64(o, !!r);
	for (int c = 0; r && c < HOUR_CLASSES; c++) {
		state_u64(o, r->n[c]);
		for (int i = 0; i < r->n[c]; i++)
			state_u64(o,
				  r->at[c][(r->next[c] + HOUR_VALUES - r->n[c] + i) % HOUR_VALUES]);
	}
}

static void load_ring(struct state_in *in, struct hour_ring *r)
{
	for (int c = 0; c < HOUR_CLASSES; c++) {
		uint8_t n = (uint8_t)state_get_most(in, HOUR_VALUES);

		for (int i = 0; i < n; i++)
			r->at[c][i] = (uint16_t)state_get_most(in, UINT16_MAX);
		r->n[c] = n;
		r->next[c] = n % HOUR_VALUES;
	}
}

static void save_entity(struct state_out *o, const struct entity_volume *v)
{
	state_entity(o, v->entity);
	state_u64(o, v->hour);
	state_u64(o, v->hours);
	state_f64(o, v->total_up);
	for (int i = 0; i < OPEN_HOURS; i++)
		state_f64(o, (double)v->up[i]);
	for (int i = 0; i < 24; i++)
		state_f64(o, (double)v->entity->hours[i]);
	save_amounts(o, &v->new_peers);
	state_u64(o, v->reads_mail);
	save_ring(o, v->ring);
}

static double get_amount(struct state_in *in)
{
	double v = state_get_f64(in);

	if (!(v >= 0 && v < 1e18)) {
		in->bad = true;
		return 0;
	}
	return v;
}

static void load_entity(struct detect *d, struct state_in *in)
{
	struct entity_volume scrap = { 0 };
	struct entity none = { 0 }, *e = state_get_entity(in);
	struct entity_volume *made = e ? volume_of(d, e) : NULL, *v = made ? made : &scrap;
	struct hour_ring ring = { 0 };

	if (!e)
		e = &none;
	v->hour = (uint32_t)state_get_most(in, UINT32_MAX);
	v->hours = (uint32_t)state_get_most(in, UINT32_MAX);
	v->total_up = get_amount(in);
	for (int i = 0; i < OPEN_HOURS; i++)
		v->up[i] = (float)get_amount(in);
	for (int i = 0; i < 24; i++)
		e->hours[i] = (float)get_amount(in);
	load_amounts(in, &v->new_peers);
	v->reads_mail = state_get_most(in, 1);
	if (!state_get_most(in, 1))
		return;
	load_ring(in, &ring);
	if (made && !in->bad && volume_ring(d, made))
		*made->ring = ring;
}

static void save_pair(struct state_out *o, const struct volume_pair *v)
{
	state_pair(o, v->pair);
	state_u64(o, v->bucket);
	state_u64(o, v->day);
	for (int i = 0; i < 3; i++)
		state_f64(o, (double)v->decayed[i]);
	state_f64(o, (double)v->week_up);
	state_f64(o, (double)v->day_up);
	state_f64(o, (double)v->peak);
	state_f64(o, (double)v->peak_today);
	state_f64(o, (double)v->chunk);
	state_u64(o, v->chunks);
	state_u64(o, v->alike);
	state_u64(o, v->bin);
	state_f64(o, (double)v->cusum.mean);
	state_f64(o, (double)v->cusum.spread);
	state_f64(o, (double)v->cusum.s);
	state_u64(o, v->cusum.days);
}

static void load_pair(struct detect *d, struct state_in *in)
{
	struct volume_pair scrap = { 0 };
	struct pair *p = state_get_pair(in);
	struct volume_pair *v = p ? volume_pair_of(d, p) : NULL;

	if (!v)
		v = &scrap;
	v->bucket = (uint32_t)state_get_most(in, UINT32_MAX);
	v->day = (uint32_t)state_get_most(in, UINT32_MAX);
	for (int i = 0; i < 3; i++)
		v->decayed[i] = (float)get_amount(in);
	v->week_up = (float)get_amount(in);
	v->day_up = (float)get_amount(in);
	v->peak = (float)get_amount(in);
	v->peak_today = (float)get_amount(in);
	v->chunk = (float)get_amount(in);
	v->chunks = (uint16_t)state_get_most(in, UINT16_MAX);
	v->alike = (uint16_t)state_get_most(in, UINT16_MAX);
	v->bin = (uint8_t)state_get_most(in, AMOUNT_BINS);
	v->cusum.mean = (float)get_amount(in);
	v->cusum.spread = (float)get_amount(in);
	v->cusum.s = (float)get_amount(in);
	v->cusum.days = (uint16_t)state_get_most(in, UINT16_MAX);
}

void volume_save(struct detect *d, struct state_out *o)
{
	uint64_t n = 0;

	save_amounts(o, &d->volumes->new_peers);
	for (int i = 0; i < PROGRAM_CLASSES; i++)
		state_u64(o, d->volumes->used[i]);
	list_for_each(it, &d->entity_lru)
		n += !!container_of(it, struct entity, lru)->volume;
	state_u64(o, n);
	list_for_each(it, &d->entity_lru)
		if (container_of(it, struct entity, lru)->volume)
			save_entity(o, container_of(it, struct entity, lru)->volume);
	state_u64(o, d->volumes->pairs.used);
	list_for_each(it, &d->volumes->pair_lru)
		save_pair(o, container_of(it, struct volume_pair, lru));
}

int volume_load(struct detect *d, struct state_in *in)
{
	uint64_t n;

	load_amounts(in, &d->volumes->new_peers);
	for (int i = 0; i < PROGRAM_CLASSES; i++)
		d->volumes->used[i] = (uint32_t)state_get_most(in, UINT32_MAX);
	n = state_get_most(in, d->volumes->entities.max);
	for (uint64_t i = 0; i < n && !in->bad; i++)
		load_entity(d, in);
	n = state_get_most(in, d->volumes->pairs.max);
	for (uint64_t i = 0; i < n && !in->bad; i++)
		load_pair(d, in);
	return 0;
}
