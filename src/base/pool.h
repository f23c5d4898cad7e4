/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of one size, taken from slabs that grow up to a fixed number and are never given back before
 * pool_done(). get and put are a pointer move each: no malloc per flow or packet once the pool is warm.
 */
#pragma once

#include <stddef.h>

struct pool {
	size_t size;  /* bytes of one object, a multiple of 16 */
	size_t max;   /* most objects alive at once */
	size_t used;  /* alive now */
	size_t made;  /* ever carved from slabs */
	void *free;   /* chain through the first word */
	void **slabs; /* each POOL_SLAB objects */
	size_t n_slabs;
};

void pool_init(struct pool *p, size_t size, size_t max);
void pool_done(struct pool *p); /* frees all slabs; objects still alive go with them */
void *pool_get(struct pool *p); /* zeroed; NULL at max or without memory */
void pool_put(struct pool *p, void *obj);
size_t pool_bytes(const struct pool *p); /* memory held */
