/* SPDX-License-Identifier: Apache-2.0 */
/* A direct-mapped cache: a slot taken by another address is only a slower answer. */
#include "policy/locate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "policy/geo.h"
#include "policy/owners.h"
#include "policy/policy.h"

#define SLOTS 8192 /* a power of two */

struct slot {
	struct addr addr;
	bool known;
	struct location is;
};

struct locator {
	uint64_t seed;
	struct geo *geo;
	struct owners *segments;
	struct str *names; /* of segments, by their index; into `text` */
	char *text;
	struct slot slots[SLOTS];
};

int locator_new(struct locator **ret)
{
	struct locator *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->seed = hash_random_seed();
	*ret = l;
	return 0;
}

static void forget_segments(struct locator *l)
{
	l->segments = owners_free(l->segments);
	free(TAKE_PTR(l->names));
	free(TAKE_PTR(l->text));
}

static void forget_answers(struct locator *l)
{
	for (size_t i = 0; i < SLOTS; i++)
		l->slots[i].known = false;
}

struct locator *locator_free(struct locator *l)
{
	if (!l)
		return NULL;
	forget_segments(l);
	free(l);
	return NULL;
}

void locator_set_geo(struct locator *l, struct geo *geo)
{
	l->geo = geo;
	forget_answers(l);
}

static int take_names(struct locator *l, const struct policy *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_segments; i++)
		n += p->segments[i].name.n;
	l->names = calloc(p->n_segments, sizeof(*l->names));
	l->text = malloc(n + 1);
	if (!l->names || !l->text)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < p->n_segments; i++) {
		struct str name = p->segments[i].name;

		l->names[i] = (struct str){ memcpy(l->text + n, name.p, name.n), name.n };
		n += name.n;
	}
	return 0;
}

static int take_ranges(struct locator *l, const struct policy *p)
{
	int r = owners_new(&l->segments);

	for (size_t i = 0; i < p->n_segments && r == 0; i++)
		for (size_t k = 0; k < p->segments[i].n_ranges && r == 0; k++)
			r = owners_add(l->segments, (uint32_t)i, &p->segments[i].ranges[k].lo,
				       &p->segments[i].ranges[k].hi);
	return r == 0 ? owners_seal(l->segments) : r;
}

int locator_set_policy(struct locator *l, const struct policy *p)
{
	int r;

	forget_segments(l);
	forget_answers(l);
	if (!p || !p->n_segments)
		return 0;
	r = take_names(l, p);
	if (r == 0)
		r = take_ranges(l, p);
	if (r < 0)
		forget_segments(l);
	return r;
}

static void find(struct locator *l, const struct addr *a, struct location *ret)
{
	uint32_t segment = l->segments ? owners_find(l->segments, a) : OWNERS_NONE;
	struct addr reached = addr_reached(a);
	struct geo_facts facts;

	geo_find(l->geo, &reached, &facts);
	*ret = (struct location){
		.segment = segment == OWNERS_NONE ? str_of(addr_class_name(addr_class(&reached)))
						  : l->names[segment],
		.asn = facts.asn,
		.as_org = facts.as_org,
	};
	memcpy(ret->country, facts.country, sizeof(ret->country));
}

const struct location *locator_find(struct locator *l, const struct addr *a)
{
	struct slot *s = &l->slots[hash_bytes(a, sizeof(*a), l->seed) & (SLOTS - 1)];

	if (!s->known || !addr_eq(&s->addr, a)) {
		find(l, a, &s->is);
		s->addr = *a;
		s->known = true;
	}
	return &s->is;
}
