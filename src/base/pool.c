/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#define POOL_SLAB 256

void pool_init(struct pool *p, size_t size, size_t max)
{
	*p = (struct pool){ .size = (size + 15) & ~(size_t)15, .max = max };
}

void pool_done(struct pool *p)
{
	for (size_t i = 0; i < p->n_slabs; i++)
		free(p->slabs[i]);
	free(p->slabs);
	pool_init(p, p->size, p->max);
}

static int grow(struct pool *p)
{
	void **slabs = realloc(p->slabs, (p->n_slabs + 1) * sizeof(*slabs));
	char *slab;

	if (!slabs)
		return -1;
	p->slabs = slabs;
	slab = malloc(POOL_SLAB * p->size);
	if (!slab)
		return -1;
	slabs[p->n_slabs++] = slab;
	p->made += POOL_SLAB;
	for (size_t i = POOL_SLAB; i-- > 0;) {
		void **obj = (void **)(slab + i * p->size);

		*obj = p->free;
		p->free = obj;
	}
	return 0;
}

void *pool_get(struct pool *p)
{
	void **obj;

	if (p->used >= p->max || (!p->free && grow(p) < 0))
		return NULL;
	obj = p->free;
	p->free = *obj;
	p->used++;
	memset(obj, 0, p->size);
	return obj;
}

void pool_put(struct pool *p, void *obj)
{
	*(void **)obj = p->free;
	p->free = obj;
	p->used--;
}

size_t pool_bytes(const struct pool *p)
{
	return p->made * p->size + p->n_slabs * sizeof(*p->slabs);
}
