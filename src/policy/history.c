/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"

/* Long flows whose counters so far are remembered. Open addressing, three quarters full at most. */
#define SLOTS (1U << 18)
#define LINE_MAX_BYTES (1U << 20)

struct slot {
	uint64_t key; /* 0: free, 1: was taken */
	uint64_t up, down;
};

struct history {
	struct history_config cfg;
	struct history_stats stats;
	struct recorded recorded;
	struct slot *slots;
	size_t used;
	uint64_t seed;
};

int history_new(struct history **ret, const struct history_config *cfg)
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->cfg = *cfg;
	h->seed = hash_random_seed();
	*ret = h;
	return 0;
}

struct history *history_free(struct history *h)
{
	if (!h)
		return NULL;
	free(h->slots);
	free(h);
	return NULL;
}

/* The value of "event_type", without reading all the rest: most lines are of no interest here. */
static struct str event_type(struct str line)
{
	static const struct str key = { "\"event_type\"", 12 };
	const char *at = line.n ? memmem(line.p, line.n, key.p, key.n) : NULL, *end;
	struct str rest;

	if (!at)
		return STR_NONE;
	rest = (struct str){ at + key.n, line.n - (size_t)(at - line.p) - key.n };
	while (rest.n && (*rest.p == ' ' || *rest.p == ':' || *rest.p == '\t'))
		rest = str_sub(rest, 1, rest.n);
	if (rest.n < 2 || *rest.p != '"')
		return STR_NONE;
	end = memchr(rest.p + 1, '"', rest.n - 1);
	return end ? str_sub(rest, 1, (size_t)(end - rest.p) - 1) : STR_NONE;
}

static struct slot *find_slot(struct history *h, uint64_t key, bool make)
{
	struct slot *gap = NULL;

	if (!h->slots)
		h->slots = make ? calloc(SLOTS, sizeof(*h->slots)) : NULL;
	if (!h->slots)
		return NULL;
	for (size_t i = key % SLOTS, n = 0; n < SLOTS; i = (i + 1) % SLOTS, n++) {
		struct slot *s = &h->slots[i];

		if (s->key == key)
			return s;
		if (s->key <= 1 && !gap)
			gap = s;
		if (!s->key)
			break;
	}
	if (!make || !gap || h->used >= SLOTS / 4 * 3)
		return NULL;
	h->used += !gap->key;
	*gap = (struct slot){ .key = key };
	return gap;
}

/* Counters of a record are since the flow's start: what was told before comes off, and the flow counts once. */
static void join(struct history *h, struct recorded *r, struct str host)
{
	uint64_t key = hash_bytes(host.p ? host.p : "", host.n, h->seed ^ r->flow_id) | 2;
	struct slot *s;
	uint64_t up = r->up, down = r->down;

	if (!r->flow_id || (!r->seq && r->ended))
		return;
	s = find_slot(h, key, !r->ended);
	if (!s) {
		h->stats.unjoined++;
		return;
	}
	/* Its first record may lie before what is read. */
	r->flows = !s->up && !s->down;
	r->up -= MIN(s->up, up);
	r->down -= MIN(s->down, down);
	s->up = up;
	s->down = down;
	if (r->ended)
		*s = (struct slot){ .key = 1 };
}

static void add_sums(struct history *h, const json_t *j)
{
	const json_t *drop = json_object_get(j, "drop");
	json_int_t calls = json_integer_value(json_object_get(drop, "calls"));
	json_int_t packets = json_integer_value(json_object_get(drop, "pkts"));

	h->stats.summed_calls += calls > 0 ? (uint64_t)calls : 0;
	h->stats.summed_packets += packets > 0 ? (uint64_t)packets : 0;
}

static void take(struct history *h, const json_t *j)
{
	struct recorded *r = &h->recorded;
	const json_t *host = json_object_get(j, "host");
	int err = recorded_of_record(r, j);

	if (err == -ENOENT)
		add_sums(h, j);
	else if (err < 0)
		h->stats.bad++;
	if (err < 0 || r->time_ns < h->cfg.from_ns)
		return;
	if (!h->stats.first_ns || r->time_ns < h->stats.first_ns)
		h->stats.first_ns = r->time_ns;
	h->stats.last_ns = MAX(h->stats.last_ns, r->time_ns);
	if (r->kind == RECORDED_FLOW)
		join(h, r, (struct str){ json_string_value(host), json_string_length(host) });
	h->stats.flows += r->flows;
	h->stats.refusals += r->kind == RECORDED_DROP;
	h->cfg.on_recorded(h->cfg.ctx, r);
}

void history_line(struct history *h, struct str line)
{
	struct str type = event_type(line);
	json_t *j;

	if (!str_trim(line).n)
		return;
	h->stats.lines++;
	if (type.n && !str_eq(type, STR("flow")) && !str_eq(type, STR("drop")))
		return;
	j = type.n && line.n <= LINE_MAX_BYTES ? json_loadb(line.p, line.n, 0, NULL) : NULL;
	if (json_is_object(j))
		take(h, j);
	else
		h->stats.bad++;
	json_decref(j);
}

const struct history_stats *history_stats(const struct history *h)
{
	return &h->stats;
}
