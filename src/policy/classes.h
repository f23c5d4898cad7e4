/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what rules say of a source (src/policy's own; see bpf/policy_image.h for sources, classes and rows) to classes.
 *
 * An atom is one thing that a rule may name and that a value is in or not: a list, a set, a glob of paths, a user. A value
 * (an address, a name, a path) is known by the set of atoms that it is in; equal sets are one number (struct sets). What
 * atoms do to rows are effects. Sets whose effects come out as the same vectors are one class (struct source), however
 * many sets and values there are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "bpf/policy_image.h"

/* --- sets of small numbers, each set kept once ------------------------------------------------------------------ */
#define SETS_EMPTY 0
#define SETS_FULL UINT32_MAX /* no room or memory: what was asked for is not there */

struct sets;
int sets_new(struct sets **ret, size_t max_sets, size_t max_items);
struct sets *sets_free(struct sets *s);
uint32_t sets_put(struct sets *s, const uint32_t *items, size_t n); /* ascending, no number twice */
const uint32_t *sets_get(const struct sets *s, uint32_t set, size_t *ret_n);
bool sets_has(const struct sets *s, uint32_t set, uint32_t item);
uint32_t sets_count(const struct sets *s);
/* Remembered: the same question is one look into a table. SETS_FULL stays SETS_FULL. */
uint32_t sets_toggle(struct sets *s, uint32_t set, uint32_t item);
uint32_t sets_add(struct sets *s, uint32_t set, uint32_t item);
uint32_t sets_union(struct sets *s, uint32_t a, uint32_t b);

/* --- atoms and what they do -------------------------------------------------------------------------------------- */
enum effect {
	EFFECT_OR, /* the row's alternative is satisfied */
	EFFECT_AND, /* the row's condition is satisfied; rows with a condition are told by source_wants() */
	EFFECT_NOT,  /* the row is ruled out */
	EFFECT_AND2, /* the same for the other vector of addresses: `from` */
	EFFECT_NOT2,
};

struct atoms {
	uint64_t *effects; /* atom << 32 | row << 8 | enum effect */
	size_t n_effects, cap_effects;
	uint64_t *extra; /* of each atom: flags, trees */
	uint32_t *first; /* of each atom's effects, once sealed; n_atoms + 1 */
	uint32_t n_atoms, cap_atoms;
	bool failed; /* memory ran out on the way */
};
uint32_t atoms_new_atom(struct atoms *a, uint64_t extra);
void atoms_effect(struct atoms *a, uint32_t atom, uint32_t row, enum effect what);
int atoms_seal(
	struct atoms *a); /* no more effects after this; -ENOMEM also for what failed before */
void atoms_done(struct atoms *a);

/* --- classes of a source ------------------------------------------------------------------------------------------ */
#define CLASS_LIMIT 65535U
#define CLASS_FAILED 0xffffU

struct source {
	const struct atoms *atoms;
	struct sets *sets;
	uint32_t words, stride; /* a class is stride words: AND, OR, second AND, extra */
	uint64_t *base;         /* of what is in no atom at all */
	uint64_t *classes;
	uint32_t n, cap;
	uint32_t *index; /* hash to class */
	uint32_t n_index;
	uint16_t *of_set; /* class of a set, CLASS_FAILED: not asked yet */
	uint32_t cap_of_set;
	bool full; /* more than CLASS_LIMIT, or no memory */
};
int source_init(struct source *s, const struct atoms *atoms, struct sets *sets, uint32_t words);
void source_done(struct source *s);
/* Before classes are asked for: rows whose condition must be met, and rows that are in the OR of every class. */
void source_wants(struct source *s, uint32_t row);
void source_wants2(struct source *s, uint32_t row);
void source_always(struct source *s, uint32_t row);
int source_begin(struct source *s); /* makes EG_CLASS_NONE */
uint16_t source_class(struct source *s, uint32_t set);
void source_finish(
	struct source *s); /* works out EG_CLASS_ANY and EG_CLASS_ALL; once, at the end */
static inline uint64_t *source_vectors(const struct source *s, uint32_t class)
{
	return s->classes + (size_t) class * s->stride;
}
static inline uint64_t source_extra(const struct source *s, uint32_t class)
{
	return source_vectors(s, class)[3 * s->words];
}

static inline void bit_set(uint64_t *v, uint32_t bit)
{
	v[bit / 64] |= 1ULL << (bit % 64);
}

static inline void bit_clear(uint64_t *v, uint32_t bit)
{
	v[bit / 64] &= ~(1ULL << (bit % 64));
}

static inline bool bit_is_set(const uint64_t *v, uint32_t bit)
{
	return v[bit / 64] >> (bit % 64) & 1;
}
