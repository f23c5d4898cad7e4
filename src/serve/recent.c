/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/recent.h"

#include <errno.h>
#include <stdlib.h>

struct recent {
	struct recent_refs refs;
	size_t n, used, next; /* slots; filled; where the next one goes */
	struct flow slots[];
};

int recent_new(struct recent **ret, size_t n, struct recent_refs refs)
{
	struct recent *r = calloc(1, sizeof(*r) + n * sizeof(r->slots[0]));

	if (!r)
		return -ENOMEM;
	r->refs = refs;
	r->n = n;
	*ret = r;
	return 0;
}

static void take_refs(struct flow *f)
{
	text_ref(f->name);
	text_ref(f->ja3);
	text_ref(f->ja4);
	verdict_rule_ref(f->verdict.rule);
	for (unsigned i = 0; i < f->n_names; i++)
		f->names[i]->refs++;
	proc_ref(f->proc);
}

static void put_refs(struct recent *r, struct flow *f)
{
	intern_put(r->refs.texts, f->name);
	intern_put(r->refs.texts, f->ja3);
	intern_put(r->refs.texts, f->ja4);
	verdict_rule_put(f->verdict.rule);
	for (unsigned i = 0; i < f->n_names; i++)
		name_put(r->refs.names, f->names[i]);
	if (f->proc)
		proc_put(r->refs.procs, f->proc);
}

struct recent *recent_free(struct recent *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < r->used; i++)
		put_refs(r, &r->slots[i]);
	free(r);
	return NULL;
}

void recent_add(struct recent *r, const struct flow *ended)
{
	struct flow *slot = &r->slots[r->next];

	if (r->used == r->n)
		put_refs(r, slot);
	else
		r->used++;
	*slot = *ended;
	slot->stream = NULL; /* the table's; the copy must not lead there */
	slot->watched = NULL;
	take_refs(slot);
	r->next = (r->next + 1) % r->n;
}

void recent_each(const struct recent *r, void (*fn)(void *ctx, const struct flow *f), void *ctx)
{
	for (size_t i = 0; r && i < r->used; i++)
		fn(ctx, &r->slots[(r->next + r->n - 1 - i) % r->n]);
}

bool recent_holds(const struct recent *r, const struct flow *f)
{
	return r && f >= r->slots && f < r->slots + r->used;
}
