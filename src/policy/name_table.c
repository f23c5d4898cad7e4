/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/name_table.h"

#include <errno.h>
#include <string.h>

#include "bpf/name_hash.h"

#define NAME_LEN_MAX 253
#define ENTRIES_MAX (1U << 24) /* exact and below are two */

static uint8_t lower(char c)
{
	return (uint8_t)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
}

unsigned name_hashes(struct str name, uint64_t key, uint64_t ret[EG_LABELS_MAX])
{
	uint64_t parents[EG_LABELS_MAX - 1], h = 0;
	unsigned n = 0;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!name.n || name.n > NAME_LEN_MAX)
		return 0;
	for (size_t i = name.n; i-- > 0;) {
		if (name.p[i] == '.' && n < EG_LABELS_MAX - 1)
			parents[n++] = h;
		h = eg_name_hash_byte(h, key, lower(name.p[i]));
	}
	ret[0] = h;
	for (unsigned i = 0; i < n; i++)
		ret[1 + i] = parents[n - 1 - i];
	return n + 1;
}

/* --- gathering ---------------------------------------------------------------------------------------------------- */

static size_t slot_of(const struct name_table *t, uint64_t hash)
{
	size_t at = hash & (t->cap - 1);

	while (t->hash[at] && t->hash[at] != hash)
		at = (at + 1) & (t->cap - 1);
	return at;
}

static int alloc_slots(struct name_table *t, size_t cap)
{
	t->hash = calloc(cap, sizeof(*t->hash));
	t->set = calloc(cap, sizeof(*t->set));
	t->chain = calloc(cap, sizeof(*t->chain));
	t->n_chain = calloc(cap, sizeof(*t->n_chain));
	t->cap = cap;
	return t->hash && t->set && t->chain && t->n_chain ? 0 : -ENOMEM;
}

static void free_slots(struct name_table *t)
{
	free(t->hash);
	free(t->set);
	free(t->chain);
	free(t->n_chain);
	t->hash = NULL;
	t->set = t->chain = NULL;
	t->n_chain = NULL;
	t->cap = 0;
}

static int grow_slots(struct name_table *t)
{
	struct name_table old = *t;
	int r;

	if (t->n >= ENTRIES_MAX)
		return -ENOMEM;
	r = alloc_slots(t, old.cap ? old.cap * 2 : 256);
	if (r < 0) {
		free_slots(t);
		t->hash = old.hash;
		t->set = old.set;
		t->chain = old.chain;
		t->n_chain = old.n_chain;
		t->cap = old.cap;
		return r;
	}
	for (size_t i = 0; i < old.cap; i++) {
		size_t at;

		if (!old.hash[i])
			continue;
		at = slot_of(t, old.hash[i]);
		t->hash[at] = old.hash[i];
		t->set[at] = old.set[i];
		t->chain[at] = old.chain[i];
		t->n_chain[at] = old.n_chain[i];
	}
	free_slots(&old);
	return 0;
}

/* Notes the parents of a name; where they are noted is in *ret. */
static int add_chain(struct name_table *t, const uint64_t *parents, unsigned n, uint32_t *ret)
{
	if (t->n_chains + n > t->cap_chains) {
		size_t cap = t->cap_chains ? t->cap_chains + t->cap_chains / 2 : 1024;
		uint64_t *to = realloc(t->chains, cap * sizeof(*to));

		if (!to)
			return -ENOMEM;
		t->chains = to;
		t->cap_chains = cap;
	}
	for (unsigned i = 0; i < n; i++)
		t->chains[t->n_chains + i] = eg_name_finish(parents[i], EG_NAME_BELOW);
	*ret = (uint32_t)t->n_chains;
	t->n_chains += n;
	return 0;
}

int policy_name_add(struct name_table *t, struct str name, bool exact, bool below, uint32_t atom)
{
	uint64_t hash[EG_LABELS_MAX], key;
	uint32_t chain = UINT32_MAX;
	unsigned n = name_hashes(name, t->key, hash);
	int r = 0;

	/* As a parent it could not be told from others of so many labels. */
	if (!n || (below && n >= EG_LABELS_MAX))
		return -EINVAL;
	for (int i = 0; i < 2 && r == 0; i++) {
		size_t at;

		if (i ? !below : !exact)
			continue;
		if (4 * (t->n + 1) > 3 * t->cap && (r = grow_slots(t)) < 0)
			break;
		key = eg_name_finish(hash[0], i ? EG_NAME_BELOW : 0);
		at = slot_of(t, key);
		if (!t->hash[at]) {
			if (chain == UINT32_MAX && (r = add_chain(t, hash + 1, n - 1, &chain)) < 0)
				break;
			t->hash[at] = key;
			t->chain[at] = chain;
			t->n_chain[at] = (uint8_t)(n - 1);
			t->n++;
		}
		t->set[at] = sets_add(t->sets, t->set[at], atom);
		if (t->set[at] == SETS_FULL)
			r = -ENOMEM;
	}
	return r;
}

void name_table_done(struct name_table *t)
{
	free_slots(t);
	free(t->chains);
	t->chains = NULL;
	t->n = t->n_chains = t->cap_chains = 0;
}

/* --- placing ------------------------------------------------------------------------------------------------------ */

void name_slots_done(struct name_slots *s)
{
	free(s->hash);
	free(s->class);
	*s = (struct name_slots){ 0 };
}

/*
 * Open addressing where the entry that is nearer to its place gives way (Celis, 1986): nobody ends up far away, however
 * full the table. False: further than the kernel looks.
 */
static bool place(struct name_slots *s, uint64_t hash, uint16_t class)
{
	uint64_t mask = s->capacity - 1, at = hash & mask, away = 0;

	for (; s->hash[at]; at = (at + 1) & mask, away++) {
		uint64_t theirs = (at - s->hash[at]) & mask;

		if (away >= EG_PROBES_MAX)
			return false;
		if (theirs < away) {
			uint64_t h = s->hash[at];
			uint16_t c = s->class[at];

			s->hash[at] = hash;
			s->class[at] = class;
			hash = h;
			class = c;
			away = theirs;
		}
	}
	if (away >= EG_PROBES_MAX)
		return false;
	s->hash[at] = hash;
	s->class[at] = class;
	return true;
}

static int place_all(struct name_slots *s, const struct name_table *t, const uint16_t *class,
		     uint32_t capacity)
{
	*s = (struct name_slots){
		.hash = calloc(capacity, sizeof(*s->hash)),
		.class = calloc(capacity, sizeof(*s->class)),
		.capacity = capacity,
	};
	if (!s->hash || !s->class)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++)
		if (t->hash[i] && !place(s, t->hash[i], class[i]))
			return -EAGAIN;
	return 0;
}

int name_table_place(struct name_slots *ret, struct name_table *t, struct source *names)
{
	_cleanup_free_ uint16_t *class = calloc(t->cap + 1, sizeof(*class));
	struct name_slots s = { 0 };
	uint32_t capacity = 16;
	int r = -EAGAIN;

	if (!t->n) {
		*ret = s;
		return 0;
	}
	if (!class)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++) {
		uint32_t set = t->set[i];

		if (!t->hash[i])
			continue;
		for (unsigned k = 0; k < t->n_chain[i]; k++) {
			size_t parent = slot_of(t, t->chains[t->chain[i] + k]);

			if (t->hash[parent])
				set = sets_union(t->sets, set, t->set[parent]);
		}
		class[i] = source_class(names, set);
	}
	free(t->chains);
	t->chains = NULL;
	while (4 * t->n > 3ULL * capacity)
		capacity *= 2;
	for (; r == -EAGAIN; capacity *= 2) {
		name_slots_done(&s);
		r = capacity > 4 * ENTRIES_MAX ? -E2BIG : place_all(&s, t, class, capacity);
	}
	name_table_done(t);
	if (r < 0) {
		name_slots_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}
