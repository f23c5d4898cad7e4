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
static __noinline int eg_send_open(const struct eg_key *key, const struct eg_sock *s, __u64 cookie,
				   __u32 flags, __u32 ifindex)
{
	struct eg_open *o;

	if (!key || !s)
		return 0;
	o = bpf_ringbuf_reserve(&eg_ring, sizeof(*o), 0);

	if (!o) {
		eg_lose_one(EG_LOSS_RING_FLOW);
		return 0;
	}
	o->rec.type = EG_REC_OPEN;
	o->rec.flags = flags;
	o->rec.time_ns = bpf_ktime_get_ns();
	o->key = *key;
	o->zone = s->zone;
	o->cookie = cookie;
	o->ifindex = ifindex;
	eg_sock_owner(s, &o->owner);
	o->pad = 0;
	o->comm[0] = 0;
	if ((flags & EG_OWNED) && s->hot.pid && s->hot.pid == bpf_get_current_pid_tgid() >> 32)
		bpf_get_current_comm(o->comm, sizeof(o->comm));
	eg_names_of(o->key.remote, o->rec.time_ns, o->names);
	o->visible_name = 0;
	o->judged = (struct eg_judged){};
	if (key == &s->key) {
		o->visible_name = s->visible_name;
		o->judged = s->judged;
	}
	bpf_ringbuf_submit(o, eg_wake());
	return 1;
}

static __noinline void eg_open(struct eg_sock *s, __u64 cookie)
{
	struct eg_judged j;

	if (!s)
		return;
	j = s->judged;
	if (!eg_send_open(&s->key, s, cookie, s->hot.flags, s->ifindex))
		return;
	__sync_fetch_and_or(&s->hot.flags, EG_OPEN_SENT);
	eg_judged_told(&s->judged, &j);
}

/*
 * There was no room to tell of a flow's end: it waits in a free slot, not its own, for the next sweep. Only when there
 * is none close by, its counts go to the totals of what was not reported.
 */
static __noinline void eg_park(struct eg_sock *s, const struct eg_counts *n, __u64 cookie, int tail)
{
	struct eg_slot *slot;
	int i;

	eg_lose_one(EG_LOSS_RING_FLOW);
	if (!s || !n)
		return;
	for (i = 1; i <= 16; i++) {
		slot = eg_slot(cookie + i);
		if (!slot || slot->cookie || __sync_val_compare_and_swap(&slot->cookie, 0, cookie))
			continue;
		eg_slot_rest(slot);
		slot->sock = *s;
		slot->sock.hot.n = *n;
		slot->sock.judged.tail = tail;
		__sync_fetch_and_or(&slot->sock.hot.flags, EG_OVER);
		return;
	}
	eg_unreported(EG_LOSS_RING_FLOW, n);
}

/* The end of a flow whose socket may go on with another: connect() to another peer, or close of a datagram socket. */
static __noinline void eg_close(struct eg_sock *s, __u64 cookie)
{
	struct eg_counts n;
	struct eg_close *c;

	if (!s)
		return;
	if (eg_never_left(s)) {
		eg_reset(s, EG_OWNED | EG_HAS_PEERS | EG_RAW | EG_SEEDED);
		return;
	}
	if ((s->hot.flags & (EG_KEYED | EG_OPEN_SENT)) == EG_KEYED)
		eg_open(s, cookie);
	eg_take_counts(s, &n);
	c = bpf_ringbuf_reserve(&eg_ring, sizeof(*c), 0);
	if (c) {
		c->rec.type = EG_REC_CLOSE;
		c->rec.time_ns = bpf_ktime_get_ns();
		eg_fill_close(c, s, &n, cookie);
		bpf_ringbuf_submit(c, eg_wake());
	} else {
		eg_park(s, &n, cookie, 0);
	}
	eg_reset(s, EG_OWNED | EG_HAS_PEERS | EG_RAW | EG_SEEDED);
}
