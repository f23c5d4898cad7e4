/* SPDX-License-Identifier: Apache-2.0 */
#include "history/groups.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "store/row.h"

#define BUCKETS (1U << 16)
#define BLOCK (256U << 10)

struct block {
	struct block *next;
	size_t used, size;
	char bytes[];
};

struct groups {
	size_t n_keys, n;
	struct group *buckets[BUCKETS];
	struct group *others; /* NULL: there was room for all */
	struct group **sorted;
	struct block *blocks;
};

void moved_add(struct moved *to, const struct moved *a)
{
	to->flows += a->flows;
	to->up += a->up;
	to->down += a->down;
	to->up_packets += a->up_packets;
	to->down_packets += a->down_packets;
	to->refused += a->refused;
	if (!to->first_ns || (a->first_ns && a->first_ns < to->first_ns))
		to->first_ns = a->first_ns;
	to->last_ns = MAX(to->last_ns, a->last_ns);
}

struct moved moved_of_row(const struct store_row *row)
{
	return (struct moved){ .flows = row->flow_id && !row->seq,
			       .up = row->up_bytes,
			       .down = row->down_bytes,
			       .up_packets = row->up_packets,
			       .down_packets = row->down_packets,
			       .refused = row->refused_calls + row->refused_packets,
			       .first_ns = row->from_ns,
			       .last_ns = row->to_ns };
}

int groups_new(struct groups **ret, size_t n_keys)
{
	struct groups *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->n_keys = n_keys;
	*ret = g;
	return 0;
}

struct groups *groups_free(struct groups *g)
{
	if (!g)
		return NULL;
	for (struct block *b = g->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(g->sorted);
	free(g);
	return NULL;
}

/* Zeroed, lives as long as the groups. */
static void *take(struct groups *g, size_t n)
{
	size_t need = (n + 15) & ~(size_t)15;
	struct block *b = g->blocks;
	void *p;

	if (!b || b->size - b->used < need) {
		size_t size = MAX(need, (size_t)BLOCK);

		b = calloc(1, sizeof(*b) + size);
		if (!b)
			return NULL;
		b->size = size;
		b->next = g->blocks;
		g->blocks = b;
	}
	p = b->bytes + b->used;
	b->used += need;
	return p;
}

static uint64_t hash_keys(const struct groups *g, const struct str *keys)
{
	uint64_t h = 0;

	for (size_t i = 0; i < g->n_keys; i++)
		h = hash_bytes(keys[i].p, keys[i].n, h + i);
	return h;
}

static bool same_keys(const struct groups *g, const struct group *x, const struct str *keys)
{
	for (size_t i = 0; i < g->n_keys; i++)
		if (!str_eq(x->key[i], keys[i]))
			return false;
	return true;
}

static struct group *find(struct groups *g, const struct str *keys, uint64_t h)
{
	for (struct group *x = g->buckets[h % BUCKETS]; x; x = x->next)
		if (x->hash == h && same_keys(g, x, keys))
			return x;
	return NULL;
}

static struct group *make(struct groups *g, const struct str *keys, uint64_t h)
{
	struct group *x = take(g, sizeof(*x));

	if (!x)
		return NULL;
	x->hash = h;
	x->series = SIZE_MAX;
	for (size_t i = 0; keys && i < g->n_keys; i++) {
		char *p = take(g, keys[i].n + 1);

		if (!p)
			return NULL;
		if (keys[i].n)
			memcpy(p, keys[i].p, keys[i].n);
		x->key[i] = (struct str){ p, keys[i].n };
	}
	return x;
}

struct group *groups_others(struct groups *g)
{
	if (!g->others) {
		g->others = make(g, NULL, 0);
		if (g->others)
			g->others->is_others = true;
	}
	return g->others;
}

struct group *groups_get(struct groups *g, const struct str *keys)
{
	uint64_t h = hash_keys(g, keys);
	struct group *x = find(g, keys, h);

	if (x)
		return x;
	if (g->n == GROUPS_MAX)
		return groups_others(g);
	x = make(g, keys, h);
	if (!x)
		return NULL;
	x->next = g->buckets[h % BUCKETS];
	g->buckets[h % BUCKETS] = x;
	g->n++;
	return x;
}

struct group *groups_find(struct groups *g, const struct str *keys)
{
	struct group *x = find(g, keys, hash_keys(g, keys));

	return x ? x : g->others;
}

bool group_add_cost(struct groups *g, struct group *of, uint32_t slot, uint64_t bytes)
{
	struct group_cost *c;

	for (c = of->costs; c; c = c->next) {
		if (c->slot == slot) {
			c->bytes += bytes;
			return true;
		}
	}
	c = take(g, sizeof(*c));
	if (!c)
		return false;
	*c = (struct group_cost){ slot, bytes, of->costs };
	of->costs = c;
	return true;
}

/* Larger keys first; then by text, so that the same question has the same answer. */
static int order(const void *a, const void *b, void *ctx)
{
	uint64_t (*key)(const struct group *) = *(uint64_t(**)(const struct group *))ctx;
	const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;
	uint64_t kx = key(x), ky = key(y);

	if (kx != ky)
		return kx < ky ? 1 : -1;
	for (size_t i = 0; i < GROUP_KEYS_MAX; i++) {
		size_t n = MIN(x->key[i].n, y->key[i].n);
		int c = n ? memcmp(x->key[i].p, y->key[i].p, n) : 0;

		if (!c)
			c = (x->key[i].n > y->key[i].n) - (x->key[i].n < y->key[i].n);
		if (c)
			return c;
	}
	return 0;
}

struct group **groups_sorted(struct groups *g, uint64_t (*key)(const struct group *g),
			     size_t *ret_n)
{
	size_t n = 0;

	free(g->sorted);
	g->sorted = calloc(g->n + 2, sizeof(*g->sorted));
	if (!g->sorted)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct group *x = g->buckets[i]; x; x = x->next)
			g->sorted[n++] = x;
	qsort_r(g->sorted, n, sizeof(*g->sorted), order, &key);
	if (g->others)
		g->sorted[n++] = g->others;
	*ret_n = n;
	return g->sorted;
}
