/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group keeps what ended for good (`past`) apart from what its living flows have now (`live`), which is summed
 * afresh each interval. A rate is the growth of past + live since the rows were last asked for: traffic of a flow that
 * ended in between counts, and none counts twice.
 */
#include "flow/rollup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "flow/flow.h"
#include "flow/machines.h"

#define BUCKETS 4096

struct sums {
	uint64_t flows, up_bytes, down_bytes, up_packets, down_packets;
};

struct group {
	struct group *next;
	uint64_t hash, last_ns;
	struct sums past, live;
	uint64_t begun_up, begun_down;   /* `past` when the interval began */
	uint64_t shown_up, shown_down;   /* when the rows were last asked for */
	uint64_t before_up, before_down; /* the same, one interval earlier */
	struct str label;
	char text[];
};

struct rollup {
	enum rollup_key key;
	size_t max, count;
	uint64_t began_ns, interval_ns;
	bool second; /* at least one interval is over */
	bool asked;  /* for the rows, in this interval */
	struct group *buckets[BUCKETS];
	struct group *others; /* what found no group */
	struct rollup_row *rows;
	size_t rows_cap;
};

static struct group *group_new(struct str label, uint64_t hash)
{
	struct group *g = calloc(1, sizeof(*g) + label.n + 1);

	if (!g)
		return NULL;
	g->hash = hash;
	memcpy(g->text, label.p, label.n);
	g->label = (struct str){ g->text, label.n };
	return g;
}

int rollup_new(struct rollup **ret, enum rollup_key key, size_t max_groups)
{
	struct rollup *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->key = key;
	r->max = max_groups;
	r->others = group_new(STR("(others)"), 0);
	if (!r->others) {
		free(r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

struct rollup *rollup_free(struct rollup *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct group *g = r->buckets[i], *next; g; g = next) {
			next = g->next;
			free(g);
		}
	}
	free(r->others);
	free(r->rows);
	free(r);
	return NULL;
}

static struct str or_none(struct str s, struct str none)
{
	return s.n ? s : none;
}

static struct str container_label(const struct workload *w)
{
	if (!w || !w->container_id)
		return STR("(no container)");
	return text_str(w->container_name ? w->container_name : w->container_id);
}

/* Of what a gateway forwards, the machine inside is who it was. */
static struct str machine_label(const struct flow *f, char text[ADDR_TEXT_MAX])
{
	if (!f->machine)
		return STR("(unknown)");
	return f->machine->name ? text_str(f->machine->name)
				: str_of(addr_format(&f->machine->addr, text));
}

struct str rollup_label(enum rollup_key key, const struct flow *f, char text[ADDR_TEXT_MAX])
{
	const struct workload *w = f->proc ? f->proc->workload : NULL;
	const char *app;

	switch (key) {
	case ROLLUP_PROGRAM:
		return f->proc ? proc_name(f->proc) : machine_label(f, text);
	case ROLLUP_USER:
		if (!f->proc)
			return STR("(unknown)");
		if (f->proc->user)
			return text_str(f->proc->user);
		snprintf(text, ADDR_TEXT_MAX, "uid %u", f->proc->uid);
		return str_of(text);
	case ROLLUP_UNIT:
		return w ? or_none(text_str(w->unit), STR("(no unit)")) : STR("(unknown)");
	case ROLLUP_CONTAINER:
		return w ? container_label(w) : STR("(unknown)");
	case ROLLUP_NAME:
		return or_none(text_str(f->name), STR("(no name)"));
	case ROLLUP_ADDRESS:
		return str_of(addr_format(&f->key.dst, text));
	case ROLLUP_HOST:
		return str_of(addr_format(&f->key.src, text));
	case ROLLUP_PROTOCOL:
		app = app_name(f->app);
		return app ? str_of(app) : str_of(flow_proto_name(f->key.proto, text));
	case ROLLUP_KEY_COUNT:
		break;
	}
	return STR("(unknown)");
}

static struct group *find(struct rollup *r, struct str label)
{
	uint64_t hash = hash_bytes(label.p, label.n, 0);
	struct group **bucket = &r->buckets[hash % BUCKETS], *g;

	for (g = *bucket; g; g = g->next)
		if (g->hash == hash && str_eq(g->label, label))
			return g;
	g = r->count < r->max ? group_new(label, hash) : NULL;
	if (!g)
		return r->others;
	g->next = *bucket;
	*bucket = g;
	r->count++;
	return g;
}

/* Nobody looked: what ended since the interval began may be in `live` as well, and is left for the next one. */
static void end_interval(struct group *g, bool asked)
{
	g->before_up = asked ? g->shown_up : g->begun_up + g->live.up_bytes;
	g->before_down = asked ? g->shown_down : g->begun_down + g->live.down_bytes;
	g->begun_up = g->past.up_bytes;
	g->begun_down = g->past.down_bytes;
	g->live = (struct sums){ 0 };
}

void rollup_begin(struct rollup *r, uint64_t now_ns)
{
	r->second = r->began_ns != 0;
	r->interval_ns = r->second && now_ns > r->began_ns ? now_ns - r->began_ns : 0;
	r->began_ns = now_ns;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct group *g = r->buckets[i]; g; g = g->next)
			end_interval(g, r->asked);
	end_interval(r->others, r->asked);
	r->asked = false;
}

void rollup_flow(struct rollup *r, const struct flow *f, bool ended)
{
	char text[ADDR_TEXT_MAX];
	struct group *g = find(r, rollup_label(r->key, f, text));
	struct sums *s = ended ? &g->past : &g->live;

	s->flows++;
	s->up_bytes += flow_up(f)->bytes;
	s->down_bytes += flow_down(f)->bytes;
	s->up_packets += flow_up(f)->packets;
	s->down_packets += flow_down(f)->packets;
	g->last_ns = MAX(g->last_ns, f->last_ns);
}

/* A flow that was summed as living and is gone without its end (evicted before it was told) can only lower a sum. */
static double rate(uint64_t now, uint64_t before, uint64_t interval_ns)
{
	return interval_ns && now > before ? (double)(now - before) * 1e9 / (double)interval_ns : 0;
}

static void put_row(struct rollup *r, struct group *g, size_t *n)
{
	struct rollup_row *row = &r->rows[*n];

	if (!g->past.flows && !g->live.flows)
		return;
	*row = (struct rollup_row){
		.label = g->label,
		.flows = g->past.flows + g->live.flows,
		.up_bytes = g->past.up_bytes + g->live.up_bytes,
		.down_bytes = g->past.down_bytes + g->live.down_bytes,
		.up_packets = g->past.up_packets + g->live.up_packets,
		.down_packets = g->past.down_packets + g->live.down_packets,
		.last_ns = g->last_ns,
	};
	/* A group that is new in this interval grew from nothing; but not in the first one, which has no length. */
	if (r->second) {
		row->up_rate = rate(row->up_bytes, g->before_up, r->interval_ns);
		row->down_rate = rate(row->down_bytes, g->before_down, r->interval_ns);
	}
	g->shown_up = row->up_bytes;
	g->shown_down = row->down_bytes;
	(*n)++;
}

static int by_label(const void *a, const void *b)
{
	const struct rollup_row *x = a, *y = b;
	int d = memcmp(x->label.p, y->label.p, MIN(x->label.n, y->label.n));

	return d ? d : (x->label.n > y->label.n) - (x->label.n < y->label.n);
}

#define DEFINE_ORDER(name, value)                                \
	static int name(const void *a, const void *b)            \
	{                                                        \
		const struct rollup_row *x = a, *y = b;          \
                                                                 \
		if ((value(x)) != (value(y)))                    \
			return (value(x)) < (value(y)) ? 1 : -1; \
		return by_label(a, b);                           \
	}

#define UP(x) (x)->up_bytes
#define DOWN(x) (x)->down_bytes
#define BYTES(x) (x)->up_bytes + (x)->down_bytes
#define FLOWS(x) (x)->flows
#define RATE(x) (x)->up_rate + (x)->down_rate
DEFINE_ORDER(by_up, UP)
DEFINE_ORDER(by_down, DOWN)
DEFINE_ORDER(by_bytes, BYTES)
DEFINE_ORDER(by_flows, FLOWS)
DEFINE_ORDER(by_rate, RATE)

static const struct {
	const char *word;
	int (*compare)(const void *a, const void *b);
} orders[] = {
	{ "rate", by_rate },   { "up", by_up },       { "down", by_down },
	{ "bytes", by_bytes }, { "flows", by_flows }, { "label", by_label },
};

const struct rollup_row *rollup_rows(struct rollup *r, const char *sort, size_t *ret_n)
{
	size_t n = 0;

	*ret_n = 0;
	if (r->rows_cap < r->count + 1) {
		size_t cap = (r->count + 1) * 2;
		struct rollup_row *rows = realloc(r->rows, cap * sizeof(*rows));

		if (!rows)
			return NULL;
		r->rows = rows;
		r->rows_cap = cap;
	}
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct group *g = r->buckets[i]; g; g = g->next)
			put_row(r, g, &n);
	put_row(r, r->others, &n);
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (!strcmp(orders[i].word, sort))
			qsort(r->rows, n, sizeof(*r->rows), orders[i].compare);
	*ret_n = n;
	r->asked = true;
	return r->rows;
}

static const struct {
	const char *word, *title;
} keys[] = {
#define X(id, word, title) { word, title },
	ROLLUP_KEYS(X)
#undef X
};

const char *rollup_key_word(enum rollup_key k)
{
	return keys[k].word;
}

const char *rollup_key_title(enum rollup_key k)
{
	return keys[k].title;
}

int rollup_key_parse(struct str word, enum rollup_key *ret)
{
	if (str_eq(word, STR("app")))
		word = STR("program");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!str_eq(word, str_of(keys[i].word)))
			continue;
		*ret = (enum rollup_key)i;
		return 0;
	}
	return -EINVAL;
}
