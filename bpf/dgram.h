/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets without a connection of their own: UDP, ping, raw, and the kernel's control sockets. The socket carries the
 * first peer's flow; a socket that talks to several keeps the others in eg_peers. What finds no entry there is counted
 * as unreported: bytes may lose their flow, never the totals.
 */
#pragma once

#include "tcp.h"

static __always_inline int eg_packet_is(const struct eg_packet *p, const struct eg_key *k, int tx)
{
	return eg_addr_eq(k->remote, tx ? p->dst : p->src) && k->rport == (tx ? p->dport : p->sport) &&
	       eg_addr_eq(k->local, tx ? p->src : p->dst) && k->lport == (tx ? p->sport : p->dport) &&
	       k->proto == p->proto;
}

/* Protocols whose packets a raw socket only gets copies of: what it did not begin belongs to somebody else. */
static __always_inline int eg_raw_copy(const struct eg_packet *p)
{
	return p->proto == EG_PROTO_TCP || p->proto == EG_PROTO_UDP || p->proto == EG_PROTO_ICMP ||
	       p->proto == EG_PROTO_ICMPV6 || p->proto == EG_PROTO_UDPLITE || p->proto == EG_PROTO_SCTP;
}

static __always_inline void eg_dgram_chunk(struct eg_chunk *c, const struct eg_key *key,
					   const struct eg_flow_id *id, __u32 flags, int tx)
{
	__builtin_memset(c, 0, sizeof(*c));
	c->key = key;
	c->zone = id->zone;
	c->cookie = id->cookie;
	c->flags = flags;
	c->what = tx ? EG_DATA_TX : 0;
	if (eg_dns_port(key->lport) || eg_dns_port(key->rport))
		c->what |= EG_DATA_IS_DNS;
}

/* The flow in the socket itself. */
static __noinline void eg_dgram_capture(struct __sk_buff *skb, struct eg_sock *s, struct eg_packet *p,
					struct eg_flow_id *id, int tx)
{
	struct eg_chunk c;
	__u32 open = tx ? EG_TX_OPEN : EG_RX_OPEN, seen;

	if (!s || !p || !id || !(s->flags & open))
		return;
	seen = tx ? s->tx.next++ : s->rx.next++;
	eg_dgram_chunk(&c, &s->key, id, s->flags, tx);
	if (!eg_capture_dgram(skb, p, &c, seen) && !(c.what & EG_DATA_IS_DNS))
		__sync_fetch_and_and(&s->flags, ~open);
}

static const struct eg_peer eg_no_peer; /* too large for the stack */

/* A new entry for one more peer; NULL when there is no room. */
static __noinline struct eg_peer *eg_peer_new(struct eg_sock *s, struct eg_peer_key *k, struct eg_flow_id *id,
					      int tx)
{
	struct eg_peer *peer;
	struct eg_owner owner;
	__u32 flags;

	if (!s || !k || !id)
		return NULL;
	if (bpf_map_update_elem(&eg_peers, k, &eg_no_peer, BPF_NOEXIST))
		return bpf_map_lookup_elem(&eg_peers, k); /* no room, or another CPU was faster */
	peer = bpf_map_lookup_elem(&eg_peers, k);
	if (!peer)
		return NULL;
	flags = EG_KEYED | (tx ? 0 : EG_INBOUND) | (s->flags & EG_OWNED);
	if (k->key.proto == EG_PROTO_UDP)
		flags |= EG_TX_OPEN | EG_RX_OPEN;
	eg_sock_owner(s, &owner);
	peer->zone = id->zone;
	peer->ifindex = id->ifindex;
	peer->owner = owner;
	if (eg_send_open(&k->key, &owner, id, flags))
		flags |= EG_OPEN_SENT;
	__sync_fetch_and_or(&peer->flags, flags);
	return peer;
}

static __noinline void eg_peer_count(struct __sk_buff *skb, struct eg_peer *peer, int tx)
{
	if (!peer)
		return;
	if (tx)
		eg_count_tx(skb, &peer->n, &peer->last_ns, &peer->tx_adjust, 1);
	else
		eg_count_rx(skb, &peer->n, &peer->last_ns, &peer->rx_adjust, 1);
}

static __noinline void eg_peer_capture(struct __sk_buff *skb, struct eg_peer *peer, struct eg_packet *p,
				       struct eg_peer_key *k, int tx)
{
	struct eg_flow_id id = {};
	struct eg_chunk c;
	__u32 seen;

	if (!peer || !k)
		return;
	id.zone = peer->zone;
	id.cookie = k->cookie;
	seen = tx ? peer->tx_datagrams++ : peer->rx_datagrams++;
	eg_dgram_chunk(&c, &k->key, &id, peer->flags, tx);
	if (!eg_capture_dgram(skb, p, &c, seen) && !(c.what & EG_DATA_IS_DNS))
		__sync_fetch_and_and(&peer->flags, ~(tx ? EG_TX_OPEN : EG_RX_OPEN));
}

/* A packet of another peer than the socket's first. `find_only`: not when it would have to be made. 1: counted. */
static __noinline int eg_peer_packet(struct __sk_buff *skb, struct eg_sock *s, struct eg_packet *p,
				     struct eg_flow_id *id, __u32 how)
{
	int tx = how & 1, find_only = how & 2;
	struct eg_peer_key k = {};
	struct eg_peer *peer;

	if (!s || !p || !id)
		return 0;
	k.cookie = id->cookie;
	eg_packet_key(p, &k.key, tx);
	peer = bpf_map_lookup_elem(&eg_peers, &k);
	if (!peer) {
		if (find_only)
			return 0;
		__sync_fetch_and_or(&s->flags, EG_HAS_PEERS);
		peer = eg_peer_new(s, &k, id, tx);
	}
	if (!peer) {
		eg_lose_packet(EG_LOSS_MAP_FLOWS, skb->len, tx);
		return 1;
	}
	eg_peer_count(skb, peer, tx);
	if (peer->flags & (tx ? EG_TX_OPEN : EG_RX_OPEN))
		eg_peer_capture(skb, peer, p, &k, tx);
	return 1;
}

/* The socket carries no flow yet: it takes this packet's. 0 when another CPU is just doing so. */
static __always_inline int eg_dgram_begin(struct __sk_buff *skb, struct bpf_sock *sk, struct eg_sock *s,
					  struct eg_packet *p, struct eg_flow_id *id, int tx)
{
	__u32 flags = EG_KEYED;

	if (__sync_fetch_and_or(&s->flags, EG_KEYING) & EG_KEYING)
		return 0;
	if (s->flags & EG_CONNECTED)
		eg_sk_key(sk, &s->key, p->proto);
	else
		eg_packet_key(p, &s->key, tx);
	s->proto = p->proto;
	if (!tx)
		flags |= EG_INBOUND;
	if (p->proto == EG_PROTO_UDP)
		flags |= EG_TX_OPEN | EG_RX_OPEN;
	__sync_fetch_and_or(&s->flags, flags);
	__sync_fetch_and_and(&s->flags, ~EG_KEYING);
	eg_open(s, id);
	return 1;
}

/* One packet of a socket that is not TCP. */
static __always_inline void eg_dgram_packet(struct __sk_buff *skb, struct bpf_sock *sk, struct eg_sock *s,
					    struct eg_packet *p, struct eg_flow_id *id, int tx)
{
	if (!tx && eg_dns_port(p->sport) && p->proto == EG_PROTO_UDP)
		eg_learn(skb, p);
	if (!tx && (s->flags & EG_RAW) && eg_raw_copy(p)) {
		if (!(s->flags & EG_KEYED))
			return;
		if (!eg_packet_is(p, &s->key, tx)) {
			if (s->flags & EG_HAS_PEERS)
				eg_peer_packet(skb, s, p, id, 2);
			return;
		}
	}
	if (!(s->flags & EG_KEYED)) {
		if ((s->flags & EG_HAS_PEERS) && eg_peer_packet(skb, s, p, id, tx | 2))
			return;
		if (!eg_dgram_begin(skb, sk, s, p, id, tx)) {
			eg_peer_packet(skb, s, p, id, tx);
			return;
		}
	} else if (!(s->flags & EG_CONNECTED) && !eg_packet_is(p, &s->key, tx)) {
		eg_peer_packet(skb, s, p, id, tx);
		return;
	}
	if (tx)
		eg_count_tx(skb, &s->n, &s->last_ns, &s->tx_adjust, 1);
	else
		eg_count_rx(skb, &s->n, &s->last_ns, &s->rx_adjust, 1);
	eg_dgram_capture(skb, s, p, id, tx);
}
