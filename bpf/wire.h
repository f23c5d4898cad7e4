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
	__s32 adjust; /* see eg_sock.tx_adjust */
};

/* Not inlined: its buffers must not stay on the stack of what follows. */
static __noinline int eg_read(struct __sk_buff *skb, struct eg_packet *p)
{
	if (!p)
		return -1;
	return eg_parse(skb, skb->len, p);
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

static __noinline void eg_wire_tx(struct __sk_buff *ctx, struct eg_wire *w)
{
	__u32 segs = ctx->gso_segs, header;
	struct eg_packet p;
	struct sk_buff *skb;
	__u64 need;

	if (!w || !has_kern_ctx)
		return;
	skb = bpf_cast_to_kern_ctx(ctx);
	if (segs <= 1) {
		header = ctx->protocol == bpf_htons(0x0800) ? 20 : 40;
		eg_fragments(w, ctx->len, header, header == 40 ? 8 : 0,
			     eg_skb_mtu(skb) - header - (header == 40 ? 8 : 0));
		return;
	}
	if (eg_read(ctx, &p))
		return;
	need = p.proto == EG_PROTO_TCP ? (p.v6 ? EG_FEATURE_TSO6 : EG_FEATURE_TSO) : EG_FEATURE_GSO_UDP_L4;
	if (skb->dev->features & need)
		return;
	w->packets = segs;
	w->bytes += (__u64)(segs - 1) * p.payload_at;
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
	off = header == 20 ? bpf_core_field_offset(struct inet_skb_parm, frag_max_size) :
			     bpf_core_field_offset(struct inet6_skb_parm, frag_max_size);
	bpf_probe_read_kernel(&max, sizeof(max), (void *)skb + bpf_core_field_offset(struct sk_buff, cb) + off);
	if (max <= header + 8)
		return;
	eg_fragments(w, ctx->len, header, header == 40 ? 8 : 0, max - header - (header == 40 ? 8 : 0));
}

static __always_inline void eg_count_tx(struct __sk_buff *ctx, struct eg_counts *n, __u64 *last_ns,
					__s32 *adjust, int dgram)
{
	struct eg_wire w = { .packets = 1, .bytes = ctx->len };

	if (ctx->gso_segs > 1 || (dgram && w.bytes > EG_WIRE_SMALL)) {
		eg_wire_tx(ctx, &w);
		*adjust += w.adjust;
	}
	__sync_fetch_and_add(&n->tx_packets, w.packets);
	__sync_fetch_and_add(&n->tx_bytes, w.bytes);
	*last_ns = bpf_ktime_get_coarse_ns();
}

static __always_inline void eg_count_rx(struct __sk_buff *ctx, struct eg_counts *n, __u64 *last_ns,
					__s32 *adjust, int dgram)
{
	struct eg_wire w = { .packets = 1, .bytes = ctx->len };

	if (dgram && w.bytes > EG_WIRE_SMALL) {
		eg_wire_rx(ctx, &w);
		*adjust += w.adjust;
	}
	__sync_fetch_and_add(&n->rx_packets, w.packets);
	__sync_fetch_and_add(&n->rx_bytes, w.bytes);
	*last_ns = bpf_ktime_get_coarse_ns();
}
