/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tally.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define ROOM_FIRST 1024

static int grow(struct tallies *t, uint32_t id)
{
	size_t room = t->room ? t->room : ROOM_FIRST;
	struct tally *by_id;
	uint32_t *ids;

	while (room <= id)
		room *= 2;
	by_id = reallocarray(t->by_id, room, sizeof(*by_id));
	if (by_id)
		t->by_id = by_id;
	ids = reallocarray(t->ids, room, sizeof(*ids));
	if (ids)
		t->ids = ids;
	if (!by_id || !ids)
		return -ENOMEM;
	for (size_t i = t->room; i < room; i++)
		by_id[i].first_s = INT64_MAX;
	t->room = room;
	return 0;
}

int tallies_add(struct tallies *t, const struct sum_entry *e, int64_t bucket_s, int64_t time_s)
{
	struct tally *to;

	if (e->key > t->max_id)
		return -EBADMSG;
	if (e->key >= t->room && grow(t, e->key) < 0)
		return -ENOMEM;
	to = &t->by_id[e->key];
	if (to->first_s == INT64_MAX) {
		*to = (struct tally){ .first_s = bucket_s };
		t->ids[t->n++] = e->key;
	}
	to->first_s = MIN(to->first_s, bucket_s);
	to->last_s = MAX(to->last_s, time_s + e->last);
	to->flows += e->flows;
	to->up += e->up;
	to->down += e->down;
	to->up_packets += e->up_packets;
	to->down_packets += e->down_packets;
	to->refused += e->refused;
	return 0;
}

void tallies_clear(struct tallies *t)
{
	for (size_t i = 0; i < t->n; i++)
		t->by_id[t->ids[i]].first_s = INT64_MAX;
	t->n = 0;
}

void tallies_done(struct tallies *t)
{
	free(t->by_id);
	free(t->ids);
	*t = (struct tallies){ 0 };
}
