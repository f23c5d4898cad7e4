/* SPDX-License-Identifier: Apache-2.0 */
#include "base/intern.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

struct intern {
	struct text **buckets;
	size_t n_buckets; /* a power of two */
	size_t count, max, bytes;
	uint64_t seed;
};

int intern_new(struct intern **ret, size_t max)
{
	struct intern *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->n_buckets = 256;
	in->buckets = calloc(in->n_buckets, sizeof(*in->buckets));
	if (!in->buckets) {
		free(in);
		return -ENOMEM;
	}
	in->max = max;
	in->seed = hash_random_seed();
	*ret = in;
	return 0;
}

struct intern *intern_free(struct intern *in)
{
	if (!in)
		return NULL;
	for (size_t i = 0; i < in->n_buckets; i++) {
		for (struct text *t = in->buckets[i], *next; t; t = next) {
			next = t->next;
			free(t);
		}
	}
	free(in->buckets);
	free(in);
	return NULL;
}

static void grow(struct intern *in)
{
	size_t n = in->n_buckets * 4;
	struct text **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return; /* longer chains, nothing worse */
	for (size_t i = 0; i < in->n_buckets; i++) {
		for (struct text *t = in->buckets[i], *next; t; t = next) {
			next = t->next;
			t->next = buckets[t->hash & (n - 1)];
			buckets[t->hash & (n - 1)] = t;
		}
	}
	free(in->buckets);
	in->buckets = buckets;
	in->n_buckets = n;
}

struct text *intern_get(struct intern *in, struct str s)
{
	uint64_t hash = hash_bytes(s.p, s.n, in->seed);
	struct text *t;

	for (t = in->buckets[hash & (in->n_buckets - 1)]; t; t = t->next)
		if (t->hash == hash && str_eq(text_str(t), s))
			return text_ref(t);
	if (in->count >= in->max || s.n > UINT32_MAX / 2)
		return NULL;
	t = malloc(sizeof(*t) + s.n + 1);
	if (!t)
		return NULL;
	*t = (struct text){ .refs = 1, .n = (uint32_t)s.n, .hash = hash };
	if (s.n)
		memcpy(t->p, s.p, s.n);
	t->p[s.n] = 0;
	if (in->count >= 2 * in->n_buckets)
		grow(in);
	t->next = in->buckets[hash & (in->n_buckets - 1)];
	in->buckets[hash & (in->n_buckets - 1)] = t;
	in->count++;
	in->bytes += sizeof(*t) + s.n + 1;
	return t;
}

struct text *text_ref(struct text *t)
{
	if (t)
		t->refs++;
	return t;
}

void intern_put(struct intern *in, struct text *t)
{
	struct text **at;

	if (!t || --t->refs)
		return;
	for (at = &in->buckets[t->hash & (in->n_buckets - 1)]; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	in->count--;
	in->bytes -= sizeof(*t) + t->n + 1;
	free(t);
}

size_t intern_count(const struct intern *in)
{
	return in->count;
}

size_t intern_bytes(const struct intern *in)
{
	return in->bytes + in->n_buckets * sizeof(*in->buckets);
}
