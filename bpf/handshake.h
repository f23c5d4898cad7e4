/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of a TCP handshake pass on the listening socket, before there is a child to count them on. They wait in one of
 * two places picked by a hash of the flow until the child's first packet (or its end) takes them. No lock: a place is
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

static __always_inline struct eg_handshake *eg_handshake_at(__u64 tag, int second)
{
	__u32 i = (second ? tag >> 20 : tag >> 40) & (EG_HANDSHAKES - 1);

	return bpf_map_lookup_elem(&eg_handshakes, &i);
}

static __always_inline struct eg_handshake *eg_handshake_find(__u64 tag)
{
	struct eg_handshake *h = eg_handshake_at(tag, 0);

	if (h && h->tag == tag)
		return h;
	h = eg_handshake_at(tag, 1);
	return h && h->tag == tag ? h : NULL;
}

/* A free place, or the one of the two whose handshake is older. */
static __noinline struct eg_handshake *eg_handshake_claim(__u64 tag, const struct eg_key *key,
							  struct eg_sock *listener)
{
	struct eg_handshake *h = eg_handshake_at(tag, 0), *other = eg_handshake_at(tag, 1);
	__u64 old;

	if (!h || !other || !key || !listener)
		return NULL;
	if (h->tag && (!other->tag || other->last_tick < h->last_tick))
		h = other;
	old = h->tag;
	if (__sync_val_compare_and_swap(&h->tag, old, tag) != old)
		return NULL;
	if (old)
		eg_lose(EG_LOSS_MAP_HANDSHAKE, &h->n);
	h->zone = listener->zone;
	h->key = *key;
	h->n = (struct eg_counts){};
	h->tx_tcp = h->rx_tcp = 0;
	h->flags = listener->hot.flags & EG_OWNED;
	h->ifindex = 0;
	eg_sock_owner(listener, &h->owner);
	return h;
}

/* A packet on a listening socket. Only a SYN opens a place. */
static __noinline void eg_handshake_packet(struct eg_sock *listener, struct eg_packet *p, __u32 len,
					   __u32 ifindex, int tx)
{
	struct eg_handshake *h;
	struct eg_key key;
	__u64 tag;

	if (!p || !listener)
		return;
	eg_packet_key(p, &key, tx);
	tag = eg_tag(&key, listener->zone);
	h = eg_handshake_find(tag);
	if (!h && (p->tcp_flags & (EG_SYN | EG_ACK)) == EG_SYN)
		h = eg_handshake_claim(tag, &key, listener);
	if (!h) {
		/* a scan's stray packet, or the handshake was pushed out: nobody will ask for it */
		eg_lose_packet(EG_LOSS_MAP_HANDSHAKE, len, tx);
		return;
	}
	h->last_tick = bpf_jiffies64();
	if (tx) {
		h->n.tx_packets++;
		h->n.tx_bytes += len;
		h->tx_tcp |= p->tcp_flags;
	} else {
		h->ifindex = ifindex;
		h->n.rx_packets++;
		h->n.rx_bytes += len;
		h->rx_tcp |= p->tcp_flags;
	}
	if (!(p->tcp_flags & EG_SYN))
		return;
	*(tx ? &h->tx_isn : &h->rx_isn) = p->seq;
	h->flags |= tx ? EG_TX_ISN : EG_RX_ISN;
}

/* The child takes what waited for it: 0 when there was nothing. s->key and s->zone are set. */
static __noinline int eg_handshake_take(struct eg_sock *s)
{
	struct eg_handshake *h;
	__u64 tag;

	if (!s)
		return 0;
	tag = eg_tag(&s->key, s->zone);
	h = eg_handshake_find(tag);
	if (!h)
		return 0;
	s->hot.n = h->n;
	s->hot.tx_tcp = h->tx_tcp;
	s->hot.rx_tcp = h->rx_tcp;
	s->hot.last_tick = h->last_tick;
	if (h->flags & EG_OWNED)
		eg_sock_set_owner(s, &h->owner);
	s->tx.isn = h->tx_isn;
	s->rx.isn = h->rx_isn;
	s->ifindex = h->ifindex;
	__sync_fetch_and_or(&s->hot.flags, h->flags & (EG_TX_ISN | EG_RX_ISN));
	__sync_val_compare_and_swap(&h->tag, tag, 0);
	return 1;
}
