/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining what the decoders could not read at one go. Each side has one buffer that begins at flow_tcp.look and a
 * short list of the ranges in it that are there; where segments overlap, the bytes that came first stay, as they do in
 * the receiver. The number of streams and the bytes of all buffers are bounded: the oldest stream is taken from its
 * flow, which then stays as far as it was read (LOSS_TABLE_STREAMS).
 */
#include "flow/table.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "decode/quic.h"

#define SIDE_MIN 2048
#define QUIC_BYTES (19 << 10) /* about what struct quic takes */

static void side_clear(struct flow_table *t, struct stream_side *s)
{
	t->stream_bytes -= s->cap;
	free(s->p);
	*s = (struct stream_side){ 0 };
}

void stream_put(struct flow_table *t, struct flow *f)
{
	struct flow_stream *s = f->stream;

	if (!s)
		return;
	side_clear(t, &s->side[0]);
	side_clear(t, &s->side[1]);
	if (s->quic)
		t->stream_bytes -= QUIC_BYTES;
	quic_free(s->quic);
	buf_done(&s->heads);
	list_del(&s->tls.link);
	list_del(&s->link);
	f->stream = NULL;
	pool_put(&t->streams, s);
}

void stream_free_all(struct flow_table *t)
{
	while (!list_empty(&t->streams_old))
		stream_put(t, container_of(t->streams_old.next, struct flow_stream, link)->flow);
}

/* Takes the oldest stream from its flow; false when there is none but `mine`. */
static bool steal(struct flow_table *t, const struct flow *mine)
{
	list_for_each(it, &t->streams_old) {
		struct flow *f = container_of(it, struct flow_stream, link)->flow;

		if (f == mine)
			continue;
		/* A datagram kept in case the other side's tells more: most never needed it. */
		if (f->look_phase != LOOK_DETECT || f->key.proto == IPPROTO_TCP)
			t->stats.loss[LOSS_TABLE_STREAMS]++;
		payload_stop(t, f);
		return true;
	}
	return false;
}

/* Room for so many bytes more, taken from others if need be. */
static bool make_room(struct flow_table *t, const struct flow *mine, size_t n)
{
	while (t->stream_bytes + n > t->max_stream_bytes)
		if (!steal(t, mine))
			return false;
	return true;
}

struct flow_stream *stream_get(struct flow_table *t, struct flow *f)
{
	struct flow_stream *s = f->stream;

	if (s)
		return s;
	while (!(s = pool_get(&t->streams))) {
		if (!steal(t, f)) {
			t->stats.loss[LOSS_TABLE_STREAMS]++;
			return NULL;
		}
	}
	s->flow = f;
	s->heads = BUF_INIT(FLOW_WINDOW_CLIENT);
	list_init(&s->tls.link);
	list_push_back(&t->streams_old, &s->link);
	f->stream = s;
	return s;
}

/* The state of a QUIC handshake; NULL: none could be had, and the loss was counted. */
struct quic *stream_quic(struct flow_table *t, struct flow *f)
{
	struct flow_stream *s = stream_get(t, f);

	if (!s || s->quic)
		return s ? s->quic : NULL;
	if (!make_room(t, f, QUIC_BYTES) || quic_new(&s->quic) < 0) {
		t->stats.loss[LOSS_TABLE_STREAMS]++;
		return NULL;
	}
	t->stream_bytes += QUIC_BYTES;
	return s->quic;
}

static bool side_grow(struct flow_table *t, struct flow *f, struct stream_side *s, uint32_t n)
{
	uint32_t cap = s->cap ? s->cap : SIDE_MIN;
	char *p;

	while (cap < n)
		cap *= 2;
	if (cap == s->cap)
		return true;
	if (!make_room(t, f, cap - s->cap))
		return false;
	p = realloc(s->p, cap);
	if (!p)
		return false;
	t->stream_bytes += cap - s->cap;
	s->p = p;
	s->cap = cap;
	return true;
}

/* Copies what of [from, from + bytes.n) is not there yet. */
static void fill(struct stream_side *s, uint32_t from, struct str bytes)
{
	uint32_t at = from, end = from + (uint32_t)bytes.n;

	for (uint32_t i = 0; i < s->n_ranges && at < end; i++) {
		uint32_t stop = MIN(s->range[i].from, end);

		if (s->range[i].to <= at)
			continue;
		if (stop > at)
			memcpy(s->p + at, bytes.p + (at - from), stop - at);
		at = MAX(at, s->range[i].to);
	}
	if (at < end)
		memcpy(s->p + at, bytes.p + (at - from), end - at);
}

static void ranges_add(struct stream_side *s, uint32_t from, uint32_t to)
{
	uint32_t n = 0, i = 0;
	__typeof__(s->range[0]) out[STREAM_RANGES + 1];

	while (i < s->n_ranges && s->range[i].to < from)
		out[n++] = s->range[i++];
	for (; i < s->n_ranges && s->range[i].from <= to; i++) {
		from = MIN(from, s->range[i].from);
		to = MAX(to, s->range[i].to);
	}
	out[n].from = from;
	out[n++].to = to;
	while (i < s->n_ranges)
		out[n++] = s->range[i++];
	/* One too many: the farthest is forgotten, and is a gap when its turn comes. */
	s->n_ranges = MIN(n, (uint32_t)STREAM_RANGES);
	memcpy(s->range, out, s->n_ranges * sizeof(out[0]));
}

/*
 * Keeps `bytes`, which begin `off` after flow_tcp.look, as far as they lie below `max`. False: no buffer could be had,
 * and the loss was counted.
 */
bool stream_insert(struct flow_table *t, struct flow *f, enum flow_side side, uint32_t off,
		   struct str bytes, uint32_t max)
{
	struct flow_stream *s = stream_get(t, f);

	if (!s)
		return false;
	if (off >= max || !bytes.n)
		return true;
	bytes = str_sub(bytes, 0, max - off);
	if (!side_grow(t, f, &s->side[side], off + (uint32_t)bytes.n)) {
		t->stats.loss[LOSS_TABLE_STREAMS]++;
		return false;
	}
	fill(&s->side[side], off, bytes);
	ranges_add(&s->side[side], off, off + (uint32_t)bytes.n);
	return true;
}

/* The bytes that are there without a gap from flow_tcp.look on. */
struct str stream_head(const struct flow *f, enum flow_side side)
{
	const struct stream_side *s = f->stream ? &f->stream->side[side] : NULL;

	if (!s || !s->n_ranges || s->range[0].from)
		return STR_NONE;
	return (struct str){ s->p, s->range[0].to };
}

/* The first n bytes were read for good; n may lie beyond what is there. */
void stream_drop(struct flow *f, enum flow_side side, uint32_t n)
{
	struct stream_side *s = f->stream ? &f->stream->side[side] : NULL;
	uint32_t kept = 0, end;

	f->tcp[side].look += n;
	if (!s || !s->n_ranges || !n)
		return;
	end = s->range[s->n_ranges - 1].to;
	if (end > n)
		memmove(s->p, s->p + n, end - n);
	for (uint32_t i = 0; i < s->n_ranges; i++) {
		if (s->range[i].to <= n)
			continue;
		s->range[kept].from = s->range[i].from > n ? s->range[i].from - n : 0;
		s->range[kept++].to = s->range[i].to - n;
	}
	s->n_ranges = kept;
}

static uint32_t after_gap(const struct stream_side *s)
{
	if (!s->n_ranges)
		return 0;
	if (s->range[0].from)
		return s->range[0].from;
	return s->n_ranges > 1 ? s->range[1].from : 0;
}

/* Where the bytes go on behind the first gap, from flow_tcp.look; 0: there is no gap. */
uint32_t stream_gap_end(const struct flow *f, enum flow_side side)
{
	return f->stream ? after_gap(&f->stream->side[side]) : 0;
}
