/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/owners.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "policy/ranges.h"

#define SETS_MAX 65536 /* of owners that hold one address */
#define SET_ITEMS_MAX (1U << 22)

struct stretch {
	struct addr from; /* to the next one's */
	uint32_t owner;
};

struct owners {
	struct ranges ranges; /* until they are sealed */
	struct sets *sets;
	struct stretch *at;
	size_t n, cap;
};

int owners_new(struct owners **ret)
{
	struct owners *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->ranges.wide = true;
	*ret = o;
	return 0;
}

struct owners *owners_free(struct owners *o)
{
	if (!o)
		return NULL;
	ranges_done(&o->ranges);
	sets_free(o->sets);
	free(o->at);
	free(o);
	return NULL;
}

static u128 number_of(const struct addr *a)
{
	u128 x = 0;

	for (int i = 0; i < 16; i++)
		x = x << 8 | a->b[i];
	return x;
}

int owners_add(struct owners *o, uint32_t owner, const struct addr *lo, const struct addr *hi)
{
	struct addr a = *lo, b = *hi;

	if (addr_is_nat64(lo) && addr_is_nat64(hi)) {
		a = addr_reached(lo);
		b = addr_reached(hi);
	}
	return ranges_add(&o->ranges, owner, number_of(&a), number_of(&b));
}

static int on_stretch(void *ctx, u128 from, uint32_t set)
{
	struct owners *o = ctx;
	size_t n;
	const uint32_t *items = sets_get(o->sets, set, &n);
	uint32_t owner = n ? items[0] : OWNERS_NONE;
	struct stretch *to;

	if (o->n && o->at[o->n - 1].owner == owner)
		return 0;
	if (o->n == o->cap) {
		o->cap = o->cap ? o->cap + o->cap / 2 : 64;
		to = realloc(o->at, o->cap * sizeof(*to));
		if (!to)
			return -ENOMEM;
		o->at = to;
	}
	to = &o->at[o->n++];
	to->owner = owner;
	for (int i = 15; i >= 0; i--, from >>= 8)
		to->from.b[i] = (uint8_t)from;
	return 0;
}

int owners_seal(struct owners *o)
{
	int r = sets_new(&o->sets, SETS_MAX, SET_ITEMS_MAX);

	if (r == 0)
		r = ranges_sweep(&o->ranges, o->sets, on_stretch, o);
	ranges_done(&o->ranges);
	o->sets = sets_free(o->sets);
	return r;
}

uint32_t owners_find(const struct owners *o, const struct addr *a)
{
	struct addr reached = addr_reached(a);
	size_t lo = 0, hi = o->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(&o->at[mid].from, &reached, sizeof(reached)) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? o->at[lo - 1].owner : OWNERS_NONE;
}
