/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of numbers, each kept once in one long array, with a table from contents to set and one that remembers answers to
 * "this set with that number" and "these two together". A million values share a few sets: each costs one look-up.
 */
#include "policy/classes.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"

struct one_set {
	uint32_t at, n;
	uint64_t hash;
};

struct answer {
	uint64_t key; /* 0: free */
	uint32_t set;
};

struct sets {
	size_t max_sets, max_items;
	uint32_t *items;
	size_t n_items, cap_items;
	struct one_set *sets;
	size_t n_sets, cap_sets;
	uint32_t *index; /* by content; 0: free, else set + 1 */
	size_t n_index;
	struct answer *answers;
	size_t n_answers, cap_answers;
	uint32_t *scratch;
	size_t cap_scratch;
};

int sets_new(struct sets **ret, size_t max_sets, size_t max_items)
{
	struct sets *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->max_sets = max_sets;
	s->max_items = max_items;
	if (sets_put(s, NULL, 0) != SETS_EMPTY) {
		sets_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

struct sets *sets_free(struct sets *s)
{
	if (!s)
		return NULL;
	free(s->items);
	free(s->sets);
	free(s->index);
	free(s->answers);
	free(s->scratch);
	free(s);
	return NULL;
}

uint32_t sets_count(const struct sets *s)
{
	return (uint32_t)s->n_sets;
}

const uint32_t *sets_get(const struct sets *s, uint32_t set, size_t *ret_n)
{
	*ret_n = s->sets[set].n;
	return *ret_n ? s->items + s->sets[set].at : NULL;
}

static int grow_index(struct sets *s)
{
	size_t n = s->n_index ? s->n_index * 2 : 256;
	uint32_t *index = calloc(n, sizeof(*index));

	if (!index)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_sets; i++) {
		size_t at = s->sets[i].hash & (n - 1);

		while (index[at])
			at = (at + 1) & (n - 1);
		index[at] = (uint32_t)i + 1;
	}
	free(s->index);
	s->index = index;
	s->n_index = n;
	return 0;
}

static int grow(void **p, size_t *cap, size_t need, size_t size)
{
	size_t n = *cap ? *cap : 64;
	void *to;

	if (need <= *cap)
		return 0;
	while (n < need)
		n *= 2;
	to = realloc(*p, n * size);
	if (!to)
		return -ENOMEM;
	*p = to;
	*cap = n;
	return 0;
}

uint32_t sets_put(struct sets *s, const uint32_t *items, size_t n)
{
	uint64_t hash = hash_bytes(items ? (const void *)items : "", n * sizeof(*items), 0);
	struct one_set *set;
	size_t at;

	if (2 * s->n_sets >= s->n_index && grow_index(s) < 0)
		return SETS_FULL;
	for (at = hash & (s->n_index - 1); s->index[at]; at = (at + 1) & (s->n_index - 1)) {
		set = &s->sets[s->index[at] - 1];
		if (set->hash == hash && set->n == n &&
		    (!n || !memcmp(s->items + set->at, items, n * sizeof(*items))))
			return s->index[at] - 1;
	}
	if (s->n_sets >= s->max_sets || s->n_items + n > s->max_items ||
	    grow((void **)&s->sets, &s->cap_sets, s->n_sets + 1, sizeof(*s->sets)) < 0 ||
	    grow((void **)&s->items, &s->cap_items, s->n_items + n, sizeof(*s->items)) < 0)
		return SETS_FULL;
	s->sets[s->n_sets] = (struct one_set){ (uint32_t)s->n_items, (uint32_t)n, hash };
	if (n)
		memcpy(s->items + s->n_items, items, n * sizeof(*items));
	s->n_items += n;
	s->index[at] = (uint32_t)++s->n_sets;
	return s->index[at] - 1;
}

bool sets_has(const struct sets *s, uint32_t set, uint32_t item)
{
	size_t n, lo = 0, hi;
	const uint32_t *items = sets_get(s, set, &n);

	for (hi = n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (items[mid] < item)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && items[lo] == item;
}

/* --- remembered answers ------------------------------------------------------------------------------------------ */

/* The answer's place; a free one has key 0. NULL: no memory. */
static struct answer *answer(struct sets *s, uint64_t key)
{
	size_t n = s->cap_answers, at;

	if (2 * s->n_answers >= n) {
		struct answer *old = s->answers, *to = calloc(n ? n * 2 : 256, sizeof(*to));

		if (!to)
			return NULL;
		s->answers = to;
		s->cap_answers = n ? n * 2 : 256;
		for (size_t i = 0; i < n; i++)
			if (old[i].key)
				*answer(s, old[i].key) = old[i];
		free(old);
	}
	n = s->cap_answers;
	for (at = (key * 0x9e3779b97f4a7c15ULL >> 32) & (n - 1);
	     s->answers[at].key && s->answers[at].key != key;)
		at = (at + 1) & (n - 1);
	return &s->answers[at];
}

/* The two ascending runs together; what is in both stays when `both`. */
static uint32_t merge(struct sets *s, const uint32_t *b, size_t n_b, uint32_t set, bool both)
{
	size_t n_a, i = 0, k = 0, n = 0;
	const uint32_t *a = sets_get(s, set, &n_a);

	if (grow((void **)&s->scratch, &s->cap_scratch, n_a + n_b, sizeof(*s->scratch)) < 0)
		return SETS_FULL;
	while (i < n_a || k < n_b) {
		if (k == n_b || (i < n_a && a[i] < b[k])) {
			s->scratch[n++] = a[i++];
		} else if (i == n_a || b[k] < a[i]) {
			s->scratch[n++] = b[k++];
		} else {
			if (both)
				s->scratch[n++] = a[i];
			i++;
			k++;
		}
	}
	return sets_put(s, s->scratch, n);
}

/* Questions are told apart by the two top bits of the key. */
#define ASK_TOGGLE (1ULL << 62)
#define ASK_ADD (2ULL << 62)
#define ASK_UNION (3ULL << 62)

static uint32_t ask(struct sets *s, uint64_t what, uint32_t set, uint32_t other)
{
	uint64_t key = what | (uint64_t)set << 32 | other;
	const uint32_t *items = &other;
	struct answer *a;
	size_t n = 1;

	if (set == SETS_FULL || other == SETS_FULL)
		return SETS_FULL;
	a = answer(s, key);
	if (!a)
		return SETS_FULL;
	if (a->key)
		return a->set;
	if (what == ASK_UNION)
		items = sets_get(s, other, &n);
	a->set = merge(s, items, n, set, what != ASK_TOGGLE);
	if (a->set == SETS_FULL)
		return SETS_FULL;
	a->key = key;
	s->n_answers++;
	return a->set;
}

uint32_t sets_toggle(struct sets *s, uint32_t set, uint32_t item)
{
	return ask(s, ASK_TOGGLE, set, item);
}

uint32_t sets_add(struct sets *s, uint32_t set, uint32_t item)
{
	return ask(s, ASK_ADD, set, item);
}

uint32_t sets_union(struct sets *s, uint32_t a, uint32_t b)
{
	if (a == b || b == SETS_EMPTY)
		return a;
	if (a == SETS_EMPTY)
		return b;
	return ask(s, ASK_UNION, a, b);
}
