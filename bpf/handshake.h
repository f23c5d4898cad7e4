/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of a TCP handshake pass on the listening socket, before there is a child to count them on. They wait in a
 * slot picked by a hash of the flow until the child's first packet (or its end) takes them. No lock: a slot is
 * claimed by swapping its tag, and the packets of one handshake come one after another.
 */
#pragma once

#include "flow.h"

static __always_inline __u64 eg_mix(__u64 h, __u64 v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

static __always_inline __u64 eg_tag(const struct eg_key *k, __u64 zone)
{
	const __u64 *w = (const __u64 *)k;
	__u64 h = hash_seed;

	h = eg_mix(h, w[0]);
	h = eg_mix(h, w[1]);
	h = eg_mix(h, w[2]);
	h = eg_mix(h, w[3]);
	h = eg_mix(h, (__u64)k->lport << 16 | k->rport);
	h = eg_mix(h, zone);
	return h | 1;
}

static __always_inline struct eg_handshake *eg_handshake_slot(__u64 tag)
{
	__u32 i = (tag >> 32) & (EG_HANDSHAKES - 1);

	return bpf_map_lookup_elem(&eg_handshakes, &i);
}

/* A packet on a listening socket. A slot is only opened by a SYN. */
static __noinline void eg_handshake_packet(struct eg_sock *listener, struct eg_packet *p, __u32 len,
					   const struct eg_flow_id *id, int tx)
{
	__u64 tag, old, now;
	struct eg_handshake *h;
	struct eg_key key;

	if (!p || !id || !listener)
		return;
	eg_packet_key(p, &key, tx);
	tag = eg_tag(&key, id->zone);
	h = eg_handshake_slot(tag);
	if (!h)
		return;
	now = bpf_ktime_get_ns();
	old = h->tag;
	if (old != tag) {
		if (!(p->tcp_flags & EG_SYN) || (p->tcp_flags & EG_ACK)) {
			/* a scan's stray packet, or the slot was taken over: nobody will ask for it */
			eg_lose_packet(EG_LOSS_MAP_HANDSHAKE, len, tx);
			return;
		}
		if (__sync_val_compare_and_swap(&h->tag, old, tag) != old) {
			eg_lose_packet(EG_LOSS_MAP_HANDSHAKE, len, tx);
			return;
		}
		if (old)
			eg_lose(EG_LOSS_MAP_HANDSHAKE, &h->n);
		h->first_ns = now;
		h->zone = id->zone;
		h->key = key;
		h->n = (struct eg_counts){};
		h->tx_tcp = h->rx_tcp = 0;
		h->flags = listener->hot.flags & EG_OWNED;
		h->ifindex = id->ifindex;
		eg_sock_owner(listener, &h->owner);
	}
	h->last_ns = now;
	if (tx) {
		h->n.tx_packets++;
		h->n.tx_bytes += len;
		h->tx_tcp |= p->tcp_flags;
		if (p->tcp_flags & EG_SYN) {
			h->tx_isn = p->seq;
			h->flags |= EG_TX_ISN;
		}
	} else {
		h->n.rx_packets++;
		h->n.rx_bytes += len;
		h->rx_tcp |= p->tcp_flags;
		if (p->tcp_flags & EG_SYN) {
			h->rx_isn = p->seq;
			h->flags |= EG_RX_ISN;
		}
	}
}

/* The child takes what waited for it. */
static __always_inline void eg_handshake_take(struct eg_sock *s, __u64 zone)
{
	__u64 tag = eg_tag(&s->key, zone);
	struct eg_handshake *h = eg_handshake_slot(tag);

	if (!h || h->tag != tag)
		return;
	__sync_fetch_and_add(&s->hot.n.tx_packets, h->n.tx_packets);
	__sync_fetch_and_add(&s->hot.n.tx_bytes, h->n.tx_bytes);
	__sync_fetch_and_add(&s->hot.n.rx_packets, h->n.rx_packets);
	__sync_fetch_and_add(&s->hot.n.rx_bytes, h->n.rx_bytes);
	s->tx.isn = h->tx_isn;
	s->rx.isn = h->rx_isn;
	s->hot.tx_tcp |= h->tx_tcp;
	s->hot.rx_tcp |= h->rx_tcp;
	s->hot.last_ns = h->last_ns;
	__sync_fetch_and_or(&s->hot.flags, h->flags & (EG_TX_ISN | EG_RX_ISN));
	__sync_val_compare_and_swap(&h->tag, tag, 0);
}
