/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/classes.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"

/* --- atoms ------------------------------------------------------------------------------------------------------- */

uint32_t atoms_new_atom(struct atoms *a, uint64_t extra)
{
	if (a->n_atoms == a->cap_atoms) {
		uint32_t cap = a->cap_atoms ? a->cap_atoms * 2 : 64;
		uint64_t *to = realloc(a->extra, cap * sizeof(*to));

		if (!to) {
			a->failed = true;
			return 0;
		}
		a->extra = to;
		a->cap_atoms = cap;
	}
	a->extra[a->n_atoms] = extra;
	return a->n_atoms++;
}

void atoms_effect(struct atoms *a, uint32_t atom, uint32_t row, enum effect what)
{
	if (a->n_effects == a->cap_effects) {
		size_t cap = a->cap_effects ? a->cap_effects * 2 : 256;
		uint64_t *to = realloc(a->effects, cap * sizeof(*to));

		if (!to) {
			a->failed = true;
			return;
		}
		a->effects = to;
		a->cap_effects = cap;
	}
	a->effects[a->n_effects++] = (uint64_t)atom << 32 | (uint64_t)row << 8 | what;
}

static int by_atom(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int atoms_seal(struct atoms *a)
{
	size_t i = 0;

	if (a->failed)
		return -ENOMEM;
	a->first = calloc(a->n_atoms + 1, sizeof(*a->first));
	if (!a->first)
		return -ENOMEM;
	if (a->n_effects)
		qsort(a->effects, a->n_effects, sizeof(*a->effects), by_atom);
	for (uint32_t atom = 0; atom <= a->n_atoms; atom++) {
		while (i < a->n_effects && a->effects[i] >> 32 < atom)
			i++;
		a->first[atom] = (uint32_t)i;
	}
	return 0;
}

void atoms_done(struct atoms *a)
{
	free(a->effects);
	free(a->extra);
	free(a->first);
	*a = (struct atoms){ 0 };
}

/* --- classes ----------------------------------------------------------------------------------------------------- */

int source_init(struct source *s, const struct atoms *atoms, struct sets *sets, uint32_t words)
{
	*s = (struct source){
		.atoms = atoms, .sets = sets, .words = words, .stride = 3 * words + 1
	};
	s->base = calloc(s->stride, sizeof(*s->base));
	if (!s->base)
		return -ENOMEM;
	for (uint32_t i = 0; i < words; i++)
		s->base[i] = s->base[2 * words + i] = ~0ULL;
	return 0;
}

void source_done(struct source *s)
{
	free(s->base);
	free(s->classes);
	free(s->index);
	free(s->of_set);
	*s = (struct source){ 0 };
}

void source_wants(struct source *s, uint32_t row)
{
	bit_clear(s->base, row);
}

void source_wants2(struct source *s, uint32_t row)
{
	bit_clear(s->base + 2 * s->words, row);
}

void source_always(struct source *s, uint32_t row)
{
	bit_set(s->base + s->words, row);
}

static int grow_classes(struct source *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : 16, n_index = cap * 2;
	uint64_t *classes = realloc(s->classes, (size_t)cap * s->stride * sizeof(*classes));
	uint32_t *index;

	if (!classes)
		return -ENOMEM;
	s->classes = classes;
	s->cap = cap;
	index = calloc(n_index, sizeof(*index));
	if (!index)
		return -ENOMEM;
	for (uint32_t i = EG_CLASS_NONE; i < s->n; i++) {
		uint64_t h = hash_bytes(source_vectors(s, i), s->stride * 8, 0);

		while (index[h & (n_index - 1)])
			h++;
		index[h & (n_index - 1)] = i;
	}
	free(s->index);
	s->index = index;
	s->n_index = n_index;
	return 0;
}

/* Effects are in the order of enum effect: conditions met come before what rules out. */
static void apply(const struct source *s, uint32_t atom, uint64_t *v, uint64_t *ruled_out)
{
	const struct atoms *a = s->atoms;

	for (uint32_t i = a->first[atom]; i < a->first[atom + 1]; i++) {
		uint32_t row = (uint32_t)a->effects[i] >> 8;

		switch ((enum effect)(a->effects[i] & 0xff)) {
		case EFFECT_OR:
			bit_set(v + s->words, row);
			break;
		case EFFECT_AND:
			bit_set(v, row);
			break;
		case EFFECT_NOT:
			bit_set(ruled_out, row);
			break;
		case EFFECT_AND2:
			bit_set(v + 2 * s->words, row);
			break;
		case EFFECT_NOT2:
			bit_set(ruled_out + s->words, row);
			break;
		}
	}
	v[3 * s->words] |= a->extra[atom];
}

/* The class with the vectors that lie behind the last class. */
static uint16_t put_class(struct source *s)
{
	uint64_t *v = source_vectors(s, s->n), h = hash_bytes(v, s->stride * 8, 0);
	uint32_t have;

	for (; (have = s->index[h & (s->n_index - 1)]); h++)
		if (!memcmp(source_vectors(s, have), v, s->stride * 8))
			return (uint16_t)have;
	if (s->n >= CLASS_LIMIT) {
		s->full = true;
		return EG_CLASS_NONE;
	}
	s->index[h & (s->n_index - 1)] = s->n;
	return (uint16_t)s->n++;
}

static uint16_t make_class(struct source *s, uint32_t set)
{
	uint64_t ruled_out[2 * EG_WORDS_MAX] = { 0 }, *v;
	const uint32_t *atoms;
	size_t n;

	if (s->n + 1 >= s->cap && grow_classes(s) < 0) {
		s->full = true;
		return EG_CLASS_NONE;
	}
	v = source_vectors(s, s->n);
	memcpy(v, s->base, s->stride * 8);
	atoms = sets_get(s->sets, set, &n);
	for (size_t i = 0; i < n; i++)
		apply(s, atoms[i], v, ruled_out);
	for (uint32_t i = 0; i < s->words; i++) {
		v[i] &= ~ruled_out[i];
		v[2 * s->words + i] &= ~ruled_out[s->words + i];
	}
	return put_class(s);
}

int source_begin(struct source *s)
{
	s->n = EG_CLASS_NONE;
	make_class(s, SETS_EMPTY);
	return s->full ? -ENOMEM : 0;
}

uint16_t source_class(struct source *s, uint32_t set)
{
	if (set == SETS_FULL) {
		s->full = true;
		return EG_CLASS_NONE;
	}
	if (set >= s->cap_of_set) {
		uint32_t cap = s->cap_of_set ? s->cap_of_set : 64;
		uint16_t *to;

		while (cap <= set)
			cap *= 2;
		to = realloc(s->of_set, cap * sizeof(*to));
		if (!to) {
			s->full = true;
			return EG_CLASS_NONE;
		}
		memset(to + s->cap_of_set, 0xff, (cap - s->cap_of_set) * sizeof(*to));
		s->of_set = to;
		s->cap_of_set = cap;
	}
	if (s->of_set[set] == CLASS_FAILED)
		s->of_set[set] = make_class(s, set);
	return s->of_set[set];
}

/*
 * ANY: AND is what some class does not rule out, OR what some class satisfies and does not rule out itself: a row that
 * needs both from one source needs them of one class. ALL: what all classes say.
 */
void source_finish(struct source *s)
{
	uint64_t *any = source_vectors(s, EG_CLASS_ANY), *all = source_vectors(s, EG_CLASS_ALL);
	uint32_t w = s->words;

	memset(any, 0, s->stride * 8);
	memset(all, 0xff, (s->stride - 1) * 8);
	all[3 * w] = 0;
	for (uint32_t c = EG_CLASS_NONE; c < s->n; c++) {
		const uint64_t *v = source_vectors(s, c);

		for (uint32_t i = 0; i < w; i++) {
			any[i] |= v[i];
			any[w + i] |= v[w + i] & v[i];
			any[2 * w + i] |= v[2 * w + i];
		}
		for (uint32_t i = 0; i < 3 * w; i++)
			all[i] &= v[i];
	}
}
