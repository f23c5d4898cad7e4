/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gateway: tc ingress and egress of the inside interfaces, where addresses are those of the machines inside, before
 * and after NAT. Only counts: every packet goes on. `local` of a flow is the machine inside.
 *
 *   ingress   what comes from inside and is to be forwarded; what is for this host is left out (the route says so)
 *   egress    what came in on an interface that is not inside; what this host sends itself has no such interface
 *
 * Between two inside interfaces a packet is counted where it enters, and nowhere else. Flows are kept by their addresses
 * and ports; the sweep (walk.h) ends them. A frame with a VLAN tag is the VLAN interface's business.
 */
#pragma once

#include "capture.h"
#include "dgram.h"
#include "tcp.h"

#define EG_GATE_NEXT (-1) /* other filters, and then the packet, go on */
#define EG_GATE_HOST 0
#define EG_GATE_INET 2
#define EG_GATE_INET6 10
#define EG_GATE_IP 0x0800 /* of Ethernet */
#define EG_GATE_IPV6 0x86dd

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, EG_GATE_FLOWS);
	__type(key, struct eg_key);
	__type(value, struct eg_gate_flow);
} eg_gate_flows SEC(".maps");

/* Indices of the inside interfaces. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_GATE_INSIDE);
	__type(key, __u32);
	__type(value, __u8);
} eg_gate_inside SEC(".maps");

static const struct eg_gate_flow eg_no_gate_flow; /* too large for the stack */

/* Of one packet. */
struct eg_gate_packet {
	struct eg_packet p;
	__u32 l2;    /* bytes before the IP header */
	__u32 len;   /* of the IP packet, without padding */
	__u32 bytes; /* as counted … */
	__u32 packets;
};

static __always_inline int eg_gate_is_local_scope(const __u8 a[16])
{
	return a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

/* 0; -1: no IP packet that could be forwarded, or one that cannot be read. */
__noinline int eg_gate_read(struct __sk_buff *skb, struct eg_gate_packet *g, int tx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(skb);
	__u32 len;
	__u8 h[6];

	if (!g ||
	    (skb->protocol != bpf_htons(EG_GATE_IP) && skb->protocol != bpf_htons(EG_GATE_IPV6)))
		return -1;
	g->l2 = (__u32)((__u64)BPF_CORE_READ(k, head) + BPF_CORE_READ(k, network_header) -
			(__u64)BPF_CORE_READ(k, data));
	len = skb->len - g->l2;
	if (g->l2 > 64 || skb->len < g->l2 + 20 || eg_parse(skb, g->l2, len, &g->p) ||
	    bpf_skb_load_bytes(skb, g->l2, h, 6)) {
		eg_lose_packet(EG_LOSS_PACKET_UNREAD, skb->len, tx);
		return -1;
	}
	g->len = g->p.v6 ? 40 + (h[4] << 8 | h[5]) : h[2] << 8 | h[3];
	if (skb->gso_segs > 1 || g->len > len || g->len < g->p.ip_header)
		g->len = len;
	if (g->p.payload_len > len - g->len)
		g->p.payload_len -= len - g->len;
	else
		g->p.payload_len = 0;
	g->p.payload_at += g->l2;
	if (g->p.v6 && (eg_gate_is_local_scope(g->p.src) || eg_gate_is_local_scope(g->p.dst)))
		return -1;
	g->bytes = g->len;
	g->packets = 1;
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

/* Would the packet be for this host itself, or for nobody? */
static __noinline int eg_gate_stays(struct __sk_buff *skb, const struct eg_packet *p)
{
	struct bpf_fib_lookup f = {};

	if (!p)
		return 1;
	f.ifindex = skb->ifindex;
	f.l4_protocol = p->proto;
	if (p->v6) {
		f.family = EG_GATE_INET6;
		__builtin_memcpy(f.ipv6_src, p->src, 16);
		__builtin_memcpy(f.ipv6_dst, p->dst, 16);
	} else {
		f.family = EG_GATE_INET;
		__builtin_memcpy(&f.ipv4_src, p->src + 12, 4);
		__builtin_memcpy(&f.ipv4_dst, p->dst + 12, 4);
	}
	switch (bpf_fib_lookup(skb, &f, sizeof(f), 0)) {
	case BPF_FIB_LKUP_RET_NOT_FWDED:
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return 1;
	}
	return 0;
}

static __always_inline int eg_gate_is_over(const struct eg_hot *h)
{
	return ((h->tx_tcp | h->rx_tcp) & EG_RST) || (h->tx_tcp & h->rx_tcp & EG_FIN);
}

/* The same addresses and ports again: the flow before ends here. Without room to tell, both are one flow. */
static __noinline void eg_gate_again(struct eg_sock *s)
{
	struct eg_counts n;
	struct eg_close *c;

	if (!s)
		return;
	c = bpf_ringbuf_reserve(&eg_ring, sizeof(*c), 0);
	if (!c) {
		eg_lose_one(EG_LOSS_RING_FLOW);
		return;
	}
	eg_take_counts(s, &n);
	c->rec.type = EG_REC_CLOSE;
	c->rec.time_ns = bpf_ktime_get_ns();
	eg_fill_close(c, s, &n, 0);
	bpf_ringbuf_submit(c, eg_wake());
	s->payload[0] = s->payload[1] = 0;
	eg_reset(s, EG_FORWARDED);
}

/* Names the flow, when this is its first packet. */
static __always_inline void eg_gate_begin(struct __sk_buff *skb, struct eg_sock *s,
					  const struct eg_key *k, const struct eg_packet *p, int tx)
{
	__u32 flags = EG_KEYED | EG_FORWARDED, syn = p->tcp_flags & (EG_SYN | EG_ACK);

	s->key = *k;
	s->zone = ((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net->net_cookie;
	s->ifindex = skb->ifindex;
	s->hot.proto = p->proto;
	if (eg_dns_port(k->lport) || eg_dns_port(k->rport))
		flags |= EG_DNS;
	if (p->proto == EG_PROTO_TCP && syn != EG_SYN) {
		flags |= EG_MIDSTREAM | EG_LOOKED;
		__sync_fetch_and_or(&s->hot.flags, flags);
	} else if (p->proto == EG_PROTO_TCP) {
		eg_windows_open(s, flags | EG_LOOKED | (tx ? 0 : EG_INBOUND));
	} else {
		if (eg_wants_dgrams(k))
			flags |= EG_TX_OPEN | EG_RX_OPEN;
		__sync_fetch_and_or(&s->hot.flags, flags | (tx ? 0 : EG_INBOUND));
	}
	eg_open(s, 0);
}

static __always_inline struct eg_gate_flow *eg_gate_new(const struct eg_key *k)
{
	bpf_map_update_elem(&eg_gate_flows, k, &eg_no_gate_flow, BPF_NOEXIST);
	return bpf_map_lookup_elem(&eg_gate_flows, k); /* another CPU may have been faster */
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

static __noinline void eg_gate_count(struct eg_gate_flow *f, const struct eg_gate_packet *g, int tx)
{
	struct eg_sock *s;
	__s64 payload;

	if (!f || !g)
		return;
	s = &f->sock;
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

static __noinline void eg_gate_packet(struct __sk_buff *skb, struct eg_gate_packet *g, int tx)
{
	struct eg_packet *p;
	struct eg_gate_flow *f;
	struct eg_key k;

	if (!g)
		return;
	p = &g->p;
	eg_packet_key(p, &k, tx);
	f = bpf_map_lookup_elem(&eg_gate_flows, &k);
	if (!f && tx) {
		/* an answer to a machine behind another inside interface */
		eg_packet_key(p, &k, 0);
		f = bpf_map_lookup_elem(&eg_gate_flows, &k);
		if (f) {
			tx = 0;
		} else {
			eg_packet_key(p, &k, 1);
			if (eg_gate_stays(skb, p))
				return;
		}
	}
	if (!f)
		f = eg_gate_new(&k);
	if (!f) {
		eg_lose_packet(EG_LOSS_MAP_FLOWS, g->bytes, tx);
		return;
	}
	if ((p->tcp_flags & (EG_SYN | EG_ACK)) == EG_SYN && eg_gate_is_over(&f->sock.hot)) {
		eg_gate_again(&f->sock);
		f->topped = 0;
	}
	if (!(f->sock.hot.flags & EG_KEYED))
		eg_gate_begin(skb, &f->sock, &k, p, tx);
	eg_gate_count(f, g, tx);
	if (p->proto == EG_PROTO_TCP) {
		eg_tcp_header(&f->sock, p, tx);
		if (p->payload_len)
			eg_tcp_bytes(skb, &f->sock, p, 0, tx);
	} else if (!p->no_ports) {
		eg_dgram_capture(skb, &f->sock, p, 0, tx);
	}
}

static __always_inline int eg_gate_is_inside(__u32 ifindex)
{
	return bpf_map_lookup_elem(&eg_gate_inside, &ifindex) != NULL;
}

SEC("tc")
int eg_gate_in(struct __sk_buff *skb)
{
	struct eg_gate_packet g = {};

	if (skb->pkt_type == EG_GATE_HOST && !skb->vlan_present && !eg_gate_read(skb, &g, 1))
		eg_gate_packet(skb, &g, 1);
	return EG_GATE_NEXT;
}

SEC("tc")
int eg_gate_out(struct __sk_buff *skb)
{
	struct eg_gate_packet g = {};

	if (!skb->ingress_ifindex || skb->sk || skb->vlan_present ||
	    eg_gate_is_inside(skb->ingress_ifindex) || eg_gate_read(skb, &g, 0))
		return EG_GATE_NEXT;
	eg_gate_cut(skb, &g);
	eg_gate_packet(skb, &g, 0);
	return EG_GATE_NEXT;
}

SEC("iter/bpf_map_elem")
int eg_sweep_gate(struct bpf_iter__bpf_map_elem *ctx)
{
	struct eg_gate_flow *f = ctx->value;
	struct eg_close c = {};
	__u64 idle = sweep_idle;
	struct eg_hot *h;

	if (!ctx->key || !f || !(f->sock.hot.flags & EG_KEYED))
		return 0;
	h = &f->sock.hot;
	if (f->sock.key.proto == EG_PROTO_TCP)
		idle = eg_gate_is_over(h)                   ? sweep_over
		       : h->n.tx_packets && h->n.rx_packets ? sweep_idle_tcp
							    : sweep_idle;
	else if (eg_dns_port(f->sock.key.lport) || eg_dns_port(f->sock.key.rport))
		idle = sweep_idle_dns;
	if (h->last_tick >= idle && h->last_tick < sweep_since && (h->flags & EG_OPEN_SENT))
		return 0;
	eg_fill_close(&c, &f->sock, &h->n, 0);
	c.rec.time_ns = bpf_ktime_get_ns();
	c.idle = h->last_tick < idle;
	__sync_fetch_and_or(&h->flags, EG_OPEN_SENT);
	bpf_seq_write(ctx->meta->seq, &c, sizeof(c));
	return 0;
}
