/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many packets one skb is on the wire, so that counts equal what tcpdump shows on the outgoing device: the
 * device takes a GSO packet whole or it is cut before, and a datagram larger than the MTU becomes fragments. Rare by
 * construction: only skbs of several segments, and datagrams above EG_WIRE_SMALL, ask.
 */
#pragma once

#include "packet.h"
#include "state.h"

#define EG_WIRE_SMALL 1232 /* no fragments below: IPv6's least MTU less its fragment headers */

struct eg_wire {
	__u64 packets, bytes;
	__s32 adjust; /* see eg_sock.adjust */
};

/* Not inlined: its buffers must not stay on the stack of what follows. */
__noinline int eg_read_any(struct __sk_buff *skb, struct eg_packet *p)
{
	if (!p)
		return -1;
	return eg_parse(skb, 0, skb->len, p);
}

/* The packet almost all packets are: IPv4 without options, or IPv6 without extension headers, of TCP or UDP. */
static __always_inline int eg_read(struct __sk_buff *skb, struct eg_packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const __u8 *b = data, *t;
	__u32 at;

	if (data + 48 >
	    end) /* a UDP datagram of IPv6 with nothing in it, or TCP of IPv4 with options */
		return eg_read_any(skb, p);
	if (b[0] == 0x45 && !(b[6] & 0x3f) && !b[7]) {
		eg_put_v4(p->src, *(const __u32 *)(b + 12));
		eg_put_v4(p->dst, *(const __u32 *)(b + 16));
		p->proto = b[9];
		p->v6 = 0;
		t = b + 20;
		at = 20;
	} else if (b[0] >> 4 == 6) {
		__builtin_memcpy(p->src, b + 8, 16);
		__builtin_memcpy(p->dst, b + 24, 16);
		p->proto = b[6];
		p->v6 = 1;
		t = b + 40;
		at = 40;
	} else {
		return eg_read_any(skb, p);
	}
	if (p->proto == EG_PROTO_UDP) {
		p->sport = t[0] << 8 | t[1];
		p->dport = t[2] << 8 | t[3];
		p->tcp_flags = p->tcp_len = 0;
		p->seq = p->ack = 0;
		p->payload_at = at + 8;
	} else if (p->proto == EG_PROTO_TCP && (void *)t + 20 <= end) {
		p->sport = t[0] << 8 | t[1];
		p->dport = t[2] << 8 | t[3];
		p->seq = bpf_ntohl(*(const __u32 *)(t + 4));
		p->ack = bpf_ntohl(*(const __u32 *)(t + 8));
		p->tcp_len = (t[12] >> 4) * 4;
		p->tcp_flags = t[13];
		p->payload_at = at + p->tcp_len;
	} else {
		return eg_read_any(skb, p);
	}
	p->ip_header = at;
	p->no_ports = 0;
	p->payload_len = skb->len > p->payload_at ? skb->len - p->payload_at : 0;
	return 0;
}

/* A datagram of `len` bytes whose fragments carry at most `room` bytes after their headers. */
static __always_inline void eg_fragments(struct eg_wire *w, __u32 len, __u32 header, __u32 more,
					 __u32 room)
{
	__u32 data = len - header, n;

	room &= ~7U;
	if (!room || len < header)
		return;
	n = (data + room - 1) / room;
	if (n < 2)
		return;
	w->packets = n;
	w->bytes = data + (__u64)n * (header + more);
	/* more is the IPv6 fragment header: 8 bytes each, where only the first fragment carries UDP's 8 */
	w->adjust = more ? -8 : 8 * (__s32)(n - 1);
}

static __always_inline __u32 eg_skb_mtu(struct sk_buff *skb)
{
	struct dst_entry *dst = (void *)(BPF_CORE_READ(skb, _skb_refdst) & ~1UL);
	unsigned long metrics = dst ? BPF_CORE_READ(dst, _metrics) & ~3UL : 0;
	__u32 mtu = 0;

	/* RTAX_MTU (2) is the second metric: a path MTU learned, or one set on the route */
	if (metrics)
		bpf_probe_read_kernel(&mtu, sizeof(mtu), (void *)(metrics + 4));
	return mtu ?: skb->dev->mtu;
}

static __noinline void eg_wire_tx(struct __sk_buff *ctx, struct eg_wire *w, int dgram)
{
	__u32 segs = ctx->gso_segs, v4 = ctx->protocol == bpf_htons(0x0800), header = v4 ? 20 : 40;
	struct sk_buff *skb;
	__u64 need, have;
	__u32 mtu;
	__u8 b;

	if (!w || !has_kern_ctx)
		return;
	skb = bpf_cast_to_kern_ctx(ctx);
	if (segs <= 1) {
		mtu = eg_skb_mtu(skb);
		if (ctx->len > mtu)
			eg_fragments(w, ctx->len, header, v4 ? 0 : 8, mtu - header - (v4 ? 0 : 8));
		return;
	}
	/* the device almost always takes it whole: ask that before looking into the packet */
	need = dgram ? EG_FEATURE_GSO_UDP_L4 : v4 ? EG_FEATURE_TSO : EG_FEATURE_TSO6;
	have = skb->dev->features & need;
	if (have)
		return;
	if (v4 && !bpf_skb_load_bytes(ctx, 0, &b, 1))
		header = (b & 15) * 4;
	if (dgram)
		header += 8;
	else if (!bpf_skb_load_bytes(ctx, header + 12, &b, 1))
		header += (b >> 4) * 4;
	w->packets = segs;
	w->bytes += (__u64)(segs - 1) * header;
}

/* Fragments that were joined on their way in: all but the last are as large as the largest. */
static __noinline void eg_wire_rx(struct __sk_buff *ctx, struct eg_wire *w)
{
	struct sk_buff *skb;
	__u32 header, off;
	__u16 max = 0;

	if (!w || !has_kern_ctx)
		return;
	skb = bpf_cast_to_kern_ctx(ctx);
	header = ctx->protocol == bpf_htons(0x0800) ? 20 : 40;
	off = header == 20 ? bpf_core_field_offset(struct inet_skb_parm, frag_max_size)
			   : bpf_core_field_offset(struct inet6_skb_parm, frag_max_size);
	bpf_probe_read_kernel(&max, sizeof(max),
			      (void *)skb + bpf_core_field_offset(struct sk_buff, cb) + off);
	if (max <= header + 8)
		return;
	eg_fragments(w, ctx->len, header, header == 40 ? 8 : 0,
		     max - header - (header == 40 ? 8 : 0));
}

/* Datagrams of many packets take the slow way, which knows what that means for their payload. */
static __always_inline void eg_add_tx(struct eg_hot *h, __u64 packets, __u64 bytes, int dgram)
{
	if (dgram) {
		__sync_fetch_and_add(&h->n.tx_packets, packets);
		__sync_fetch_and_add(&h->n.tx_bytes, bytes);
	} else {
		/* TCP only sends with the socket locked; what comes in is counted before it is */
		h->n.tx_packets += packets;
		h->n.tx_bytes += bytes;
	}
	h->last_tick = bpf_jiffies64();
}

static __always_inline void eg_add_rx(struct eg_hot *h, __u64 packets, __u64 bytes)
{
	__sync_fetch_and_add(&h->n.rx_packets, packets);
	__sync_fetch_and_add(&h->n.rx_bytes, bytes);
	h->last_tick = bpf_jiffies64();
}

/* The slow way's: `n` and `adjust` are a socket's or a peer's. */
static __noinline void eg_count(struct __sk_buff *ctx, struct eg_counts *n, __u64 *last_tick,
				__s64 *adjust, __u32 how)
{
	struct eg_wire w = { .packets = 1, .bytes = ctx->len };
	int tx = how & 1, dgram = how & 2;

	if (!n || !last_tick || !adjust)
		return;
	if (tx && (ctx->gso_segs > 1 || (dgram && w.bytes > EG_WIRE_SMALL)))
		eg_wire_tx(ctx, &w, dgram);
	else if (!tx && dgram && w.bytes > EG_WIRE_SMALL)
		eg_wire_rx(ctx, &w);
	if (w.adjust)
		*adjust += w.adjust;
	__sync_fetch_and_add(tx ? &n->tx_packets : &n->rx_packets, w.packets);
	__sync_fetch_and_add(tx ? &n->tx_bytes : &n->rx_bytes, w.bytes);
	*last_tick = bpf_jiffies64();
}

#define EG_COUNT_TX 1
#define EG_COUNT_DGRAM 2
