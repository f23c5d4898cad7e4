/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a gateway forwards, and policy: the same questions as of a socket (gate.h), asked of each packet from inside, with
 * nobody's program, user or container behind it. What else differs from a host:
 *
 *   spoofed      the source's own way leads through another inside interface, or it is of a flow's other end and leads anywhere
 *                else: refused, whatever the rules say
 *   mid-stream   a TCP flow that no SYN began. For a while after egretd began it is taken for one from before; later its
 *                first bytes are somewhere nobody looked, so no rule that rests on a name lets it pass
 *   again        the first bytes a second time: who can write packets may have shown us others than the server gets
 *   early        bytes behind the first ones, before them: held until those were read
 *   astray       bytes of a connection whose SYN was not answered, or that begin before its first: from then on no rule that
 *                rests on a name lets the flow pass
 *   fragments    the first bytes of a cut packet say nothing
 *   errors       ICMP about a flow that passes goes with it (RFC 5927: small, and with a packet of that flow in it)
 *
 * A flow gets its place (eg_gate_flows) when a packet of it passes. What is refused from its first packet on is remembered
 * elsewhere, where it pushes out only its like: nobody fills the table with what he may not send.
 */
#pragma once

#include "forward_fragments.h"

#define EG_GATE_TOPPED 1   /* of `topped`: payload from inside passed */
#define EG_GATE_PIECES 4   /* the first of it came in pieces */
#define EG_GATE_ANSWERED 8 /* the other end knows where it begins: it has acknowledged our SYN */
#define EG_GATE_START (1U << 30) /* bytes in which sequence numbers tell before from after */
#define EG_GATE_REFUSED 16384
#define EG_GATE_GRACE_NS 120000000000ULL /* for flows from before */
#define EG_ERROR_MAX_V4 576              /* RFC 1812, 4.3.2.3 */
#define EG_ERROR_MAX_V6 1280             /* RFC 4443, 2.4 */

/* When this machine's gateway was first watched; 0 with no gateway. Set by user space. */
__u64 gate_since_ns = 0;

#define EG_GATE_REFUSED_NS 1000000000ULL /* then it is asked anew: names may have come */

struct eg_gate_refused {
	struct eg_judged judged;
	__u64 at_ns;
	__u64 cookie, visible_name;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EG_GATE_REFUSED);
	__type(key, struct eg_key);
	__type(value, struct eg_gate_refused);
} eg_gate_refused SEC(".maps");

/* Of one packet. */
struct eg_gate_packet {
	struct eg_packet p;
	struct eg_key key;
	struct eg_piece piece;
	__u32 l2;    /* bytes before the IP header */
	__u32 len;   /* of the IP packet, without padding */
	__u32 bytes; /* as counted … */
	__u32 packets;
	__u8 tx; /* from `key.local` */
	__u8 spoofed, look;
	__u8 follows; /* a later fragment, whose first one passed */
	__u8 refused; /* the flow was, before … */
	__u8 stands;  /* … and a moment ago */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, EG_GATE_FLOWS);
	__type(key, struct eg_key);
	__type(value, struct eg_gate_flow);
} eg_gate_flows SEC(".maps");

static const struct eg_gate_flow eg_no_gate_flow; /* too large for the stack */

/* A number that no socket has. */
static __always_inline __u64 eg_gate_cookie(void)
{
	return 1ULL << 63 | (bpf_ktime_get_ns() << 6 & ~(1ULL << 63)) |
	       (bpf_get_smp_processor_id() & 63);
}

static __noinline struct eg_gate_flow *eg_gate_new(const struct eg_key *k, __u64 cookie)
{
	struct eg_gate_flow *f;

	if (!k)
		return NULL;
	bpf_map_update_elem(&eg_gate_flows, k, &eg_no_gate_flow, BPF_NOEXIST);
	f = bpf_map_lookup_elem(&eg_gate_flows, k); /* another CPU may have been faster */
	if (f && !__sync_val_compare_and_swap(&f->cookie, 0, cookie)) {
		f->sock.key = *k;
		f->sock.hot.last_tick = bpf_jiffies64();
	}
	return f;
}

/* Began without us, and not because we had only just come. */
static __always_inline int eg_gate_is_late(const struct eg_packet *p)
{
	return p->proto == EG_PROTO_TCP && (p->tcp_flags & (EG_SYN | EG_ACK)) != EG_SYN &&
	       eg_epoch() && bpf_ktime_get_ns() - gate_since_ns > EG_GATE_GRACE_NS;
}

/* Does its payload begin where the connection's does? */
static __always_inline int eg_gate_is_first(const struct eg_sock *s, const struct eg_packet *p)
{
	return (s->hot.flags & EG_TX_ISN) &&
	       p->seq + ((p->tcp_flags & EG_SYN) ? 1 : 0) == s->tx.isn + 1;
}

/* A flow that passes whatever is still to come, or what its first payload said: may this packet say otherwise? */
static __always_inline int eg_gate_look_again(struct __sk_buff *skb, const struct eg_gate_flow *f,
					      const struct eg_gate_packet *g)
{
	const struct eg_sock *s = &f->sock;
	const struct eg_packet *p = &g->p;

	if (!p->payload_len || !(s->judged.flags & EG_JUDGED_PAYLOAD))
		return EG_LOOK_NO;
	if (g->piece.kind != EG_WHOLE && p->proto == EG_PROTO_TCP)
		return eg_gate_is_first(s, p) ? EG_LOOK_LATE : EG_LOOK_NO;
	if (g->piece.kind != EG_WHOLE)
		return (s->hot.flags & EG_AGAIN) && eg_look_dgram(skb, &s->judged, p) ? EG_LOOK_LATE
										      : EG_LOOK_NO;
	if (p->proto != EG_PROTO_TCP)
		return s->hot.flags & EG_AGAIN ? eg_look_dgram(skb, &s->judged, p) : EG_LOOK_NO;
	if (eg_gate_is_first(s, p) && !(f->topped & EG_GATE_PIECES))
		return EG_LOOK_AFRESH;
	return s->hot.flags & EG_HTTP ? eg_look_tcp(skb, s, p) : EG_LOOK_NO;
}

#define EG_LOOK_EARLY 5 /* before the first payload */

/*
 * Bytes of which nobody can say where in the connection the other end puts them: it has not answered the SYN, or they begin
 * before the first, which nobody's kernel sends.
 */
static __always_inline int eg_gate_is_astray(const struct eg_gate_flow *f,
					     const struct eg_packet *p)
{
	const struct eg_sock *s = &f->sock;

	if (p->proto != EG_PROTO_TCP || !p->payload_len || (p->tcp_flags & EG_SYN) ||
	    !(s->hot.flags & EG_TX_ISN))
		return 0;
	return !(f->topped & EG_GATE_ANSWERED) ||
	       ((__u64)s->payload[0] < EG_GATE_START && (__s32)(p->seq - s->tx.isn - 1) < 0 &&
		(__s32)(p->seq + p->payload_len - s->tx.isn - 1) > 0);
}

static __always_inline int eg_gate_look(struct __sk_buff *skb, const struct eg_gate_flow *f,
					const struct eg_gate_packet *g)
{
	const struct eg_sock *s = &f->sock;
	const struct eg_packet *p = &g->p;
	int look;

	if (p->proto != EG_PROTO_TCP && g->piece.kind == EG_WHOLE)
		return eg_look_dgram(skb, &s->judged, p);
	if (g->piece.kind != EG_WHOLE)
		return p->payload_len ? EG_LOOK_LATE : EG_LOOK_NO;
	look = eg_look_tcp(skb, s, p);
	if (look == EG_LOOK_LATE && (s->hot.flags & EG_TX_ISN) && !(f->topped & EG_GATE_TOPPED))
		return EG_LOOK_EARLY;
	return look;
}

/*
 * EG_PASS, EG_ASK, or EG_HOLD for payload that comes before the connection's first: it comes again. `f` is NULL for a flow
 * that has no place yet.
 */
static __noinline int eg_gate_known(struct __sk_buff *skb, struct eg_gate_flow *f,
				    struct eg_gate_packet *g)
{
	__u32 epoch = eg_epoch();
	struct eg_sock *s;
	int passes;

	if (!g)
		return EG_PASS;
	g->look = EG_LOOK_NO;
	if (!f) {
		if (g->p.payload_len)
			g->look = g->piece.kind == EG_WHOLE ? EG_LOOK : EG_LOOK_LATE;
		return epoch ? EG_ASK : EG_PASS;
	}
	s = &f->sock;
	if (!epoch) {
		s->hot.passes = 0;
		return EG_PASS;
	}
	if (g->spoofed)
		return EG_ASK;
	if (s->hot.flags & EG_INBOUND)
		return EG_PASS;
	passes = s->hot.passes == (__u8)epoch;
	g->look = passes ? eg_gate_look_again(skb, f, g) : eg_gate_look(skb, f, g);
	if (g->look == EG_LOOK_NO && !(s->judged.flags & EG_JUDGED_PAYLOAD) && passes)
		return EG_PASS;
	if (eg_gate_is_astray(f, &g->p)) {
		__sync_fetch_and_or(&s->hot.flags, EG_RAW);
		eg_ask_again(s);
		g->look = EG_LOOK_LATE;
		return EG_ASK;
	}
	if (g->look == EG_LOOK_EARLY)
		return eg_unjudged() ? EG_PASS : EG_HOLD;
	if (passes && g->look == EG_LOOK_NO)
		return EG_PASS;
	if (eg_known(&s->judged, epoch, g->look) <= 0)
		return EG_ASK;
	if (s->judged.flags & EG_JUDGED_FINAL)
		s->hot.passes = epoch;
	return EG_PASS;
}

/* --- errors about flows ------------------------------------------------------------------------------------------- */
static __always_inline int eg_is_error(const struct eg_packet *p)
{
	if (p->proto == EG_PROTO_ICMP)
		return p->sport == 3 || p->sport == 11 || p->sport == 12;
	return p->proto == EG_PROTO_ICMPV6 && p->sport >= 1 && p->sport <= 4;
}

/* Is an error of ICMP from inside about a flow that passes? It goes to whoever sent the packet in it. */
static __noinline int eg_gate_about(struct __sk_buff *skb, const struct eg_gate_packet *g)
{
	__u32 at, ports;
	struct eg_key k = {}, back = {};
	struct eg_gate_flow *f;
	__u8 h[40], t[4];

	if (!g || g->piece.kind != EG_WHOLE || !eg_is_error(&g->p))
		return 0;
	at = g->l2 + g->p.ip_header + 8;
	if (g->p.v6) {
		if (g->len > EG_ERROR_MAX_V6 || bpf_skb_load_bytes(skb, at, h, 40))
			return 0;
		__builtin_memcpy(k.remote, h + 8, 16);
		__builtin_memcpy(k.local, h + 24, 16);
		k.proto = h[6];
		ports = at + 40;
	} else {
		if (g->len > EG_ERROR_MAX_V4 || bpf_skb_load_bytes(skb, at, h, 20))
			return 0;
		eg_put_v4(k.remote, *(__be32 *)(h + 12));
		eg_put_v4(k.local, *(__be32 *)(h + 16));
		k.proto = h[9];
		ports = at + (h[0] & 15) * 4;
	}
	if (!eg_addr_eq(k.remote, g->p.dst) || bpf_skb_load_bytes(skb, ports, t, 4))
		return 0;
	if (k.proto == EG_PROTO_TCP || k.proto == EG_PROTO_UDP || k.proto == EG_PROTO_UDPLITE ||
	    k.proto == EG_PROTO_SCTP) {
		k.rport = t[0] << 8 | t[1];
		k.lport = t[2] << 8 | t[3];
	}
	f = bpf_map_lookup_elem(&eg_gate_flows, &k);
	if (!f) { /* from one inside interface to another */
		__builtin_memcpy(back.local, k.remote, 16);
		__builtin_memcpy(back.remote, k.local, 16);
		back.lport = k.rport;
		back.rport = k.lport;
		back.proto = k.proto;
		f = bpf_map_lookup_elem(&eg_gate_flows, &back);
	}
	return f && !(f->sock.judged.flags & EG_JUDGED_REFUSES);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

/* The packet as a case, in r->c. 0 when nothing need be asked. */
static __noinline int eg_gate_case(struct __sk_buff *skb, struct eg_gate_flow *f,
				   struct eg_gate_packet *g, struct eg_room *r)
{
	struct eg_gate_refused *was;
	struct eg_case *c;

	if (!g || !r)
		return 0;
	if (!g->spoofed && eg_gate_about(skb, g))
		return 0;
	c = &r->c;
	r->packet = g->p;
	r->look = g->look;
	__builtin_memset(c, 0, sizeof(*c));
	c->zone = ((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net->net_cookie;
	c->owner.uid = -1U;
	c->flags = EG_FORWARDED;
	c->epoch = eg_epoch();
	c->spoofed = g->spoofed;
	if (f && !g->spoofed) {
		c->cookie = f->cookie;
		c->flags |= f->sock.hot.flags;
		eg_case_flow(c, &f->sock);
	} else {
		c->cookie = eg_gate_cookie();
		was = g->spoofed ? NULL : bpf_map_lookup_elem(&eg_gate_refused, &g->key);
		g->refused = was != NULL;
		g->stands = 0;
		if (was) {
			c->judged = was->judged;
			g->stands = bpf_ktime_get_ns() - was->at_ns <= EG_GATE_REFUSED_NS;
			if (!g->stands)
				c->judged.gen = 0;
			c->visible_name = was->visible_name;
			c->cookie = was->cookie;
			if (g->p.proto != EG_PROTO_TCP && g->piece.kind == EG_WHOLE)
				r->look = eg_look_dgram(skb, &c->judged, &g->p);
		}
		c->raw = eg_gate_is_late(&g->p);
	}
	c->raw |= g->piece.kind != EG_WHOLE || (c->flags & EG_RAW) != 0;
	eg_case_packet(c, skb, &r->packet);
	c->bytes = g->bytes;
	return 1;
}

/* What came of it goes to the flow; one that passes for the first time gets a place. NULL: it has none. */
static __noinline struct eg_gate_flow *
eg_gate_judged(struct eg_gate_flow *f, struct eg_gate_packet *g, struct eg_room *r, int verdict)
{
	struct eg_gate_refused no = {};

	if (!g || !r || g->spoofed)
		return f;
	if (!f && verdict == EG_REFUSE) {
		if (g->stands)
			return NULL;
		no.judged = r->c.judged;
		no.at_ns = bpf_ktime_get_ns();
		no.cookie = r->c.cookie;
		no.visible_name = r->c.visible_name;
		bpf_map_update_elem(&eg_gate_refused, &g->key, &no, BPF_ANY);
		return NULL;
	}
	if (!f) {
		f = eg_gate_new(&g->key, r->c.cookie);
		if (!f)
			return NULL;
		if (r->c.raw && g->piece.kind == EG_WHOLE)
			__sync_fetch_and_or(&f->sock.hot.flags, EG_RAW);
		if (g->refused)
			bpf_map_delete_elem(&eg_gate_refused, &g->key);
	}
	if (verdict == EG_REFUSE && g->piece.kind != EG_WHOLE &&
	    f->sock.hot.passes == (__u8)r->c.epoch)
		return f; /* said of this packet */
	eg_flow_judged(&f->sock, r, verdict);
	if (g->p.proto == EG_PROTO_TCP && g->look == EG_LOOK && verdict == EG_PASS &&
	    (f->sock.hot.flags & EG_TX_ISN) && !eg_gate_is_first(&f->sock, &g->p))
		f->topped |= EG_GATE_PIECES;
	return f;
}
