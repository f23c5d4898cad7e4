/* SPDX-License-Identifier: Apache-2.0 */
/* A small table from (kind, bytes) to the number of an atom, for what rules name more than once. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define KEYS_NONE UINT32_MAX

struct keys_slot {
	uint64_t hash; /* 0: free */
	size_t at, n;  /* of the key in `bytes` */
	uint32_t value;
};
struct keys {
	struct keys_slot *slots;
	size_t n, cap;
	struct buf bytes;
};
void keys_init(struct keys *k);
/* The place of the value, KEYS_NONE in a new one; NULL: no memory. Valid until the next call. */
uint32_t *keys_get(struct keys *k, uint8_t kind, const void *p, size_t n);
uint32_t keys_find(const struct keys *k, uint8_t kind, const void *p,
		   size_t n); /* KEYS_NONE: there is none */
void keys_done(struct keys *k);
