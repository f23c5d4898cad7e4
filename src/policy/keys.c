/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define BYTES_MAX ((size_t)256 << 20)

void keys_init(struct keys *k)
{
	*k = (struct keys){ .bytes = BUF_INIT(BYTES_MAX) };
}

void keys_done(struct keys *k)
{
	free(k->slots);
	buf_done(&k->bytes);
	k->slots = NULL;
	k->n = k->cap = 0;
}

static bool grow(struct keys *k)
{
	size_t cap = k->cap ? k->cap * 2 : 64;
	struct keys_slot *to = calloc(cap, sizeof(*to));

	if (!to)
		return false;
	for (size_t i = 0; i < k->cap; i++) {
		size_t at = k->slots[i].hash & (cap - 1);

		if (!k->slots[i].hash)
			continue;
		while (to[at].hash)
			at = (at + 1) & (cap - 1);
		to[at] = k->slots[i];
	}
	free(k->slots);
	k->slots = to;
	k->cap = cap;
	return true;
}

/* Where the key is, or the free slot where it would be. */
static size_t slot_of(const struct keys *k, uint64_t hash, uint8_t kind, const void *p, size_t n)
{
	size_t at;

	for (at = hash & (k->cap - 1); k->slots[at].hash; at = (at + 1) & (k->cap - 1)) {
		const struct keys_slot *s = &k->slots[at];

		if (s->hash == hash && s->n == n + 1 && (uint8_t)k->bytes.p[s->at] == kind &&
		    (!n || !memcmp(k->bytes.p + s->at + 1, p, n)))
			break;
	}
	return at;
}

static uint64_t hash_of(uint8_t kind, const void *p, size_t n)
{
	return hash_bytes(p, n, kind) | 1ULL << 63;
}

uint32_t keys_find(const struct keys *k, uint8_t kind, const void *p, size_t n)
{
	const struct keys_slot *s;

	if (!k->cap)
		return KEYS_NONE;
	s = &k->slots[slot_of(k, hash_of(kind, p, n), kind, p, n)];
	return s->hash ? s->value : KEYS_NONE;
}

uint32_t *keys_get(struct keys *k, uint8_t kind, const void *p, size_t n)
{
	uint64_t hash = hash_of(kind, p, n);
	struct keys_slot *s;

	if (2 * (k->n + 1) > k->cap && !grow(k))
		return NULL;
	s = &k->slots[slot_of(k, hash, kind, p, n)];
	if (s->hash)
		return &s->value;
	s->at = k->bytes.n;
	s->n = n + 1;
	s->value = KEYS_NONE;
	buf_putc(&k->bytes, (char)kind);
	buf_put(&k->bytes, p, n);
	if (k->bytes.failed)
		return NULL;
	s->hash = hash;
	k->n++;
	return &s->value;
}
