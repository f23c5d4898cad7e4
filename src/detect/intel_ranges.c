// SPDX-License-Identifier: Apache-2.0
/* Ranges of addresses that may lie in each other, to pieces that do not. */
#include <errno.h>

#include "base/cleanup.h"
#include "detect/intel_builder.h"

int ranges_put(struct ranges *r, unsigned __int128 lo, unsigned __int128 hi, uint32_t record)
{
	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 256;
		struct building_range *v = realloc(r->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->room = room;
	}
	r->v[r->n++] = (struct building_range){ lo, hi, record };
	return 0;
}

/* By their beginning, of those the longest first, of those the lightest: whoever comes last lies on top. */
static int in_order(const void *x, const void *y, void *ctx)
{
	const struct building_range *a = x, *b = y;
	unsigned weight_a, weight_b;

	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	if (a->hi != b->hi)
		return a->hi > b->hi ? -1 : 1;
	weight_a = builder_weight(ctx, a->record);
	weight_b = builder_weight(ctx, b->record);
	if (weight_a != weight_b)
		return weight_a < weight_b ? -1 : 1;
	return a->record < b->record ? -1 : a->record > b->record;
}

struct sweep {
	struct ranges out;
	struct building_range *open; /* those that began and did not end, the uppermost last */
	size_t n_open;
	unsigned __int128 at; /* up to here all is given */
	int r;
};

static void give(struct sweep *s, unsigned __int128 to, uint32_t record)
{
	struct building_range *last = s->out.n ? &s->out.v[s->out.n - 1] : NULL;

	if (s->r < 0 || s->at > to)
		return;
	if (last && last->record == record && last->hi + 1 == s->at)
		last->hi = to;
	else
		s->r = ranges_put(&s->out, s->at, to, record);
	s->at = to + 1;
}

/* Gives what is open before `from`, and closes what ends there. */
static void give_before(struct sweep *s, unsigned __int128 from)
{
	while (s->n_open) {
		const struct building_range *top = &s->open[s->n_open - 1];

		if (top->hi >= from) {
			if (from > s->at)
				give(s, from - 1, top->record);
			return;
		}
		give(s, top->hi, top->record);
		s->n_open--;
	}
	s->at = from;
}

int ranges_flatten(struct ranges *r, const struct intel_builder *b)
{
	struct sweep s = { 0 };

	if (!r->n)
		return 0;
	s.open = malloc(r->n * sizeof(*s.open));
	if (!s.open)
		return -ENOMEM;
	qsort_r(r->v, r->n, sizeof(*r->v), in_order, (void *)b);
	for (size_t i = 0; i < r->n && s.r >= 0; i++) {
		give_before(&s, r->v[i].lo);
		s.open[s.n_open++] = r->v[i];
	}
	/* the rest, from the uppermost down */
	while (s.n_open && s.r >= 0) {
		give(&s, s.open[s.n_open - 1].hi, s.open[s.n_open - 1].record);
		s.n_open--;
	}
	free(s.open);
	free(r->v);
	*r = s.out;
	return s.r;
}
