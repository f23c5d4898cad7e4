/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The slot in front of a socket's storage. A flow's counts are what the slot holds plus what the storage holds:
 *
 *     publish   the slow way ends: the slot learns what it needs to count the next packets alone
 *     fold      the flow ends, or its socket takes up another: counts move into the storage
 */
#pragma once

#include "state.h"

#define EG_SLOT_FLAGS (EG_KEYED | EG_CONNECTED | EG_RAW | EG_HTTP | EG_TX_OPEN | EG_RX_OPEN)

static __always_inline struct eg_slot *eg_slot(__u64 cookie)
{
	__u32 i = cookie & (EG_SLOTS - 1);

	return bpf_map_lookup_elem(&eg_slots, &i);
}

static __always_inline void eg_publish(struct eg_sock *s, __u64 cookie)
{
	struct eg_slot *slot = eg_slot(cookie);
	__u32 flags = s->hot.flags & EG_SLOT_FLAGS;

	if (!slot || !(flags & EG_KEYED))
		return;
	if (slot->cookie != cookie && __sync_val_compare_and_swap(&slot->cookie, 0, cookie))
		return;
	slot->hot.proto = s->hot.proto;
	slot->hot.pid = s->hot.pid;
	slot->hot.peer_tag = s->hot.peer_tag;
	if (slot->hot.flags != flags)
		slot->hot.flags = flags;
}

/*
 * `keep`: the socket lives on, and a CPU that is just counting a packet must find the slot its own afterwards: what it
 * adds late stays there for the next fold.
 */
static __always_inline void eg_fold(struct eg_sock *s, __u64 cookie, int keep)
{
	struct eg_slot *slot = eg_slot(cookie);

	if (!slot || slot->cookie != cookie)
		return;
	slot->hot.flags = 0;
	__sync_fetch_and_add(&s->hot.n.tx_packets, __sync_lock_test_and_set(&slot->hot.n.tx_packets, 0));
	__sync_fetch_and_add(&s->hot.n.tx_bytes, __sync_lock_test_and_set(&slot->hot.n.tx_bytes, 0));
	__sync_fetch_and_add(&s->hot.n.rx_packets, __sync_lock_test_and_set(&slot->hot.n.rx_packets, 0));
	__sync_fetch_and_add(&s->hot.n.rx_bytes, __sync_lock_test_and_set(&slot->hot.n.rx_bytes, 0));
	s->hot.tx_tcp |= slot->hot.tx_tcp;
	s->hot.rx_tcp |= slot->hot.rx_tcp;
	slot->hot.tx_tcp = slot->hot.rx_tcp = 0;
	if (slot->hot.last_ns > s->hot.last_ns)
		s->hot.last_ns = slot->hot.last_ns;
	slot->hot.last_ns = 0;
	if (!keep)
		slot->cookie = 0;
}

/* Both together, without changing either. */
static __always_inline void eg_total(const struct eg_sock *s, __u64 cookie, struct eg_hot *ret)
{
	struct eg_slot *slot = eg_slot(cookie);

	*ret = s->hot;
	if (!slot || slot->cookie != cookie)
		return;
	ret->n.tx_packets += slot->hot.n.tx_packets;
	ret->n.tx_bytes += slot->hot.n.tx_bytes;
	ret->n.rx_packets += slot->hot.n.rx_packets;
	ret->n.rx_bytes += slot->hot.n.rx_bytes;
	ret->tx_tcp |= slot->hot.tx_tcp;
	ret->rx_tcp |= slot->hot.rx_tcp;
	if (slot->hot.last_ns > ret->last_ns)
		ret->last_ns = slot->hot.last_ns;
}
