/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sum_code.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "store/leb.h"

#define NUMBERS 8

void sum_put(struct buf *out, const struct sum_entry *e, uint32_t *last_key)
{
	const uint64_t v[NUMBERS] = { e->key - *last_key, e->flows,        e->up,      e->down,
				      e->up_packets,      e->down_packets, e->refused, e->last };
	char *p = buf_reserve(out, NUMBERS * LEB_MAX);
	size_t n = 0;

	if (!p)
		return;
	for (size_t i = 0; i < NUMBERS; i++)
		n += leb_put(p + n, v[i]);
	out->n += n;
	*last_key = e->key;
}

int sum_take(struct str *s, struct sum_entry *ret, uint32_t *last_key)
{
	uint64_t v[NUMBERS];

	if (!s->n)
		return 0;
	for (size_t i = 0; i < NUMBERS; i++)
		if (!leb_take(s, &v[i]))
			return -EBADMSG;
	if (!v[0] || v[0] > UINT32_MAX - *last_key || v[7] > UINT32_MAX)
		return -EBADMSG;
	*last_key += (uint32_t)v[0];
	*ret = (struct sum_entry){ .key = *last_key,
				   .flows = v[1],
				   .up = v[2],
				   .down = v[3],
				   .up_packets = v[4],
				   .down_packets = v[5],
				   .refused = v[6],
				   .last = (uint32_t)v[7] };
	return 1;
}

int sum_list_add(struct sum_list *l, const struct sum_entry *e)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		struct sum_entry *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *e;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct sum_entry *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

void sum_list_merge(struct sum_list *l)
{
	size_t n = 0;

	if (!l->n)
		return;
	qsort(l->v, l->n, sizeof(*l->v), by_key);
	for (size_t i = 1; i < l->n; i++) {
		struct sum_entry *to = &l->v[n], *e = &l->v[i];

		if (e->key != to->key) {
			l->v[++n] = *e;
			continue;
		}
		to->flows += e->flows;
		to->up += e->up;
		to->down += e->down;
		to->up_packets += e->up_packets;
		to->down_packets += e->down_packets;
		to->refused += e->refused;
		to->last = MAX(to->last, e->last);
	}
	l->n = n + 1;
}

void sum_list_done(struct sum_list *l)
{
	free(l->v);
	*l = (struct sum_list){ 0 };
}
