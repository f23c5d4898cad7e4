/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/nat.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/pool.h"
#include "decode/event.h"

#define BUCKETS 65536

struct ends { /* hashed as bytes: no holes */
	struct addr a, b;
	uint16_t aport, bport, proto, pad;
};
_Static_assert(sizeof(struct ends) == 40, "hashed as bytes: no holes");

struct look {
	struct ends ends;
	struct look *next; /* of the same bucket */
	uint64_t hash;
	uint8_t which; /* of the two of a binding */
};

struct binding {
	struct look look[2]; /* before, after; first, so that either leads to the binding */
	struct list by_age;
};

struct nat_table {
	struct look **buckets;
	struct list by_age;
	struct pool bindings;
	uint64_t seed, lost;
};

int nat_table_new(struct nat_table **ret, size_t max)
{
	struct nat_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->buckets = calloc(BUCKETS, sizeof(struct look *));
	if (!t->buckets) {
		free(t);
		return -ENOMEM;
	}
	list_init(&t->by_age);
	pool_init(&t->bindings, sizeof(struct binding), max);
	t->seed = hash_random_seed();
	*ret = t;
	return 0;
}

struct nat_table *nat_table_free(struct nat_table *t)
{
	if (!t)
		return NULL;
	pool_done(&t->bindings);
	free(t->buckets);
	free(t);
	return NULL;
}

static struct ends ends_of(const struct event_key *k)
{
	return (struct ends){ k->src, k->dst, k->sport, k->dport, k->proto, 0 };
}

static struct ends reversed(const struct ends *e)
{
	return (struct ends){ e->b, e->a, e->bport, e->aport, e->proto, 0 };
}

static bool ends_eq(const struct ends *a, const struct ends *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* The same whichever end comes first. */
static uint64_t hash_of(const struct nat_table *t, const struct ends *e)
{
	struct ends r = reversed(e);

	return hash_bytes(memcmp(e, &r, sizeof(r)) < 0 ? e : &r, sizeof(r), t->seed);
}

static struct look **bucket(const struct nat_table *t, uint64_t hash)
{
	return &t->buckets[hash & (BUCKETS - 1)];
}

/* The look of these ends; *ret_reversed: the other end opened it. */
static struct look *find(const struct nat_table *t, const struct ends *e, bool *ret_reversed)
{
	uint64_t hash = hash_of(t, e);
	struct ends r = reversed(e);

	for (struct look *l = *bucket(t, hash); l; l = l->next) {
		*ret_reversed = l->hash == hash && ends_eq(&l->ends, &r);
		if (*ret_reversed || (l->hash == hash && ends_eq(&l->ends, e)))
			return l;
	}
	return NULL;
}

static struct binding *binding_of(struct look *l)
{
	return container_of(l - l->which, struct binding, look);
}

static void forget(struct nat_table *t, struct binding *b)
{
	for (int i = 0; i < 2; i++) {
		struct look **at = bucket(t, b->look[i].hash);

		while (*at != &b->look[i])
			at = &(*at)->next;
		*at = b->look[i].next;
	}
	list_del(&b->by_age);
	pool_put(&t->bindings, b);
}

static void forget_ends(struct nat_table *t, const struct ends *e)
{
	bool swapped;
	struct look *l;

	while ((l = find(t, e, &swapped)))
		forget(t, binding_of(l));
}

void nat_table_add(struct nat_table *t, const struct event_key *before,
		   const struct event_key *after)
{
	struct ends ends[2] = { ends_of(before), ends_of(after) };
	struct binding *b;

	forget_ends(t, &ends[0]);
	forget_ends(t, &ends[1]);
	b = pool_get(&t->bindings);
	if (!b && !list_empty(&t->by_age)) {
		forget(t, container_of(t->by_age.next, struct binding, by_age));
		b = pool_get(&t->bindings);
		t->lost++;
	}
	if (!b) {
		t->lost++;
		return;
	}
	for (uint8_t i = 0; i < 2; i++) {
		struct look *l = &b->look[i];

		*l = (struct look){ .ends = ends[i], .which = i, .hash = hash_of(t, &ends[i]) };
		l->next = *bucket(t, l->hash);
		*bucket(t, l->hash) = l;
	}
	list_push_back(&t->by_age, &b->by_age);
}

void nat_table_del(struct nat_table *t, const struct event_key *before)
{
	struct ends e = ends_of(before);

	forget_ends(t, &e);
}

void nat_table_clear(struct nat_table *t)
{
	while (!list_empty(&t->by_age))
		forget(t, container_of(t->by_age.next, struct binding, by_age));
}

bool nat_table_find(const struct nat_table *t, const struct event_key *k, struct flow_nat *ret)
{
	struct ends e = ends_of(k), other;
	bool swapped;
	struct look *l = find(t, &e, &swapped);

	if (!l)
		return false;
	other = binding_of(l)->look[!l->which].ends;
	if (swapped)
		other = reversed(&other);
	*ret = (struct flow_nat){ .src = other.a,
				  .dst = other.b,
				  .sport = other.aport,
				  .dport = other.bport,
				  .before = l->which == 1 };
	return true;
}

size_t nat_table_count(const struct nat_table *t)
{
	return t->bindings.used;
}

uint64_t nat_table_lost(const struct nat_table *t)
{
	return t->lost;
}
