/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gateway: tc ingress and egress of the inside interfaces, where addresses are those of the machines inside, before
 * and after NAT. `local` of a flow is the machine inside.
 *
 *   ingress   what comes from inside and is to be forwarded: asked of policy, then counted; what is for this host is left
 *             out (the route says so)
 *   egress    what came in on an interface that is not inside: counted; what this host sends itself has no such interface
 *
 * Between two inside interfaces a packet is asked and counted where it enters, and nowhere else. Flows are kept by their
 * addresses and ports; the sweep (walk.h) ends them. A frame with a VLAN tag is the VLAN interface's business.
 *
 *   eg_gate_in: read -> find -> known? -> (forward_judge.h: case -> eg_judge_packet -> judged) -> take: count, first bytes
 */
#pragma once

#include "backstop.h"
#include "capture.h"
#include "dgram.h"
#include "forward_judge.h"
#include "forward_reject.h"
#include "limit.h"
#include "tcp.h"

#define EG_GATE_HOST 0
#define EG_GATE_INET 2
#define EG_GATE_INET6 10
#define EG_GATE_IP 0x0800 /* of Ethernet */
#define EG_GATE_IPV6 0x86dd
#define EG_GATE_VID 0xfff

/* Indices of the inside interfaces. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_GATE_INSIDE);
	__type(key, __u32);
	__type(value, __u8);
} eg_gate_inside SEC(".maps");

/* Of one packet: too large for the stack, on which the evaluator lies as well. Nothing else runs on this CPU meanwhile. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_gate_packet);
} eg_gate_scratch SEC(".maps");

static __always_inline int eg_gate_is_local_scope(const __u8 a[16])
{
	return a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

/* Does the sender say which way it shall go (RFC 791: loose and strict source route)? The kernel may follow him past us. */
static __noinline int eg_gate_is_led(struct __sk_buff *skb, __u32 base, __u32 end)
{
	__u32 at = 20, i;
	__u8 o[2];

	for (i = 0; i < 40 && at + 1 < end; i++) {
		if (bpf_skb_load_bytes(skb, base + at, o, 2) || !o[0])
			return 0;
		if (o[0] == 131 || o[0] == 137)
			return 1;
		if (o[0] != 1 && o[1] < 2)
			return 0;
		at += o[0] == 1 ? 1 : o[1];
	}
	return 0;
}

#define EG_GATE_NONE (-1) /* no IP packet that could be forwarded */
#define EG_GATE_UNREAD (-2)

/* 0, EG_GATE_NONE, or EG_GATE_UNREAD. */
static __noinline int eg_gate_read(struct __sk_buff *skb, struct eg_gate_packet *g, int tx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(skb);
	__u64 room;
	__u32 len;
	__u8 h[8];

	if (!g)
		return EG_GATE_NONE;
	if (skb->vlan_present &&
	    (skb->protocol == bpf_htons(0x8100) || skb->protocol == bpf_htons(0x88a8)))
		return EG_GATE_UNREAD; /* VLAN 0 within VLAN 0: the kernel would take it */
	if (skb->protocol != bpf_htons(EG_GATE_IP) && skb->protocol != bpf_htons(EG_GATE_IPV6))
		return EG_GATE_NONE;
	room = (__u64)k->data - (__u64)k->head;
	barrier_var(room); /* else the compiler subtracts the halves of pointers */
	g->l2 = k->network_header - (__u32)room;
	len = skb->len - g->l2;
	if (g->l2 > 64 || skb->len < g->l2 + 20 || eg_parse(skb, g->l2, len, &g->p) ||
	    bpf_skb_load_bytes(skb, g->l2, h, 8))
		return EG_GATE_UNREAD;
	if (tx && !g->p.v6 && g->p.ip_header > 20 && eg_gate_is_led(skb, g->l2, g->p.ip_header))
		return EG_GATE_UNREAD;
	g->len = g->p.v6 ? 40 + (h[4] << 8 | h[5]) : h[2] << 8 | h[3];
	if (skb->gso_segs > 1 || g->len > len || g->len < g->p.ip_header)
		g->len = len;
	if (g->p.payload_len > len - g->len)
		g->p.payload_len -= len - g->len;
	else
		g->p.payload_len = 0;
	g->p.payload_at += g->l2;
	if (g->p.v6 && (eg_gate_is_local_scope(g->p.src) || eg_gate_is_local_scope(g->p.dst)))
		return EG_GATE_NONE;
	g->piece.kind = EG_WHOLE;
	if (!g->p.v6 && ((h[6] & 0x3f) || h[7]))
		eg_piece_v4(h, &g->p, g->len, &g->piece);
	else if (g->p.v6 && (g->p.no_ports || g->p.ip_header > 40))
		eg_piece_v6(skb, g->l2, g->len, &g->piece);
	g->bytes = g->len;
	g->packets = 1;
	g->tx = tx;
	g->spoofed = g->follows = 0;
	return 0;
}

/* On its way out: a device that does not take a GSO packet whole gets its segments. */
static __noinline void eg_gate_cut(struct __sk_buff *skb, struct eg_gate_packet *g)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(skb);
	__u64 need;

	if (!g || skb->gso_segs <= 1)
		return;
	need = g->p.proto != EG_PROTO_TCP ? EG_FEATURE_GSO_UDP_L4
	       : g->p.v6                  ? EG_FEATURE_TSO6
					  : EG_FEATURE_TSO;
	if (k->dev->features & need)
		return;
	g->packets = skb->gso_segs;
	g->bytes += (skb->gso_segs - 1) * (g->p.payload_at - g->l2);
}

static __always_inline int eg_gate_is_inside(__u32 ifindex)
{
	return bpf_map_lookup_elem(&eg_gate_inside, &ifindex) != NULL;
}

/* Where would a packet from `src` to `dst` go? 0: to this host itself, or to nobody. */
static __noinline __u32 eg_gate_route(struct __sk_buff *skb, const struct eg_packet *p, int back)
{
	struct bpf_fib_lookup f = {};
	const __u8 *src, *dst;
	long r;

	if (!p)
		return 0;
	src = back ? p->dst : p->src;
	dst = back ? p->src : p->dst;
	f.ifindex = skb->ifindex;
	f.l4_protocol = p->proto;
	if (p->v6) {
		f.family = EG_GATE_INET6;
		__builtin_memcpy(f.ipv6_src, src, 16);
		__builtin_memcpy(f.ipv6_dst, dst, 16);
	} else {
		f.family = EG_GATE_INET;
		__builtin_memcpy(&f.ipv4_src, src + 12, 4);
		__builtin_memcpy(&f.ipv4_dst, dst + 12, 4);
	}
	r = bpf_fib_lookup(skb, &f, sizeof(f), 0);
	if (r == BPF_FIB_LKUP_RET_FWD_DISABLED && p->v6) {
		f.ifindex =
			1; /* IPv6 is forwarded where `all` says so, whatever the interface does: lo has its value */
		r = bpf_fib_lookup(skb, &f, sizeof(f), 0);
	}
	switch (r) {
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
	case BPF_FIB_LKUP_RET_NOT_FWDED:
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return 0;
	}
	return f.ifindex;
}

/* From inside, with an address that this interface does not lead to (BCP 38, BCP 84: strict). */
static __noinline int eg_gate_is_spoofed(struct __sk_buff *skb, const struct eg_packet *p)
{
	return eg_gate_route(skb, p, 1) != skb->ifindex;
}

static __always_inline int eg_gate_is_over(const struct eg_hot *h)
{
	return ((h->tx_tcp | h->rx_tcp) & EG_RST) || (h->tx_tcp & h->rx_tcp & EG_FIN);
}

/*
 * A SYN that begins another connection with the same addresses and ports. From inside any that is not the flow's own: what
 * was said of the flow was not said of this one. From outside only after the flow's end: nobody out there shall make an
 * answer to him of what was asked of policy.
 */
static __always_inline int eg_gate_is_anew(const struct eg_sock *s, const struct eg_packet *p,
					   int tx)
{
	if ((p->tcp_flags & (EG_SYN | EG_ACK)) != EG_SYN || p->proto != EG_PROTO_TCP ||
	    !(s->hot.flags & EG_KEYED))
		return 0;
	return eg_gate_is_over(&s->hot) ||
	       (tx && (!(s->hot.flags & EG_TX_ISN) || p->seq != s->tx.isn));
}

/* The flow before ends here. Without room to tell, both are one in records. */
static __noinline void eg_gate_again(struct eg_gate_flow *f)
{
	struct eg_counts n;
	struct eg_sock *s;
	struct eg_close *c;

	if (!f)
		return;
	s = &f->sock;
	eg_first_forget(f->cookie);
	c = bpf_ringbuf_reserve(&eg_ring, sizeof(*c), 0);
	if (c) {
		eg_take_counts(s, &n);
		c->rec.type = EG_REC_CLOSE;
		c->rec.time_ns = bpf_ktime_get_ns();
		eg_fill_close(c, s, &n, f->cookie);
		bpf_ringbuf_submit(c, eg_wake());
		s->payload[0] = s->payload[1] = 0;
		f->cookie = eg_gate_cookie();
	} else {
		eg_lose_one(EG_LOSS_RING_FLOW);
	}
	eg_reset(s, EG_FORWARDED);
	f->topped = 0;
}

/* Names the flow, when this is its first packet. */
static __always_inline void eg_gate_begin(struct __sk_buff *skb, struct eg_gate_flow *f,
					  const struct eg_gate_packet *g)
{
	__u32 flags = EG_KEYED | EG_FORWARDED, syn = g->p.tcp_flags & (EG_SYN | EG_ACK);
	struct eg_sock *s = &f->sock;

	s->zone = ((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net->net_cookie;
	s->ifindex = skb->ifindex;
	s->hot.proto = g->p.proto;
	if (eg_dns_port(g->key.lport) || eg_dns_port(g->key.rport))
		flags |= EG_DNS;
	if (g->p.proto == EG_PROTO_TCP && syn != EG_SYN) {
		flags |= EG_MIDSTREAM | EG_LOOKED | (eg_gate_is_late(&g->p) ? EG_RAW : 0);
		__sync_fetch_and_or(&s->hot.flags, flags);
	} else if (g->p.proto == EG_PROTO_TCP) {
		eg_windows_open(s, flags | EG_LOOKED | (g->tx ? 0 : EG_INBOUND));
	} else {
		if (eg_wants_dgrams(&g->key))
			flags |= EG_TX_OPEN | EG_RX_OPEN;
		__sync_fetch_and_or(&s->hot.flags, flags | (g->tx ? 0 : EG_INBOUND));
	}
	eg_open(s, f->cookie);
}

/* Payload without what is sent again: what lies beyond the highest sequence number so far. */
static __always_inline void eg_gate_payload(struct eg_gate_flow *f, const struct eg_packet *p,
					    int tx)
{
	__u32 end = p->seq + p->payload_len, bit = tx ? 1 : 2, *top = tx ? &f->top[0] : &f->top[1];
	__u32 more = end - *top;

	if (!p->payload_len)
		return;
	if (!(f->topped & bit))
		more = p->payload_len;
	else if (more > 0x7fffffff)
		return;
	if (more > p->payload_len)
		more = p->payload_len;
	*top = end;
	f->topped |= bit;
	__sync_fetch_and_add(tx ? &f->sock.payload[0] : &f->sock.payload[1], more);
}

static __always_inline void eg_gate_count(struct eg_gate_flow *f, const struct eg_gate_packet *g)
{
	struct eg_sock *s = &f->sock;
	__s64 payload;
	int tx = g->tx;

	__sync_fetch_and_add(tx ? &s->hot.n.tx_packets : &s->hot.n.rx_packets, g->packets);
	__sync_fetch_and_add(tx ? &s->hot.n.tx_bytes : &s->hot.n.rx_bytes, g->bytes);
	s->hot.last_tick = bpf_jiffies64();
	if (g->p.proto == EG_PROTO_TCP) {
		eg_gate_payload(f, &g->p, tx);
	} else if (g->p.proto == EG_PROTO_UDP) {
		payload = g->p.no_ports ? g->len - g->p.ip_header : g->p.payload_len;
		payload -= (__s64)g->bytes - (__s64)g->packets * (g->p.v6 ? 48 : 28);
		if (payload)
			__sync_fetch_and_add(tx ? &s->adjust[0] : &s->adjust[1], payload);
	}
}

/* An answer of DNS, before the machine that asked can read it. */
static __always_inline void eg_gate_learn(struct __sk_buff *skb, struct eg_gate_flow *f,
					  struct eg_gate_packet *g)
{
	if (g->tx || !eg_dns_port(g->p.sport) || !g->p.payload_len || g->piece.kind != EG_WHOLE)
		return;
	if (f->sock.ifindex != skb->ifindex && f->answers_from != skb->ifindex)
		return; /* from inside, and nobody has asked whether he is the resolver */
	if (g->p.proto == EG_PROTO_UDP)
		eg_learn_dgram(skb, &f->sock, &g->p, f->cookie);
	else if (g->p.proto == EG_PROTO_TCP && f->sock.key.rport == 53)
		eg_learn_segment(skb, &f->sock, &g->p, f->cookie);
}

/* It passes, or is only counted. */
static __noinline void eg_gate_take(struct __sk_buff *skb, struct eg_gate_flow *f,
				    struct eg_gate_packet *g)
{
	struct eg_packet *p;

	if (!g)
		return;
	p = &g->p;
	if (!f)
		f = eg_gate_new(&g->key, eg_gate_cookie());
	if (!f) {
		eg_lose_packet(EG_LOSS_MAP_FLOWS, g->bytes, g->tx);
		return;
	}
	if (!(f->sock.hot.flags & EG_KEYED))
		eg_gate_begin(skb, f, g);
	eg_gate_count(f, g);
	eg_gate_learn(skb, f, g);
	if (p->no_ports)
		return;
	if (p->proto == EG_PROTO_TCP) {
		eg_tcp_header(&f->sock, p, g->tx);
		if (!g->tx && (p->tcp_flags & (EG_SYN | EG_ACK)) == (EG_SYN | EG_ACK) &&
		    p->ack == f->sock.tx.isn + 1)
			f->topped |= EG_GATE_ANSWERED;
		if (p->payload_len)
			eg_tcp_bytes(skb, &f->sock, p, f->cookie, g->tx);
	} else {
		eg_dgram_capture(skb, &f->sock, p, f->cookie, g->tx);
	}
}

/* What its first fragment was let pass for still holds. */
static __always_inline int eg_gate_passes_now(const struct eg_sock *s, int tx)
{
	__u32 epoch = eg_epoch();

	return !tx || !epoch || (s->hot.flags & EG_INBOUND) ||
	       eg_known(&s->judged, epoch, EG_LOOK_NO) > 0;
}

/*
 * An answer from inside comes in by the interface that leads to who gives it. Else somebody there plays the other end of a
 * flow: his packet is asked about as his own.
 */
static __always_inline int eg_gate_answers(struct __sk_buff *skb, struct eg_gate_flow *f,
					   struct eg_gate_packet *g)
{
	if (!eg_epoch() || f->answers_from == skb->ifindex)
		return 1;
	if (!eg_gate_is_spoofed(skb, &g->p)) {
		f->answers_from = skb->ifindex;
		return 1;
	}
	g->tx = g->spoofed = 1;
	eg_packet_key(&g->p, &g->key, 1);
	return 0;
}

/* Whose packet is it? NULL: of none that has a place yet. */
static __noinline struct eg_gate_flow *eg_gate_find(struct __sk_buff *skb, struct eg_gate_packet *g)
{
	struct eg_fragment *first;
	struct eg_gate_flow *f;

	if (!g)
		return NULL;
	eg_packet_key(&g->p, &g->key, g->tx);
	if (g->piece.kind == EG_FRAGMENT_LATER) {
		first = eg_fragment_find(&g->p, &g->piece, skb->ifindex);
		f = first ? bpf_map_lookup_elem(&eg_gate_flows, &first->key) : NULL;
		if (f && eg_gate_passes_now(&f->sock, first->tx)) {
			g->key = first->key;
			g->tx = first->tx;
			g->follows = 1;
			return f;
		}
	}
	f = bpf_map_lookup_elem(&eg_gate_flows, &g->key);
	if (f || !g->tx)
		return f;
	/* an answer to a machine behind another inside interface? */
	eg_packet_key(&g->p, &g->key, 0);
	f = bpf_map_lookup_elem(&eg_gate_flows, &g->key);
	if (f)
		g->tx = 0;
	else
		eg_packet_key(&g->p, &g->key, 1);
	return f;
}

/* Must it be asked, and of which flow? EG_PASS: no. EG_DONE: it does not leave this host, and is not counted. */
static __noinline int eg_gate_prepare(struct __sk_buff *skb, struct eg_gate_flow *f,
				      struct eg_gate_packet *g)
{
	if (!g)
		return EG_DONE;
	if (!f && !eg_gate_route(skb, &g->p, 0))
		return EG_DONE;
	if (f && !g->tx && !eg_gate_answers(skb, f, g))
		return eg_gate_known(skb, NULL, g);
	if (eg_epoch() && g->tx && !g->follows && (!f || f->sock.ifindex != skb->ifindex))
		g->spoofed = eg_gate_is_spoofed(skb, &g->p);
	if (f && !g->spoofed && eg_gate_is_anew(&f->sock, &g->p, g->tx))
		eg_gate_again(f);
	return g->tx && !g->follows ? eg_gate_known(skb, f, g) : EG_PASS;
}

/* The room is kept by whoever calls. */
static __noinline int eg_gate_asked(struct __sk_buff *skb, struct eg_gate_packet *g,
				    struct eg_room *r)
{
	if (!g || !r)
		return 0;
	return eg_gate_case(skb, bpf_map_lookup_elem(&eg_gate_flows, &g->key), g, r);
}

/* A verdict was taken. It does not pass without a place: nothing would be known of it later. */
static __noinline int eg_gate_conclude(struct eg_gate_packet *g, struct eg_room *r, int verdict)
{
	struct eg_gate_flow *f;

	if (!g || !r)
		return EG_REFUSE;
	f = eg_gate_judged(bpf_map_lookup_elem(&eg_gate_flows, &g->key), g, r, verdict);
	if (verdict != EG_PASS || f || eg_unjudged())
		return verdict;
	eg_lose_packet(EG_LOSS_MAP_FLOWS, g->bytes, 1);
	return EG_REFUSE;
}

/* Does the flow's rate have room for it? Sent again is what ends below the highest sequence number so far. */
static __noinline int eg_gate_rated(struct eg_gate_flow *f, const struct eg_gate_packet *g)
{
	__u32 how, top;

	if (!g || !f || !(f->sock.hot.flags & EG_LIMITED))
		return 1;
	how = EG_LIMIT_PACKETS(g->packets) | (g->tx ? EG_LIMIT_TX : 0);
	top = g->tx ? f->top[0] : f->top[1];
	if (g->p.proto == EG_PROTO_TCP && !g->p.payload_len)
		how |= EG_LIMIT_BARE;
	else if (g->p.proto == EG_PROTO_TCP && (f->topped & (g->tx ? 1 : 2)) &&
		 (__s32)(g->p.seq + g->p.payload_len - top) <= 0)
		how |= EG_LIMIT_AGAIN;
	return eg_limit_pass(&f->sock, &f->sock.judged, eg_limit_flow(&g->key, f->cookie), g->bytes,
			     how);
}

static __noinline void eg_gate_passes(struct __sk_buff *skb, struct eg_gate_flow *f,
				      struct eg_gate_packet *g)
{
	if (!g)
		return;
	if (g->piece.kind == EG_FRAGMENT_FIRST)
		eg_fragment_keep(&g->p, &g->piece, &g->key, g->tx, skb->ifindex);
	if (f && g->tx && eg_epoch())
		eg_prioritise_forwarded(skb, eg_priority_of_flow(f->sock.judged.flags));
	eg_gate_take(skb, f, g);
}

/* `answer`: the rule says reject. */
static __noinline int eg_gate_refuses(struct __sk_buff *skb, struct eg_gate_packet *g, int answer)
{
	if (!g)
		return EG_TC_DROP;
	if (g->piece.kind == EG_FRAGMENT_FIRST)
		eg_fragment_keep(&g->p, &g->piece, NULL, 0, 0);
	if (answer && eg_reject(skb, &g->p, g->l2))
		return EG_TC_REDIRECT;
	return EG_TC_DROP;
}

static __always_inline struct eg_gate_packet *eg_gate_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&eg_gate_scratch, &zero);
}

/* Of an interface of its own. What has VLAN 0 is taken by the kernel for what has none (IEEE 802.1Q, 6.9.1). */
static __always_inline int eg_gate_is_vlan(struct __sk_buff *skb)
{
	return skb->vlan_present && (skb->vlan_tci & EG_GATE_VID);
}

SEC("tc")
int eg_gate_in(struct __sk_buff *skb)
{
	struct eg_gate_packet *g = eg_gate_here();
	int verdict, answer = 0;
	struct eg_gate_flow *f;
	struct eg_room *r;

	if (!g || skb->pkt_type != EG_GATE_HOST || eg_gate_is_vlan(skb))
		return EG_TC_NEXT;
	verdict = eg_gate_read(skb, g, 1);
	if (verdict == EG_GATE_UNREAD) {
		eg_lose_packet(EG_LOSS_PACKET_UNREAD, skb->len, 1);
		return eg_unjudged() ? EG_TC_NEXT : EG_TC_DROP;
	}
	if (verdict)
		return EG_TC_NEXT;
	f = eg_gate_find(skb, g);
	verdict = eg_gate_prepare(skb, f, g);
	if (verdict == EG_ASK) {
		r = eg_room_take();
		if (!r) {
			eg_lose_packet(EG_LOSS_MAP_JUDGE, g->bytes, 1);
			return eg_unjudged() ? EG_TC_NEXT : EG_TC_DROP;
		}
		verdict = EG_PASS;
		if (eg_gate_asked(skb, g, r)) {
			verdict = eg_judge_packet(skb, r);
			verdict = eg_gate_conclude(g, r, verdict);
			answer = verdict == EG_REFUSE && r->c.judged.action == EG_REJECT;
		}
		eg_room_give(r);
		f = bpf_map_lookup_elem(&eg_gate_flows, &g->key);
	}
	if (verdict == EG_DONE)
		return EG_TC_NEXT;
	if (verdict != EG_PASS)
		return eg_gate_refuses(skb, g, answer);
	if (!eg_gate_rated(f, g))
		return EG_TC_DROP;
	eg_gate_passes(skb, f, g);
	return EG_TC_NEXT;
}

/* Answers of this host's own resolver to machines inside: one that the policy names, in this machine's own namespace. */
static __noinline void eg_gate_own(struct __sk_buff *skb, struct eg_gate_packet *g)
{
	__u32 zero = 0, len, *how;
	struct eg_dns_walk *w = bpf_map_lookup_elem(&eg_scratch, &zero);
	struct eg_addr from;

	if (!g || !w || g->p.proto != EG_PROTO_UDP || g->p.sport != 53 || g->piece.kind != EG_WHOLE)
		return;
	__builtin_memcpy(from.addr, g->p.src, 16);
	how = bpf_map_lookup_elem(&eg_resolvers, &from);
	len = g->p.payload_len;
	if (!how || !(*how & EG_RESOLVER_LOCAL) || eg_netns_of(skb) != who_netns || !len ||
	    len > EG_DNS_MAX || bpf_skb_load_bytes(skb, g->p.payload_at, w->bytes, len))
		return;
	eg_names_learn(w, len, 0, 1);
}

SEC("tc")
int eg_gate_out(struct __sk_buff *skb)
{
	struct eg_gate_packet *g = eg_gate_here();
	struct eg_gate_flow *f;
	int r;

	if (!g || eg_gate_is_vlan(skb) ||
	    (skb->ingress_ifindex && eg_gate_is_inside(skb->ingress_ifindex)))
		return EG_TC_NEXT;
	r = eg_gate_read(skb, g, 0);
	if (r == EG_GATE_UNREAD)
		eg_lose_packet(EG_LOSS_PACKET_UNREAD, skb->len, 0);
	if (r)
		return EG_TC_NEXT;
	if (!skb->ingress_ifindex || skb->sk) {
		eg_gate_own(skb, g);
		return EG_TC_NEXT;
	}
	eg_gate_cut(skb, g);
	f = eg_gate_find(skb, g);
	if (f && eg_gate_is_anew(&f->sock, &g->p, 0))
		eg_gate_again(f);
	if (!eg_gate_rated(f, g))
		return EG_TC_DROP;
	eg_gate_passes(skb, f, g);
	return EG_TC_NEXT;
}

/* One that is refused, or held, and of which nothing ever passed is nobody's to tell of: it only goes. */
SEC("iter/bpf_map_elem")
int eg_sweep_gate(struct bpf_iter__bpf_map_elem *ctx)
{
	struct eg_gate_flow *f = ctx->value;
	struct eg_key *key = ctx->key;
	struct eg_close c = {};
	__u64 idle = sweep_idle;
	struct eg_hot *h;

	if (!key || !f)
		return 0;
	if (sweep_forget) {
		eg_forget_passes(&f->sock.hot, &f->sock.judged, policy_epoch);
		return 0;
	}
	h = &f->sock.hot;
	if (key->proto == EG_PROTO_TCP)
		idle = eg_gate_is_over(h)                   ? sweep_over
		       : h->n.tx_packets && h->n.rx_packets ? sweep_idle_tcp
							    : sweep_idle;
	else if (eg_dns_port(key->lport) || eg_dns_port(key->rport))
		idle = sweep_idle_dns;
	if (h->last_tick >= idle &&
	    (!(h->flags & EG_KEYED) || (h->last_tick < sweep_since && (h->flags & EG_OPEN_SENT))))
		return 0;
	eg_fill_close(&c, &f->sock, &h->n, f->cookie);
	c.key = *key;
	c.rec.time_ns = bpf_ktime_get_ns();
	c.idle = h->last_tick < idle;
	if (h->flags & EG_KEYED)
		__sync_fetch_and_or(&h->flags, EG_OPEN_SENT);
	eg_judged_told(&f->sock.judged, &c.judged);
	bpf_seq_write(ctx->meta->seq, &c, sizeof(c));
	return 0;
}
