/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequence numbers (RFC 9293). For each side: `next` is the highest sequence number it has used, and up to two holes
 * below it are remembered, so that reordered segments count as new bytes and repeated ones as retransmits. Sequence
 * numbers wrap: they are only compared by their signed difference.
 *
 * Round trip: from SYN to the opener's first ACK, that is SYN to SYN/ACK plus SYN/ACK to ACK. Wherever the capture was
 * taken, one of the two parts holds what the other lacks.
 */
#include "base/time.h"
#include "decode/packet.h"
#include "flow/table.h"

#define JUMP_MAX (1 << 30) /* larger steps are no gap but another connection or garbage */

static int32_t seq_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static void hole_add(struct flow_tcp *s, uint32_t from, uint32_t to)
{
	/* The lowest one is given up: what fills it later counts as a retransmit. */
	if (s->n_holes == FLOW_TCP_HOLES)
		s->n_holes--;
	for (int i = s->n_holes; i > 0; i--)
		s->hole[i] = s->hole[i - 1];
	s->hole[0].from = from;
	s->hole[0].to = to;
	s->n_holes++;
}

static void hole_del(struct flow_tcp *s, int i)
{
	for (s->n_holes--; i < s->n_holes; i++)
		s->hole[i] = s->hole[i + 1];
}

/* How many bytes of [from, to) fill holes; the holes shrink. A piece out of a hole's middle keeps the larger rest. */
static uint32_t holes_fill(struct flow_tcp *s, uint32_t from, uint32_t to)
{
	uint32_t filled = 0;

	for (int i = s->n_holes - 1; i >= 0; i--) {
		uint32_t a = s->hole[i].from, b = s->hole[i].to;
		uint32_t lo = seq_diff(from, a) > 0 ? from : a;
		uint32_t hi = seq_diff(to, b) < 0 ? to : b;

		if (seq_diff(hi, lo) <= 0)
			continue;
		filled += hi - lo;
		if (lo == a && hi == b)
			hole_del(s, i);
		else if (lo - a >= b - hi)
			s->hole[i].to = lo;
		else
			s->hole[i].from = hi;
	}
	return filled;
}

/* Of `len` bytes at `seq`, how many were not seen before? */
static uint32_t fresh_bytes(struct flow_tcp *s, uint32_t seq, uint32_t len)
{
	uint32_t end = seq + len, fresh = 0;
	int32_t d = seq_diff(seq, s->next);

	if (!(s->seen & SEEN_NEXT) || d > JUMP_MAX) {
		s->seen |= SEEN_NEXT;
		s->n_holes = 0;
		s->next = end;
		return len;
	}
	if (d >= 0) {
		if (d > 0)
			hole_add(s, s->next, seq);
		s->next = end;
		return len;
	}
	if (seq_diff(end, s->next) > 0) {
		fresh = end - s->next;
		end = s->next;
		s->next = seq + len;
	}
	return fresh + (s->n_holes ? holes_fill(s, seq, end) : 0);
}

/* A SYN with another initial number is another connection that took over the ports. */
bool tcp_starts_anew(const struct flow *f, enum flow_side side, const struct event_packet *p)
{
	const struct flow_tcp *s = &f->tcp[side];

	if (f->live || (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	if (s->seen & SEEN_SYN)
		return p->seq != s->isn;
	/* No SYN of this side yet: the first packet was not one, or the other side's came first. */
	return f->flags & FLOW_ENDING || f->state != FLOW_NEW;
}

static void syn(struct flow *f, enum flow_side side, const struct event *e)
{
	const struct event_packet *p = &e->packet;
	struct flow_tcp *s = &f->tcp[side];

	if (s->seen & SEEN_SYN) {
		f->retransmits++;
	} else {
		s->seen |= SEEN_SYN | SEEN_NEXT | SEEN_LOOK;
		s->n_holes = 0;
		s->isn = p->seq;
		s->next = s->look = p->seq + 1;
	}
	if (!(p->tcp_flags & TCP_ACK)) {
		/* Of a repeated SYN the last one counts (Karn): its answer follows. */
		if (side == TO_SERVER && !(f->tcp[TO_CLIENT].seen & SEEN_SYN))
			f->syn_ns = e->time_ns;
		return;
	}
	if (f->state == FLOW_NEW)
		f->state = FLOW_ESTABLISHED;
	if (f->flags & FLOW_RTT_DONE || side != TO_CLIENT)
		return;
	if (!(f->tcp[TO_SERVER].seen & SEEN_SYN))
		f->syn_ns = e->time_ns;
	else if (!f->rtt_us && e->time_ns >= f->syn_ns)
		f->rtt_us = (uint32_t)((e->time_ns - f->syn_ns) / NSEC_PER_USEC) ?: 1;
}

static void plain_ack(struct flow *f, enum flow_side side, const struct event *e)
{
	/* Whatever the capture missed of the handshake, both sides are past it. */
	if (f->state == FLOW_NEW)
		f->state = FLOW_ESTABLISHED;
	if (side != TO_SERVER || f->flags & FLOW_RTT_DONE || !(f->tcp[TO_CLIENT].seen & SEEN_SYN))
		return;
	f->flags |= FLOW_RTT_DONE;
	if (f->syn_ns && e->time_ns >= f->syn_ns)
		f->rtt_us = (uint32_t)((e->time_ns - f->syn_ns) / NSEC_PER_USEC) ?: 1;
}

static void reset(struct flow *f, enum flow_side side)
{
	f->resets++;
	if (f->flags & FLOW_ENDING)
		return;
	f->end = f->state == FLOW_NEW && side == TO_CLIENT ? END_FAILED : END_RESET;
	f->state = FLOW_CLOSED;
	f->flags |= FLOW_ENDING;
}

static bool fin_is_acked(const struct flow *f, enum flow_side side)
{
	const struct flow_tcp *from = &f->tcp[side], *by = &f->tcp[!side];

	return by->seen & SEEN_ACK && seq_diff(by->acked, from->next) > 0;
}

static void finish(struct flow_table *t, struct flow *f)
{
	if (!(f->tcp[0].seen & f->tcp[1].seen & SEEN_FIN) || f->flags & FLOW_ENDING)
		return;
	f->end = END_FIN;
	f->state = FLOW_CLOSED;
	if (fin_is_acked(f, 0) && fin_is_acked(f, 1))
		f->flags |= FLOW_ENDING;
	else
		flow_set_class(t, f, IDLE_TCP_WAIT);
}

/* An ACK that repeats the byte before `next`, acknowledged long ago, only asks whether the other side lives. */
static bool is_keep_alive(const struct flow *f, enum flow_side side, const struct event_packet *p)
{
	const struct flow_tcp *s = &f->tcp[side], *o = &f->tcp[!side];

	return p->payload_bytes <= 1 && s->seen & SEEN_NEXT && p->seq == s->next - 1 &&
	       o->seen & SEEN_ACK && seq_diff(o->acked, s->next) >= 0;
}

static uint32_t segment(struct flow *f, enum flow_side side, const struct event_packet *p)
{
	struct flow_tcp *s = &f->tcp[side];
	uint32_t seq = p->seq + !!(p->tcp_flags & TCP_SYN), fresh;

	if (is_keep_alive(f, side, p))
		return 0;
	fresh = fresh_bytes(s, seq, p->payload_bytes);
	if (p->packets) {
		f->half[side].payload += fresh;
		if (fresh < p->payload_bytes)
			f->retransmits++;
	}
	return fresh;
}

static void fin(struct flow *f, enum flow_side side, const struct event_packet *p)
{
	struct flow_tcp *s = &f->tcp[side];

	if (s->seen & SEEN_FIN && !p->payload_bytes)
		f->retransmits++;
	if (!(s->seen & SEEN_NEXT)) {
		s->seen |= SEEN_NEXT;
		s->next = p->seq + p->payload_bytes;
	}
	s->seen |= SEEN_FIN;
}

/* *ret_fresh: how many of its payload bytes had not been seen before. */
void tcp_packet(struct flow_table *t, struct flow *f, enum flow_side side, const struct event *e,
		uint32_t *ret_fresh)
{
	const struct event_packet *p = &e->packet;
	struct flow_tcp *s = &f->tcp[side];

	f->half[side].tcp_flags |= p->tcp_flags;
	if (p->tcp_flags & TCP_SYN)
		syn(f, side, e);
	*ret_fresh = p->payload_bytes ? segment(f, side, p) : 0;
	if (p->tcp_flags & TCP_ACK && !(p->tcp_flags & TCP_RST)) {
		if (!(s->seen & SEEN_ACK) || seq_diff(p->ack, s->acked) > 0)
			s->acked = p->ack;
		s->seen |= SEEN_ACK;
		if (!(p->tcp_flags & TCP_SYN))
			plain_ack(f, side, e);
		if (f->stream)
			payload_gap(t, f, !side, p->ack);
	}
	if (f->live)
		return;
	if (f->state == FLOW_ESTABLISHED && f->idle_class == IDLE_TCP_WAIT)
		flow_set_class(t, f, IDLE_TCP);
	if (p->tcp_flags & TCP_FIN)
		fin(f, side, p);
	if (p->tcp_flags & TCP_RST)
		reset(f, side);
	else
		finish(t, f);
	if (f->flags & FLOW_ENDING)
		flow_set_class(t, f, IDLE_TCP_OVER);
}
