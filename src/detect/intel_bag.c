// SPDX-License-Identifier: Apache-2.0
/* Records and notes while a snapshot is built: most entries share theirs with thousands of others. */
#include "base/cleanup.h"
#include "detect/intel_builder.h"

static int grow_bytes(struct bag *b, size_t n)
{
	size_t room = b->room ? b->room : 4096;
	uint8_t *p;

	while (room < b->n + n)
		room *= 2;
	if (room == b->room)
		return 0;
	p = realloc(b->p, room);
	if (!p)
		return -1;
	b->p = p;
	b->room = room;
	return 0;
}

static int grow_slots(struct bag *b)
{
	size_t n = b->n_slots ? 2 * b->n_slots : 1024;
	uint64_t *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -1;
	for (size_t i = 0; i < b->n_slots; i++) {
		size_t at = b->slots[i] >> 32;

		if (!b->slots[i])
			continue;
		at &= n - 1;
		while (slots[at])
			at = (at + 1) & (n - 1);
		slots[at] = b->slots[i];
	}
	free(b->slots);
	b->slots = slots;
	b->n_slots = n;
	return 0;
}

uint32_t bag_put(struct bag *b, const void *p, size_t n)
{
	uint64_t hash = hash_bytes(p, n, 0) >> 32;
	size_t at;

	if (2 * (b->used + 1) > b->n_slots && grow_slots(b) < 0)
		return UINT32_MAX;
	for (at = hash & (b->n_slots - 1); b->slots[at]; at = (at + 1) & (b->n_slots - 1)) {
		size_t offset = (uint32_t)b->slots[at] - 1;

		if (b->slots[at] >> 32 == hash && b->n - offset >= n &&
		    !memcmp(b->p + offset, p, n))
			return (uint32_t)offset;
	}
	if (b->n + n > b->max)
		return BAG_FULL;
	if (grow_bytes(b, n) < 0)
		return UINT32_MAX;
	memcpy(b->p + b->n, p, n);
	b->slots[at] = hash << 32 | (uint32_t)(b->n + 1);
	b->used++;
	b->n += n;
	return (uint32_t)(b->n - n);
}

void bag_done(struct bag *b)
{
	free(b->p);
	free(b->slots);
	*b = (struct bag){ .max = b->max };
}
