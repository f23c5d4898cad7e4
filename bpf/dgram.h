/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets without a connection of their own: UDP, ping, raw, and the kernel's control sockets. The socket carries the
 * first peer's flow; a socket that talks to several keeps the others in eg_peers. What finds no entry there is counted
 * as unreported: bytes may lose their flow, never the totals.
 */
#pragma once

#include "judge.h"
#include "learn.h"
#include "tcp.h"

/*
 * The same peer as the flow's? Connected sockets are asked too: sendto() may name another address all the same. The
 * local end is not compared: it is the socket's, whatever address it answers from. (A datagram that local rules send
 * elsewhere, DNAT, counts for the address it goes to, as tcpdump shows it.)
 */
static __always_inline int eg_packet_is(const struct eg_packet *p, const struct eg_key *k, int tx)
{
	return eg_addr_eq(k->remote, tx ? p->dst : p->src) &&
	       k->rport == (tx ? p->dport : p->sport) && k->proto == p->proto &&
	       (k->proto == EG_PROTO_UDP || k->lport == (tx ? p->sport : p->dport));
}

/* The same comparison for each packet without touching the key's cache line. Seeded: nobody can aim at a collision. */
static __always_inline __u32 eg_peer_hash(__u64 high, __u64 low, __u16 rport)
{
	__u64 h = hash_seed ^ rport;

	h = (h ^ high) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ h >> 32 ^ low) * 0xd6e8feb86659fd93ULL;
	return h >> 32;
}

static __always_inline __u32 eg_peer_tag(const __u32 remote[4], __u16 rport)
{
	return eg_peer_hash((__u64)remote[0] << 32 | remote[1], (__u64)remote[2] << 32 | remote[3],
			    rport);
}

/* Protocols whose packets a raw socket only gets copies of: what it did not begin belongs to somebody else. */
static __always_inline int eg_raw_copy(const struct eg_packet *p)
{
	return p->proto == EG_PROTO_TCP || p->proto == EG_PROTO_UDP || p->proto == EG_PROTO_ICMP ||
	       p->proto == EG_PROTO_ICMPV6 || p->proto == EG_PROTO_UDPLITE ||
	       p->proto == EG_PROTO_SCTP;
}

static __always_inline void eg_dgram_chunk(struct eg_chunk *c, const struct eg_key *key, __u64 zone,
					   __u64 cookie, __u32 flags, int tx)
{
	__builtin_memset(c, 0, sizeof(*c));
	c->key = key;
	c->zone = zone;
	c->cookie = cookie;
	c->flags = flags;
	c->what = tx ? EG_DATA_TX : 0;
	if (eg_dns_port(key->lport) || eg_dns_port(key->rport))
		c->what |= EG_DATA_IS_DNS;
}

/* What a datagram that was handed on means for the next. */
static __always_inline void eg_dgram_seen(__u32 *flags, int what, __u32 open)
{
	if (!(what & EG_DGRAM_MORE))
		__sync_fetch_and_and(flags, ~open);
	if ((what & EG_DGRAM_QUIC) && !(*flags & EG_QUIC))
		__sync_fetch_and_or(flags, EG_QUIC);
}

/* The flow in the socket itself. */
__noinline int eg_dgram_capture(struct __sk_buff *skb, struct eg_sock *s, struct eg_packet *p,
				__u64 cookie, int tx)
{
	struct eg_chunk c;
	__u32 open = tx ? EG_TX_OPEN : EG_RX_OPEN, seen;

	if (!s || !p || !(s->hot.flags & open))
		return 0;
	seen = tx ? s->tx.next++ : s->rx.next++;
	eg_dgram_chunk(&c, &s->key, s->zone, cookie, s->hot.flags, tx);
	/* of a ping without its answer nothing can be said: both windows close at once */
	if (p->proto != EG_PROTO_UDP)
		open = EG_TX_OPEN | EG_RX_OPEN;
	eg_dgram_seen(&s->hot.flags, eg_capture_dgram(skb, p, &c, seen), open);
	return 0;
}

static const struct eg_peer eg_no_peer; /* too large for the stack */

/* Did our end begin, by this packet? What the kernel sends from its own TCP socket answers somebody. */
static __always_inline int eg_began(const struct eg_sock *s, const struct eg_packet *p, int tx)
{
	return tx && (p->proto != EG_PROTO_TCP || s->hot.pid || !(s->hot.flags & EG_OWNED));
}

/* A new entry for one more peer; NULL when there is no room. */
static __noinline struct eg_peer *eg_peer_new(struct eg_sock *s, struct eg_peer_key *k,
					      __u32 ifindex, int began)
{
	struct eg_owner owner;
	struct eg_peer *peer;
	__u32 flags;

	if (!s || !k)
		return NULL;
	if (bpf_map_update_elem(&eg_peers, k, &eg_no_peer, BPF_NOEXIST))
		return bpf_map_lookup_elem(&eg_peers, k); /* no room, or another CPU was faster */
	peer = bpf_map_lookup_elem(&eg_peers, k);
	if (!peer)
		return NULL;
	flags = EG_KEYED | (began ? 0 : EG_INBOUND) | (s->hot.flags & EG_OWNED);
	if (eg_wants_dgrams(&k->key))
		flags |= EG_TX_OPEN | EG_RX_OPEN;
	peer->zone = s->zone;
	peer->ifindex = ifindex;
	eg_sock_owner(s, &owner);
	peer->owner = owner;
	if (eg_send_open(&k->key, s, k->cookie, flags, ifindex))
		flags |= EG_OPEN_SENT;
	__sync_fetch_and_or(&peer->flags, flags);
	return peer;
}

/* A packet of another peer than the socket's first, counted; NULL: it found no place, or, with `find_only`, no entry. */
static __noinline struct eg_peer *eg_peer_count(struct __sk_buff *skb, struct eg_sock *s,
						struct eg_packet *p, __u64 cookie, __u32 how)
{
	int tx = how & 1, find_only = how & 2;
	struct eg_peer_key k = {};
	struct eg_peer *peer;

	if (!s || !p)
		return NULL;
	k.cookie = cookie;
	eg_packet_key(p, &k.key, tx);
	peer = bpf_map_lookup_elem(&eg_peers, &k);
	if (!peer) {
		if (find_only)
			return NULL;
		__sync_fetch_and_or(&s->hot.flags, EG_HAS_PEERS);
		peer = eg_peer_new(s, &k, skb->ifindex, eg_began(s, p, tx));
	}
	if (peer)
		eg_count(skb, &peer->n, &peer->last_tick, &peer->adjust[!tx], EG_COUNT_DGRAM | tx);
	else
		eg_lose_packet(EG_LOSS_MAP_FLOWS, skb->len, tx);
	return peer;
}

__noinline int eg_peer_capture(struct __sk_buff *skb, struct eg_peer *peer, struct eg_packet *p,
			       __u64 cookie, int tx)
{
	struct eg_chunk c;
	struct eg_room *r;
	__u32 open = tx ? EG_TX_OPEN : EG_RX_OPEN, seen;

	if (!peer || !p)
		return 0;
	if (p->proto != EG_PROTO_UDP) /* as above */
		open = EG_TX_OPEN | EG_RX_OPEN;
	seen = peer->datagrams[!tx]++;
	r = eg_room_take(); /* for the key alone, which the stack has no room for */
	if (!r)
		return 0;
	eg_packet_key(p, &r->peer.key, tx);
	eg_dgram_chunk(&c, &r->peer.key, peer->zone, cookie, peer->flags, tx);
	eg_dgram_seen(&peer->flags, eg_capture_dgram(skb, p, &c, seen), open);
	eg_room_give(r);
	return 0;
}

#define EG_PEER_FIND 2

static __always_inline struct eg_peer *eg_peer_packet(struct __sk_buff *skb, struct eg_sock *s,
						      struct eg_packet *p, __u64 cookie, __u32 how)
{
	struct eg_peer *peer = eg_peer_count(skb, s, p, cookie, how);

	if (peer && (peer->flags & (how & 1 ? EG_TX_OPEN : EG_RX_OPEN)))
		eg_peer_capture(skb, peer, p, cookie, how & 1);
	return peer;
}

/* The socket carries no flow yet: it takes this packet's. 0 when another CPU is just doing so. */
static __always_inline int eg_dgram_begin(struct eg_sock *s, struct eg_packet *p, __u64 cookie,
					  __u32 ifindex, int tx)
{
	__u32 flags = EG_KEYED;

	if (__sync_fetch_and_or(&s->hot.flags, EG_KEYING) & EG_KEYING)
		return 0;
	eg_packet_key(p, &s->key, tx);
	s->hot.proto = p->proto;
	s->ifindex = ifindex;
	s->hot.peer_tag = eg_peer_tag((const __u32 *)s->key.remote, s->key.rport);
	if (!eg_began(s, p, tx))
		flags |= EG_INBOUND;
	if (eg_wants_dgrams(&s->key))
		flags |= EG_TX_OPEN | EG_RX_OPEN;
	__sync_fetch_and_or(&s->hot.flags, flags);
	__sync_fetch_and_and(&s->hot.flags, ~EG_KEYING);
	eg_open(s, cookie);
	return 1;
}

/* One packet of a socket that is not TCP. */
static __always_inline void eg_dgram_packet(struct __sk_buff *skb, struct eg_sock *s,
					    struct eg_packet *p, __u64 cookie, int tx)
{
	int keyed = (s->hot.flags & EG_KEYED) != 0, copy;

	if (!tx && eg_dns_port(p->sport) && p->proto == EG_PROTO_UDP)
		eg_learn_dgram(skb, s, p, cookie);
	copy = !tx && (s->hot.flags & EG_RAW) && eg_raw_copy(p);
	if (keyed ? !eg_packet_is(p, &s->key, tx) : (s->hot.flags & EG_HAS_PEERS) != 0) {
		if (eg_peer_packet(skb, s, p, cookie, tx | (copy || !keyed ? EG_PEER_FIND : 0)) ||
		    keyed)
			return;
	}
	if (!keyed && copy)
		return;
	if (!keyed && !eg_dgram_begin(s, p, cookie, skb->ifindex, tx)) {
		eg_peer_packet(skb, s, p, cookie, tx);
		return;
	}
	eg_count(skb, &s->hot.n, &s->hot.last_tick, &s->adjust[!tx], EG_COUNT_DGRAM | tx);
	eg_dgram_capture(skb, s, p, cookie, tx);
}
