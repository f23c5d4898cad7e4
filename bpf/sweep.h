/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From what is kept of a socket to the record of its flow: when it ends, and at each sweep. Pure: the kernel's side uses
 * it for flows that end and for sockets without a slot, user space for the slots, which it has mapped.
 */
#pragma once

#include "abi.h"

#define EG_PROTO_IS_DNS_PORT(p) ((p) == 53 || (p) == 5353 || (p) == 5355)

struct eg_sweep {
	__u64 since;          /* flows that moved at this tick or after are told of */
	__u64 idle, idle_dns; /* datagram flows silent since before are over */
};

/* A packet counted meanwhile, on another CPU, is in what was taken or in what stays, never in neither. */
static inline void eg_take_counts(struct eg_sock *s, struct eg_counts *n)
{
	n->tx_packets = __sync_lock_test_and_set(&s->hot.n.tx_packets, 0);
	n->tx_bytes = __sync_lock_test_and_set(&s->hot.n.tx_bytes, 0);
	n->rx_packets = __sync_lock_test_and_set(&s->hot.n.rx_packets, 0);
	n->rx_bytes = __sync_lock_test_and_set(&s->hot.n.rx_bytes, 0);
}

static inline int eg_is_mapped(const __u8 a[16])
{
	__u8 zero = 0;
	int i;

	for (i = 0; i < 10; i++)
		zero |= a[i];
	return !zero && a[10] == 0xff && a[11] == 0xff;
}

static inline void eg_sock_owner(const struct eg_sock *s, struct eg_owner *o)
{
	o->pid = s->hot.pid;
	o->start_ns = s->owner_start_ns;
	o->cgroup_id = s->owner_cgroup_id;
	o->uid = s->uid;
	o->gid = s->gid;
	o->pad = 0;
}

/* UDP payload: all bytes but the headers; unknown (~0) for what has no ports. */
static inline void eg_dgram_payload(const struct eg_key *key, const struct eg_counts *n,
				    const __s64 adjust[2], __u64 *tx, __u64 *rx)
{
	__u64 header = eg_is_mapped(key->remote) ? 28 : 48;

	*tx = *rx = ~0ULL;
	if (key->proto != 17)
		return;
	*tx = n->tx_bytes - n->tx_packets * header + (__u64)adjust[0];
	*rx = n->rx_bytes - n->rx_packets * header + (__u64)adjust[1];
}

static inline void eg_fill_close(struct eg_close *c, const struct eg_sock *s,
				 const struct eg_counts *n, __u64 cookie)
{
	c->rec.flags = s->hot.flags;
	c->key = s->key;
	c->zone = s->zone;
	c->cookie = cookie;
	c->n = *n;
	c->last_tick = s->hot.last_tick;
	c->retransmits = s->retransmits;
	c->rtt_us = s->rtt_us;
	eg_sock_owner(s, &c->owner);
	c->tx_tcp = s->hot.tx_tcp;
	c->rx_tcp = s->hot.rx_tcp;
	c->idle = 0;
	c->tail = s->judged.tail;
	c->ifindex = s->ifindex;
	c->visible_name = s->visible_name;
	c->judged = s->judged;
	if (s->key.proto == 6) {
		c->tx_payload = s->hot.flags & EG_LOOKED ? s->payload[0] : ~0ULL;
		c->rx_payload = s->hot.flags & EG_LOOKED ? s->payload[1] : ~0ULL;
	} else {
		eg_dgram_payload(&s->key, n, s->adjust, &c->tx_payload, &c->rx_payload);
	}
}

/* Ready for another flow. Counters were taken already; flags in `keep` stay. */
static inline void eg_reset(struct eg_sock *s, __u32 keep)
{
	__sync_fetch_and_and(&s->hot.flags, keep);
	s->tx = (struct eg_window){ 0 };
	s->rx = (struct eg_window){ 0 };
	s->adjust[0] = s->adjust[1] = 0;
	s->hot.tx_tcp = s->hot.rx_tcp = 0;
	s->retransmits = s->rtt_us = 0;
	s->hot.passes = 0;
	s->born_ns = s->visible_name = 0;
	s->judged = (struct eg_judged){ 0 };
}

/*
 * The verdict `j` was told of, unless it changed meanwhile: all that does changes its second half too. Only once: what is
 * told of is not told of again.
 */
static inline void eg_judged_told(struct eg_judged *at, const struct eg_judged *j)
{
	union {
		struct eg_judged j;
		__u64 half[2];
	} was = { .j = *j }, told = { .j = *j };

	if (!j->gen || (j->flags & EG_JUDGED_TOLD))
		return;
	told.j.flags |= EG_JUDGED_TOLD;
	__sync_val_compare_and_swap((__u64 *)at + 1, was.half[1], told.half[1]);
}

static inline int eg_is_idle(const struct eg_key *k, __u64 last_tick, const struct eg_sweep *w)
{
	if (EG_PROTO_IS_DNS_PORT(k->lport) || EG_PROTO_IS_DNS_PORT(k->rport))
		return last_tick < w->idle_dns;
	return last_tick < w->idle;
}

/* Before an epoch's low byte comes round again: what carries another than the present one asks policy. */
static inline void eg_forget_passes(struct eg_hot *hot, struct eg_judged *j, __u8 now)
{
	if (hot && hot->passes != now)
		hot->passes = 0;
	if (j->epoch != now)
		j->epoch = 0;
}

/* Refused from its first packet on: the refusal is all there is to tell. */
static inline int eg_never_left(const struct eg_sock *s)
{
	return (s->judged.flags & EG_JUDGED_REFUSES) && !s->hot.n.tx_packets &&
	       !s->hot.n.rx_packets && !(s->hot.flags & EG_OPEN_SENT);
}

/* 1: there is something to tell, in *c. An idle flow is ended; the socket's next packet begins another. */
static inline int eg_sweep_sock(struct eg_sock *s, __u64 cookie, const struct eg_sweep *w,
				struct eg_close *c)
{
	struct eg_counts n;
	int idle;

	if (s->hot.flags & EG_OVER) {
		eg_fill_close(c, s, &s->hot.n, cookie);
		return 1;
	}
	if (!(s->hot.flags & EG_KEYED) || eg_never_left(s))
		return 0;
	idle = !((s->hot.flags & EG_CONNECTED) && s->key.proto == 6) &&
	       eg_is_idle(&s->key, s->hot.last_tick, w);
	if (s->hot.last_tick < w->since && (s->hot.flags & EG_OPEN_SENT) && !idle)
		return 0;
	if (idle) {
		eg_take_counts(s, &n);
		eg_fill_close(c, s, &n, cookie);
		c->idle = 1;
		eg_reset(s, EG_OWNED | EG_HAS_PEERS | EG_RAW | EG_CONNECTED);
		return 1;
	}
	n = s->hot.n;
	eg_fill_close(c, s, &n, cookie);
	eg_judged_told(&s->judged, &c->judged);
	__sync_fetch_and_or(&s->hot.flags, EG_OPEN_SENT);
	return 1;
}

static inline void eg_fill_peer(struct eg_close *c, const struct eg_peer_key *k,
				const struct eg_peer *p)
{
	c->rec.flags = p->flags;
	c->key = k->key;
	c->cookie = k->cookie;
	c->zone = p->zone;
	c->n = p->n;
	c->last_tick = p->last_tick;
	c->owner = p->owner;
	c->retransmits = c->rtt_us = 0;
	c->tx_tcp = c->rx_tcp = 0;
	c->idle = c->tail = 0;
	c->ifindex = p->ifindex;
	c->visible_name = p->visible_name;
	c->judged = p->judged;
	eg_dgram_payload(&c->key, &c->n, p->adjust, &c->tx_payload, &c->rx_payload);
}
