/* SPDX-License-Identifier: Apache-2.0 */
/* The parser's memory: an arena that becomes the policy's, vectors that end in it, and symbols. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "policy/parse.h"

#define BLOCK_SIZE (64U << 10)
#define ADOPT_FROM 4096 /* bytes: what is larger keeps its own memory */

_Static_assert(sizeof(struct policy_rule) <= sizeof(((struct parser *)0)->scrap),
	       "the scrap serves all");

/* Memory of its own, or a block from which small things are cut. */
struct block {
	struct block *next;
	size_t used, size;
	char *p;
};

struct arena {
	struct block *blocks; /* the first is the one that is cut from */
};

int arena_new(struct arena **ret)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	*ret = a;
	return 0;
}

void arena_free(struct arena *a)
{
	struct block *next;

	if (!a)
		return;
	for (struct block *b = a->blocks; b; b = next) {
		next = b->next;
		free(b->p);
		free(b);
	}
	free(a);
}

/* Takes over `p`; behind the first block when that still has room. */
static bool adopt(struct arena *a, void *p, size_t used, size_t size)
{
	struct block *b = malloc(sizeof(*b)), **at = &a->blocks;

	if (!b)
		return false;
	if (used == size && *at)
		at = &(*at)->next;
	*b = (struct block){ .next = *at, .used = used, .size = size, .p = p };
	*at = b;
	return true;
}

void *arena_get(struct parser *p, size_t n)
{
	struct arena *a = p->arena;
	size_t need = (n + 7) & ~(size_t)7;
	bool large = need >= ADOPT_FROM;
	char *fresh, *at;

	if (!large && a->blocks && a->blocks->size - a->blocks->used >= need) {
		at = a->blocks->p + a->blocks->used;
		a->blocks->used += need;
		return at;
	}
	fresh = calloc(1, large ? need : BLOCK_SIZE);
	if (!fresh || !adopt(a, fresh, need, large ? need : BLOCK_SIZE)) {
		free(fresh);
		p->failed = true;
		return NULL;
	}
	return fresh;
}

struct str arena_str(struct parser *p, struct str s)
{
	char *at = arena_get(p, s.n + 1);

	if (!at)
		return STR("");
	if (s.n)
		memcpy(at, s.p, s.n);
	return (struct str){ at, s.n };
}

struct str arena_take(struct parser *p, struct buf *text)
{
	struct str s = buf_str(text);

	if (!s.p)
		return STR("");
	if (!adopt(p->arena, text->p, text->cap, text->cap)) {
		p->failed = true;
		return STR("");
	}
	text->p = NULL;
	buf_done(text);
	return s;
}

void *vec_add(struct parser *p, struct vec *v, size_t size)
{
	if ((v->n + 1) * size > v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 1024;
		char *grown = realloc(v->p, cap);

		if (!grown) {
			p->failed = true;
			return memset(p->scrap, 0, sizeof(p->scrap));
		}
		v->p = grown;
		v->cap = cap;
	}
	return memset(v->p + v->n++ * size, 0, size);
}

void *vec_take(struct parser *p, struct vec *v, size_t size, size_t *ret_n)
{
	size_t bytes = v->n * size;
	char *at = NULL;

	*ret_n = v->n;
	if (bytes >= ADOPT_FROM) {
		at = realloc(v->p, bytes);
		if (!at)
			at = v->p;
		*v = (struct vec){ 0 };
		if (!adopt(p->arena, at, bytes, bytes)) {
			free(at);
			at = NULL;
		}
	} else if (bytes) {
		at = arena_get(p, bytes);
		if (at)
			memcpy(at, v->p, bytes);
	}
	v->n = 0;
	if (!at) {
		p->failed |= *ret_n != 0;
		*ret_n = 0;
	}
	return at;
}

void vec_free(struct vec *v)
{
	free(v->p);
	*v = (struct vec){ 0 };
}

/* --- symbols ---------------------------------------------------------------------------------------------------- */

struct symbol *symbol_at(struct parser *p, uint32_t symbol)
{
	if (symbol >= p->symbols.n) /* without memory */
		return memset(p->scrap, 0, sizeof(p->scrap));
	return (struct symbol *)p->symbols.p + symbol;
}

static uint32_t *slot_of(struct parser *p, enum symbol_kind kind, struct str name)
{
	uint32_t *slots = (uint32_t *)p->symbol_slots.p;
	size_t mask = p->symbol_slots.cap - 1, i = hash_bytes(name.p, name.n, kind) & mask;

	while (slots[i]) {
		const struct symbol *s = symbol_at(p, slots[i] - 1);

		if (s->kind == kind && str_eq(s->name, name))
			break;
		i = (i + 1) & mask;
	}
	return &slots[i];
}

/* At most half full. */
static bool grow_slots(struct parser *p)
{
	struct vec *v = &p->symbol_slots;
	size_t cap = v->cap ? v->cap * 2 : 256;
	char *slots;

	if (p->symbols.n * 2 < v->cap)
		return true;
	slots = calloc(cap, sizeof(uint32_t));
	if (!slots) {
		p->failed = true;
		return false;
	}
	free(v->p);
	v->p = slots;
	v->cap = cap;
	for (uint32_t i = 0; i < p->symbols.n; i++) {
		const struct symbol *s = symbol_at(p, i);

		*slot_of(p, s->kind, s->name) = i + 1;
	}
	return true;
}

uint32_t symbol_get(struct parser *p, enum symbol_kind kind, struct str name)
{
	uint32_t *slot;

	if (!grow_slots(p))
		return 0;
	slot = slot_of(p, kind, name);
	if (!*slot) {
		*(struct symbol *)vec_add(p, &p->symbols, sizeof(struct symbol)) =
			(struct symbol){ .kind = kind, .def = POLICY_ANON, .name = name };
		if (!p->failed)
			*slot = (uint32_t)p->symbols.n;
	}
	return *slot ? *slot - 1 : 0;
}

uint32_t symbol_use(struct parser *p, enum symbol_kind kind, struct str name,
		    struct policy_place at, bool bare)
{
	uint32_t symbol = symbol_get(p, kind, name);

	if (p->muted_line && p->muted_line == at.line) /* that line is wrong anyway */
		return symbol;
	*(struct symbol_use *)vec_add(p, &p->uses, sizeof(struct symbol_use)) =
		(struct symbol_use){ .symbol = symbol, .bare = bare, .place = at };
	return symbol;
}

const char *symbol_kind_name(enum symbol_kind kind)
{
	static const char *const names[] = { "app",      "set",   "segment", "list",
					     "schedule", "price", "budget",  "response",
					     "user",     "group", "file" };

	return names[kind];
}
