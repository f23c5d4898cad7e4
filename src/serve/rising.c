/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rising.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

int rising_init(struct rising *r, size_t max)
{
	*r = (struct rising){ .max = max };
	keys_init(&r->ids);
	r->counts = calloc(max, sizeof(*r->counts));
	return r->counts ? 0 : -ENOMEM;
}

void rising_clear(struct rising *r)
{
	for (size_t i = 0; i < r->n; i++)
		free((char *)r->counts[i].id.p);
	r->n = 0;
	keys_done(&r->ids);
	keys_init(&r->ids);
}

void rising_done(struct rising *r)
{
	rising_clear(r);
	free(TAKE_PTR(r->counts));
}

struct rising_count *rising_at(struct rising *r, struct str id)
{
	uint32_t at = keys_find(&r->ids, 0, id.p, id.n), *new;
	char *text;

	if (at != KEYS_NONE)
		return &r->counts[at];
	if (r->n == r->max)
		return NULL;
	text = malloc(id.n + 1);
	new = text ? keys_get(&r->ids, 0, id.p, id.n) : NULL;
	if (!new) {
		free(text);
		return NULL;
	}
	memcpy(text, id.p, id.n);
	*new = (uint32_t)r->n;
	r->counts[r->n] = (struct rising_count){ .id = { text, id.n } };
	return &r->counts[r->n++];
}
