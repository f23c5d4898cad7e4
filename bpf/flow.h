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
#include "sweep.h"

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

/* Tells user space that a flow began, whose it is, and the names DNS gave its remote end. 0: the notice was lost. */
static __always_inline int eg_send_open(const struct eg_key *key, const struct eg_owner *owner,
					__u64 zone, __u64 cookie, __u32 flags, __u32 ifindex,
					const char *comm)
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
	o->zone = zone;
	o->cookie = cookie;
	o->ifindex = ifindex;
	o->owner = *owner;
	o->pad = 0;
	__builtin_memcpy(o->comm, comm, sizeof(o->comm));
	eg_names_of(o->key.remote, o->names);
	bpf_ringbuf_submit(o, eg_wake());
	return 1;
}

static __noinline void eg_open(struct eg_sock *s, __u64 cookie)
{
	if (s &&
	    eg_send_open(&s->key, &s->owner, s->zone, cookie, s->hot.flags, s->ifindex, s->comm))
		__sync_fetch_and_or(&s->hot.flags, EG_OPEN_SENT);
}

/* What a lost close notice would have told, less what sweeps told already. */
static __always_inline void eg_unreported(struct eg_counts *n, const struct eg_sock *s)
{
	n->tx_bytes -= s->swept_tx_bytes;
	n->rx_bytes -= s->swept_rx_bytes;
	n->tx_packets = (__u32)n->tx_packets - s->swept_tx_packets;
	n->rx_packets = (__u32)n->rx_packets - s->swept_rx_packets;
}

/* The end of a flow whose socket may go on with another: connect() to another peer, or close of a datagram socket. */
static __noinline void eg_close(struct eg_sock *s, __u64 cookie)
{
	struct eg_counts n;
	struct eg_close *c;

	if (!s)
		return;
	if (!(s->hot.flags & EG_OPEN_SENT))
		eg_open(s, cookie);
	eg_take_counts(s, &n);
	c = bpf_ringbuf_reserve(&eg_ring, sizeof(*c), 0);
	if (!c) {
		eg_unreported(&n, s);
		eg_lose(EG_LOSS_RING_FLOW, &n);
	} else {
		c->rec.type = EG_REC_CLOSE;
		c->rec.time_ns = bpf_ktime_get_ns();
		eg_fill_close(c, s, &n, cookie);
		bpf_ringbuf_submit(c, eg_wake());
	}
	eg_reset(s, EG_OWNED | EG_HAS_PEERS | EG_RAW | EG_SEEDED);
}
