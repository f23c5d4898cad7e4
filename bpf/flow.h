/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of a flow: what is told of it, and its way out of the socket's counters. A notice may be lost (and is
 * counted then); the counters it would have carried go to the totals of what was not reported.
 */
#pragma once

#include "names.h"
#include "owner.h"
#include "packet.h"
#include "slot.h"

static __always_inline int eg_dns_port(__u16 p)
{
	return p == 53 || p == 5353 || p == 5355;
}

static __always_inline void eg_packet_key(const struct eg_packet *p, struct eg_key *k, int tx)
{
	__builtin_memcpy(k->local, tx ? p->src : p->dst, 16);
	__builtin_memcpy(k->remote, tx ? p->dst : p->src, 16);
	k->lport = tx ? p->sport : p->dport;
	k->rport = tx ? p->dport : p->sport;
	k->proto = p->proto;
	k->pad[0] = k->pad[1] = k->pad[2] = 0;
}

/* A packet that found no place to be counted at. */
static __noinline void eg_lose_packet(__u32 reason, __u32 len, int tx)
{
	struct eg_counts n = {};

	*(tx ? &n.tx_packets : &n.rx_packets) = 1;
	*(tx ? &n.tx_bytes : &n.rx_bytes) = len;
	eg_lose(reason, &n);
}

/* What a hook knows about the packet's socket and the structs of the flow do not hold. */
struct eg_flow_id {
	__u64 zone, cookie;
	__u32 ifindex;
};

/* Tells user space that a flow began, whose it is, and the names DNS gave its remote end. 0: the notice was lost. */
static __noinline int eg_send_open(const struct eg_key *key, const struct eg_owner *owner,
				   const struct eg_flow_id *id, __u32 flags)
{
	struct eg_open *o = bpf_ringbuf_reserve(&eg_ring, sizeof(*o), 0);

	if (!o) {
		eg_lose(EG_LOSS_RING_FLOW, NULL);
		return 0;
	}
	o->rec.type = EG_REC_OPEN;
	o->rec.flags = flags;
	o->rec.time_ns = bpf_ktime_get_ns();
	o->key = *key;
	o->zone = id->zone;
	o->cookie = id->cookie;
	o->ifindex = id->ifindex;
	o->owner = *owner;
	o->pad = 0;
	eg_names_of(o->key.remote, o->names);
	o->comm[0] = 0;
	if ((flags & EG_OWNED) && owner->pid && owner->pid == bpf_get_current_pid_tgid() >> 32)
		bpf_get_current_comm(o->comm, sizeof(o->comm));
	bpf_ringbuf_submit(o, eg_wake());
	return 1;
}

static __noinline void eg_open(struct eg_sock *s, const struct eg_flow_id *id)
{
	struct eg_owner owner;

	if (!s)
		return;
	eg_sock_owner(s, &owner);
	if (eg_send_open(&s->key, &owner, id, s->hot.flags))
		__sync_fetch_and_or(&s->hot.flags, EG_OPEN_SENT);
}

/* Takes the counters out of a socket that goes on with another flow, or ends. A packet counted meanwhile is in one or
 * the other, never in none. */
static __always_inline void eg_take_counts(struct eg_sock *s, struct eg_counts *n)
{
	n->tx_packets = __sync_lock_test_and_set(&s->hot.n.tx_packets, 0);
	n->tx_bytes = __sync_lock_test_and_set(&s->hot.n.tx_bytes, 0);
	n->rx_packets = __sync_lock_test_and_set(&s->hot.n.rx_packets, 0);
	n->rx_bytes = __sync_lock_test_and_set(&s->hot.n.rx_bytes, 0);
}

/* UDP payload: all bytes but the headers; unknown for what has no ports. */
static __always_inline void eg_dgram_payload(const struct eg_key *key, const struct eg_counts *n,
					     __s32 tx_adjust, __s32 rx_adjust, __u64 *tx, __u64 *rx)
{
	__u64 header = eg_is_v4mapped(key->remote) ? 28 : 48;

	*tx = *rx = ~0ULL;
	if (key->proto != EG_PROTO_UDP)
		return;
	*tx = n->tx_bytes - n->tx_packets * header + (__s64)tx_adjust;
	*rx = n->rx_bytes - n->rx_packets * header + (__s64)rx_adjust;
}

static __always_inline void eg_fill_close(struct eg_close *c, struct eg_sock *s,
					  const struct eg_flow_id *id)
{
	c->rec.flags = s->hot.flags;
	c->key = s->key;
	c->zone = id->zone;
	c->cookie = id->cookie;
	c->last_ns = s->hot.last_ns;
	c->retransmits = 0;
	c->rtt_us = 0;
	eg_sock_owner(s, &c->owner);
	c->tx_tcp = s->hot.tx_tcp;
	c->rx_tcp = s->hot.rx_tcp;
	c->idle = 0;
	c->state = 0;
	c->tail_len = 0;
	c->tx_payload = c->rx_payload = ~0ULL;
}

/* What a lost close notice would have told, less what sweeps told already. */
static __always_inline void eg_unreported(struct eg_counts *n, const struct eg_sock *s)
{
	n->tx_bytes -= s->swept_tx_bytes;
	n->rx_bytes -= s->swept_rx_bytes;
	n->tx_packets = (__u32)n->tx_packets - s->swept_tx_packets;
	n->rx_packets = (__u32)n->rx_packets - s->swept_rx_packets;
}

/* The end of a datagram flow: the socket was closed or connected to another peer. Leaves the storage empty. */
static __noinline void eg_close_dgram(struct eg_sock *s, const struct eg_flow_id *id)
{
	struct eg_counts n;
	struct eg_close *c;

	if (!s)
		return;
	if (!(s->hot.flags & EG_OPEN_SENT))
		eg_open(s, id);
	eg_fold(s, id->cookie, 0);
	eg_take_counts(s, &n);
	c = bpf_ringbuf_reserve(&eg_ring, sizeof(*c), 0);
	if (!c) {
		eg_unreported(&n, s);
		eg_lose(EG_LOSS_RING_FLOW, &n);
	} else {
		c->rec.type = EG_REC_CLOSE;
		c->rec.time_ns = bpf_ktime_get_ns();
		eg_fill_close(c, s, id);
		c->n = n;
		eg_dgram_payload(&c->key, &c->n, s->tx_adjust, s->rx_adjust,
				 &c->tx_payload, &c->rx_payload);
		bpf_ringbuf_submit(c, eg_wake());
	}
	__sync_fetch_and_and(&s->hot.flags, EG_OWNED | EG_HAS_PEERS | EG_RAW | EG_SEEDED | EG_MULTI);
	s->tx = (struct eg_window){};
	s->rx = (struct eg_window){};
	s->tx_adjust = s->rx_adjust = 0;
	s->swept_tx_bytes = s->swept_rx_bytes = 0;
	s->swept_tx_packets = s->swept_rx_packets = 0;
	s->hot.tx_tcp = s->hot.rx_tcp = 0;
}
