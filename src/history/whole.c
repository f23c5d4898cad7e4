/* SPDX-License-Identifier: Apache-2.0 */
#include "history/whole.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "store/row_code.h"

#define SLOTS (1U << 19) /* twice as many as flows */
#define BYTES_MAX (1U << 30)

struct held {
	uint64_t boot, flow_id;
	size_t at; /* of its newest piece, encoded */
	size_t n;
	uint32_t newest_seq, oldest_seq;
	uint64_t from_ns, up, down, up_packets, down_packets, up_payload, down_payload;
	uint64_t refused_calls, refused_packets, refused_bytes;
};

struct whole {
	struct held *held;
	size_t n, cap;
	uint32_t slots[SLOTS]; /* number in `held` plus 1 */
	struct buf bytes;
};

int whole_new(struct whole **ret)
{
	struct whole *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->bytes = BUF_INIT(BYTES_MAX);
	*ret = w;
	return 0;
}

struct whole *whole_free(struct whole *w)
{
	if (!w)
		return NULL;
	buf_done(&w->bytes);
	free(w->held);
	free(w);
	return NULL;
}
DEFINE_CLEANUP(struct whole, whole_free);

static const uint32_t *slot_of(const struct whole *w, const struct store_row *row)
{
	uint64_t h = (row->flow_id * 0x9e3779b97f4a7c15) ^ row->boot;

	for (size_t i = h ^ h >> 32;; i++) {
		const uint32_t *slot = &w->slots[i & (SLOTS - 1)];

		if (!*slot || (w->held[*slot - 1].flow_id == row->flow_id &&
			       w->held[*slot - 1].boot == row->boot))
			return slot;
	}
}

bool whole_has(const struct whole *w, const struct store_row *row)
{
	return *slot_of(w, row);
}

static int grow(struct whole *w)
{
	size_t cap = w->cap ? 2 * w->cap : 1024;
	struct held *held;

	if (w->n == WHOLE_FLOWS_MAX)
		return -E2BIG;
	if (w->n < w->cap)
		return 0;
	held = reallocarray(w->held, cap, sizeof(*held));
	if (!held)
		return -ENOMEM;
	w->held = held;
	w->cap = cap;
	return 0;
}

/* What all but counters are taken from. */
static int keep_row(struct whole *w, struct held *h, const struct store_row *row)
{
	h->at = w->bytes.n;
	store_row_encode(row, &w->bytes);
	h->n = w->bytes.n - h->at;
	h->newest_seq = row->seq;
	return w->bytes.failed ? -E2BIG : 0;
}

int whole_add(struct whole *w, const struct store_row *row)
{
	uint32_t *slot = &w->slots[slot_of(w, row) - w->slots];
	bool is_new = !*slot;
	struct held *h;
	int r = is_new ? grow(w) : 0;

	if (r < 0)
		return r;
	if (is_new) {
		w->held[w->n] = (struct held){ .boot = row->boot,
					       .flow_id = row->flow_id,
					       .oldest_seq = row->seq,
					       .from_ns = row->from_ns };
		*slot = (uint32_t)++w->n;
	}
	h = &w->held[*slot - 1];
	h->up += row->up_bytes;
	h->down += row->down_bytes;
	h->up_packets += row->up_packets;
	h->down_packets += row->down_packets;
	h->up_payload += row->up_payload;
	h->down_payload += row->down_payload;
	h->refused_calls += row->refused_calls;
	h->refused_packets += row->refused_packets;
	h->refused_bytes += row->refused_bytes;
	h->oldest_seq = MIN(h->oldest_seq, row->seq);
	h->from_ns = MIN(h->from_ns, row->from_ns);
	if (is_new || row->seq > h->newest_seq)
		r = keep_row(w, h, row);
	return r < 0 ? r : is_new;
}

int whole_each(struct whole *w, store_row_fn fn, void *ctx)
{
	struct store_row row;

	for (size_t i = 0; i < w->n; i++) {
		const struct held *h = &w->held[i];
		struct str bytes = { w->bytes.p + h->at, h->n };
		int r = store_row_decode(&bytes, &row);

		if (r <= 0)
			return r < 0 ? r : -EBADMSG;
		row.seq = h->oldest_seq;
		row.from_ns = h->from_ns;
		row.up_bytes = h->up;
		row.down_bytes = h->down;
		row.up_packets = h->up_packets;
		row.down_packets = h->down_packets;
		row.up_payload = h->up_payload;
		row.down_payload = h->down_payload;
		row.refused_calls = h->refused_calls;
		row.refused_packets = h->refused_packets;
		row.refused_bytes = h->refused_bytes;
		r = fn(ctx, &row);
		if (r)
			return r;
	}
	return 0;
}

/* ---- all pieces of some flows ---- */

#define LOOK_UPS_MAX 1000 /* of more flows everything is read once */

struct completing {
	struct whole *some, *all;
	struct scan *scan;
	struct store_span span;
};

static int take_theirs(void *ctx, const struct store_row *row)
{
	struct completing *c = ctx;
	int r = whole_has(c->some, row) ? whole_add(c->all, row) : 0;

	return r < 0 ? r : 0;
}

static int look_up(void *ctx, const struct store_row *row)
{
	struct completing *c = ctx;
	struct store_hint hint = { .flow_id = row->flow_id, .boot = row->boot };

	return store_read_pieces(c->scan->reader, c->span, &hint, true, take_theirs, c);
}

int whole_complete(struct whole **w, struct scan *s, struct store_span span)
{
	struct completing c = { .some = *w, .scan = s, .span = span };
	struct store_hint none = { 0 };
	int r = whole_new(&c.all);

	if (r == 0)
		r = scan_overlay(s, span, take_theirs, &c);
	if (r == 0 && s->reader)
		r = c.some->n <= LOOK_UPS_MAX
			    ? whole_each(c.some, look_up, &c)
			    : store_read_pieces(s->reader, span, &none, true, take_theirs, &c);
	*w = c.all;
	whole_free(c.some);
	return r;
}

/* ---- all flows ---- */

struct putting {
	struct whole *whole;
	store_row_fn fn;
	void *ctx;
};

static int on_row(void *ctx, const struct store_row *row)
{
	struct putting *p = ctx;
	int r;

	if (whole_already(row))
		return p->fn(p->ctx, row);
	r = whole_add(p->whole, row);
	return r < 0 ? r : 0;
}

int whole_flows(struct scan *s, struct store_span span, const struct store_hint *hint,
		store_row_fn fn, void *ctx)
{
	_cleanup_(whole_freep) struct whole *w = NULL;
	int r = whole_new(&w);

	if (r == 0)
		r = scan_rows(s, span, hint, false, on_row, &(struct putting){ w, fn, ctx });
	/* a name, or a program, may be that of later pieces alone */
	if (r == 0 && (hint->name.n || hint->exe_name.n))
		r = whole_complete(&w, s, span);
	return r == 0 ? whole_each(w, fn, ctx) : r;
}
