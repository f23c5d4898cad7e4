/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the SQLite store: memory that is given back all at once, and things found by their id in a table. */
#pragma once

#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"

#define ARENA_BLOCK (64U << 10)
#define SHELF_MAX (16U << 20) /* ids above are not of a file of ours */

struct arena {
	struct arena_block {
		struct arena_block *next;
		_Alignas(16) char p[];
	} * blocks;
	size_t left, bytes;
};

static inline void *arena_get(struct arena *a, size_t n)
{
	size_t size = (n + 15) & ~(size_t)15;
	struct arena_block *b = a->blocks;

	if (!b || size > a->left) {
		size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;

		b = malloc(sizeof(*b) + room);
		if (!b)
			return NULL;
		b->next = a->blocks;
		a->blocks = b;
		a->left = room;
		a->bytes += room;
	}
	a->left -= size;
	return b->p + a->left;
}

/* Copies; false: no memory. */
static inline bool arena_text(struct arena *a, struct str s, struct str *ret)
{
	char *p = s.n ? arena_get(a, s.n) : NULL;

	if (s.n && !p)
		return false;
	if (s.n)
		memcpy(p, s.p, s.n);
	*ret = (struct str){ p, s.n };
	return true;
}

static inline void arena_done(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	*a = (struct arena){ 0 };
}

/* Pointers by id. */
struct shelf {
	void **at;
	size_t n;
};

static inline void *shelf_get(const struct shelf *s, uint64_t id)
{
	return id < s->n ? s->at[id] : NULL;
}

static inline bool shelf_put(struct shelf *s, uint64_t id, void *v)
{
	if (id >= SHELF_MAX)
		return false;
	if (id >= s->n) {
		size_t n = s->n ? s->n : 256;
		void **at;

		while (n <= id)
			n *= 2;
		at = reallocarray(s->at, n, sizeof(*at));
		if (!at)
			return false;
		memset(at + s->n, 0, (n - s->n) * sizeof(*at));
		s->at = at;
		s->n = n;
	}
	s->at[id] = v;
	return true;
}

static inline void shelf_clear(struct shelf *s)
{
	if (s->n)
		memset(s->at, 0, s->n * sizeof(*s->at));
}

static inline void shelf_done(struct shelf *s)
{
	free(s->at);
	*s = (struct shelf){ 0 };
}
