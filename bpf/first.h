/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the first payload of a flow says of itself, before it leaves: its application protocol, and the name in it: SNI of a
 * TLS ClientHello (split over segments and records), Host of an HTTP request, SNI of a QUIC Initial or of DTLS. Nearly all
 * come whole in one packet and are read in a borrowed workspace. What comes in pieces is kept in an LRU map meanwhile; who
 * pushes others out of it makes their names unreadable, never passable: the caller knows that the flow had begun.
 *
 * Egress runs in process context, where a softirq that sends, or another task, may come in between: a workspace is claimed
 * by a swap, not by CPU.
 */
#pragma once

#include "policy.h"
#include "wire.h"

#define EG_ONCE __noinline
#define EG_NAME_KEY name_key
#define EG_LOOP(n, fn, ctx) bpf_loop(n, fn, ctx, 0)
#define EG_COPY(to, n, from)                                             \
	do {                                                             \
		__u32 n_ = (n);                                          \
                                                                         \
		asm volatile("" : "+r"(n_));                             \
		if (n_ <= EG_FIRST_MAX)                                  \
			bpf_probe_read_kernel((void *)(to), n_, (from)); \
	} while (0)

#include "datagram.h"
#include "stream.h"

#define EG_WORKSPACES 64
#define EG_WORKSPACE_TRIES 32
#define EG_FLIGHTS 2048

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_WORKSPACES);
	__type(key, __u32);
	__type(value, struct eg_first);
} eg_workspaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EG_FLIGHTS);
	__type(key, struct eg_flight_key);
	__type(value, struct eg_flight);
} eg_flights SEC(".maps");

static __noinline struct eg_first *eg_first_take(void)
{
	__u32 from = bpf_get_smp_processor_id() * 4, i, at;
	struct eg_first *w;

	for (i = 0; i < EG_WORKSPACE_TRIES; i++) {
		at = (from + i) & (EG_WORKSPACES - 1);
		w = bpf_map_lookup_elem(&eg_workspaces, &at);
		if (w && !w->busy && !__sync_val_compare_and_swap(&w->busy, 0, 1))
			return w;
	}
	eg_lose_one(EG_LOSS_MAP_JUDGE);
	return NULL;
}

static __always_inline void eg_first_give(struct eg_first *w)
{
	__sync_lock_test_and_set(&w->busy, 0);
}

/* What is remembered of the flow into the workspace: 0 when nothing is. The map may hand the place on while it is read. */
static __always_inline int eg_flight_recall(struct eg_first *w)
{
	struct eg_flight *f = bpf_map_lookup_elem(&eg_flights, &w->id);

	if (!f || bpf_probe_read_kernel(&w->kept, sizeof(*f), f))
		return 0;
	asm volatile("" ::: "memory");
	return w->kept.cookie == w->id.cookie && *(volatile __u64 *)&f->kept.cookie == w->id.cookie;
}

static __always_inline int eg_flight_keep(struct eg_first *w)
{
	w->kept.cookie = w->id.cookie;
	return bpf_map_update_elem(&eg_flights, &w->id, &w->kept, BPF_ANY);
}

/* One segment into the flight. -1: it does not fit there; 0: nothing new; 1: more bytes than before. */
static __always_inline int eg_first_segment(struct __sk_buff *skb, const struct eg_packet *p,
					    struct eg_first *w, __u32 seq)
{
	__u32 off = seq - w->kept.base, n = p->payload_len;

	if (off > 0x7fffffff)
		return 0; /* from before: a keep-alive probe, an earlier request */
	if (off >= EG_FIRST_MAX)
		return -1;
	if (n > EG_FIRST_MAX - off)
		n = EG_FIRST_MAX - off;
	asm volatile("" : "+r"(n), "+r"(off));
	if (!n || n > EG_FIRST_MAX || off >= EG_FIRST_MAX)
		return 0;
	if (bpf_skb_load_bytes(skb, p->payload_at, &w->bytes[off], n))
		return -1;
	return !!(eg_flight_take(w, off, off + n) & EG_TOOK_NEW);
}

/* An option of TCP; parse.flag: MPTCP's was among them. */
static int eg_option_tcp_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *o = &w->parse;
	__u8 kind = EG_AT(w, o->at), len = EG_AT(w, o->at + 1);

	if (o->at >= o->end || !kind)
		return 1;
	if (kind == 1) {
		o->at++;
		return 0;
	}
	o->flag = kind == 30;
	o->at += len;
	return o->flag || len < 2;
}

/* One connection of several (MPTCP): its bytes need not be the beginning of anything, and the rest may go another way. */
static __always_inline int eg_is_part(struct __sk_buff *skb, const struct eg_packet *p,
				      struct eg_first *w)
{
	__u32 n = p->tcp_len - 20;

	asm volatile("" : "+r"(n));
	if (p->tcp_len <= 20 || !n || n > 40 ||
	    bpf_skb_load_bytes(skb, p->payload_at - n, &w->bytes[EG_FIRST_PLACE], n))
		return 0;
	w->parse.at = EG_FIRST_PLACE;
	w->parse.end = EG_FIRST_PLACE + n;
	w->parse.flag = 0;
	EG_LOOP(40, eg_option_tcp_step, &w);
	return w->parse.flag;
}

__noinline int eg_first_tcp(struct __sk_buff *skb, const struct eg_packet *p, struct eg_first *w,
			    struct eg_seen *seen)
{
	__u32 seq, n, known;
	int r, part;

	if (!p || !w || !seen)
		return 0;
	part = eg_is_part(skb, p, w);
	seq = p->seq + !!(p->tcp_flags & EG_SYN);
	known = seen->begun;
	seen->visible = EG_VISIBLE_UNREADABLE;
	seen->app = EG_APP_UNKNOWN;
	if (!known) {
		eg_flight_clear(w);
		w->kept.base = seq;
	} else if (!eg_flight_recall(w)) {
		return 0;
	}
	r = eg_first_segment(skb, p, w, seq);
	if (r < 0)
		return 0;
	w->kept.packets += r;
	n = eg_flight_length(w);
	seen->visible = EG_VISIBLE_UNKNOWN;
	seen->app = EG_APP_UNDECIDED;
	eg_stream_look(w, n, n >= EG_FIRST_MAX || w->kept.packets >= EG_FIRST_PACKETS, seen);
	if (part && seen->visible < EG_VISIBLE_NAME)
		seen->visible = EG_VISIBLE_UNREADABLE;
	if (part && !seen->app)
		seen->app = EG_APP_UNKNOWN;
	if (seen->visible && seen->app) {
		if (known)
			bpf_map_delete_elem(&eg_flights, &w->id);
	} else if (eg_flight_keep(w)) {
		seen->visible = EG_VISIBLE_UNREADABLE;
		seen->app = EG_APP_UNKNOWN;
	}
	return 0;
}

#define EG_DATAGRAMS 4      /* of one packet that are looked into; more: unreadable */
#define EG_SEGMENTS_MAX 128 /* of one UDP GSO packet */

/* n bytes at `at` of the packet, a datagram of them. */
static __always_inline void eg_first_datagram(struct __sk_buff *skb, struct eg_first *w, __u32 at,
					      __u32 total, struct eg_seen *seen)
{
	__u32 n = total < EG_FIRST_MAX ? total : EG_FIRST_MAX;
	int lost = 0;

	asm volatile("" : "+r"(n));
	seen->same = 0;
	seen->visible = EG_VISIBLE_NONE;
	seen->app = EG_APP_UNKNOWN;
	if (!n || n > EG_FIRST_MAX || bpf_skb_load_bytes(skb, at, &w->bytes[EG_FIRST_PLACE], n)) {
		seen->same = seen->begun;
		return;
	}
	if (!seen->begun)
		eg_flight_clear(w);
	else if (EG_AT(w, EG_FIRST_PLACE) & 0x80)
		lost = !eg_flight_recall(w);
	if (eg_datagram_look(w, n, total, lost, seen) && eg_flight_keep(w))
		seen->visible = EG_VISIBLE_UNREADABLE;
}

struct eg_segments {
	struct __sk_buff *skb;
	struct eg_parse *at; /* at, end; count: the size of one */
};

/* The next segment of a GSO packet that begins like a hello. */
static int eg_segment_step(__u32 i, struct eg_segments *s)
{
	__u8 first = 0;

	s->at->at += s->at->count;
	if (s->at->at >= s->at->end)
		return 1;
	bpf_skb_load_bytes(s->skb, s->at->at, &first, 1);
	return first & 0x80 || first == 22;
}

/* A UDP packet, of several datagrams where the device or the kernel cuts it. What any of them says counts. */
__noinline int eg_first_udp(struct __sk_buff *skb, struct eg_packet *p, struct eg_first *w,
			    struct eg_seen *seen)
{
	struct eg_segments s;
	struct eg_parse *at;
	__u32 i, size;

	if (!p || !w || !seen)
		return 0;
	__builtin_memcpy(w->id.remote, p->dst, 16);
	w->id.port = p->dport;
	size = skb->gso_segs > 1 ? skb->gso_size : 0;
	if (!size || size >= p->payload_len)
		size = p->payload_len;
	at = &w->segments;
	at->at = p->payload_at;
	at->end = at->at + p->payload_len;
	at->count = size;
	at->bad = at->names = 0;
	at->hash = 0;
	s.skb = skb;
	s.at = at;
	for (i = 0; i < EG_DATAGRAMS; i++) {
		size = at->end - at->at;
		if (size > at->count)
			size = at->count;
		eg_first_datagram(skb, w, at->at, size, seen);
		if (at->at + size >= at->end && !i)
			return 0;
		seen->begun = 1;
		if (!seen->same) {
			at->names = 1;
			at->dot = seen->visible;
			at->doq = seen->app;
			at->bad |= seen->visible == EG_VISIBLE_UNREADABLE;
			if (seen->visible == EG_VISIBLE_NAME) {
				at->bad |= at->hash && at->hash != seen->hash[0];
				at->hash = seen->hash[0];
			}
		}
		bpf_loop(EG_SEGMENTS_MAX, eg_segment_step, &s, 0);
		if (at->at >= at->end)
			break;
	}
	if (at->names) {
		seen->same = 0;
		seen->visible = at->dot;
		seen->app = at->doq;
	}
	if (at->bad || at->at < at->end) {
		seen->same = 0;
		seen->visible = EG_VISIBLE_UNREADABLE;
	}
	return 0;
}

/*
 * One packet with payload from the opener. Until visible is known and app decided, each further one has to be shown, also
 * those that were dropped; seen->begun says whether this is the first.
 */
static __always_inline void eg_first_payload(struct __sk_buff *skb, struct eg_packet *p,
					     __u64 cookie, struct eg_seen *seen)
{
	struct eg_first *w;

	seen->same = 0;
	seen->len = 0;
	seen->n_hash = 0;
	seen->visible = EG_VISIBLE_NONE;
	seen->app = EG_APP_UNKNOWN;
	if (p->proto != EG_PROTO_TCP && p->proto != EG_PROTO_UDP)
		return;
	w = eg_first_take();
	if (!w) {
		seen->visible = EG_VISIBLE_UNREADABLE;
		return;
	}
	w->port = p->dport;
	w->sport = p->sport;
	__builtin_memset(&w->id, 0, sizeof(w->id));
	w->id.cookie = cookie;
	if (p->proto == EG_PROTO_TCP)
		eg_first_tcp(skb, p, w, seen);
	else
		eg_first_udp(skb, p, w, seen);
	eg_first_give(w);
}

/* Must a later datagram of a UDP flow be shown as well? By its first byte: a long header of QUIC, a DTLS handshake. */
static __always_inline int eg_first_again(__u8 first)
{
	return first & 0x80 || first == 22;
}

/* The flow is over, or was decided: what was remembered goes. */
static __always_inline void eg_first_forget(__u64 cookie)
{
	struct eg_flight_key key = {};

	key.cookie = cookie;
	bpf_map_delete_elem(&eg_flights, &key);
}
