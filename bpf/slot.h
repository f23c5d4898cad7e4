/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finding, making and dropping what is kept of a socket; see struct eg_slot in abi.h for where and why. */
#pragma once

#include "state.h"

static __always_inline struct eg_slot *eg_slot(__u64 cookie)
{
	__u32 i = cookie & (EG_SLOTS - 1);

	return bpf_map_lookup_elem(&eg_slots, &i);
}

static __always_inline struct eg_sock *eg_slot_find(__u64 cookie)
{
	struct eg_slot *slot = eg_slot(cookie);

	return slot && slot->cookie == cookie ? &slot->sock : NULL;
}

/* What was counted behind the last look at the flow that had the slot, and has no flow now. */
static __always_inline void eg_slot_rest(struct eg_slot *slot)
{
	const struct eg_counts *n = &slot->sock.hot.n;

	if (n->tx_packets | n->tx_bytes | n->rx_packets | n->rx_bytes)
		eg_unreported(EG_LOSS_RING_FLOW, n);
}

static __always_inline struct eg_sock *eg_slot_claim(__u64 cookie)
{
	struct eg_slot *slot = eg_slot(cookie);
	__u64 left_ns;

	if (!slot || slot->cookie)
		return NULL;
	left_ns = slot->sock.born_ns;
	if (left_ns && bpf_ktime_get_ns() - left_ns < EG_SLOT_REST_NS)
		return NULL;
	if (__sync_val_compare_and_swap(&slot->cookie, 0, cookie))
		return NULL;
	eg_slot_rest(slot);
	__builtin_memset(&slot->sock, 0, sizeof(slot->sock));
	return &slot->sock;
}

/* What came on another CPU since the last look at a TCP socket's counts: a record behind its close. */
static __noinline void eg_slot_late(struct eg_slot *slot, __u64 cookie, __u8 tail)
{
	struct eg_tail_rec *r;
	struct eg_counts n;

	if (!slot)
		return;
	eg_take_counts(&slot->sock, &n);
	if (!(n.tx_packets | n.tx_bytes | n.rx_packets | n.rx_bytes))
		return;
	r = bpf_ringbuf_reserve(&eg_ring, sizeof(*r), 0);
	if (!r) {
		eg_lose(EG_LOSS_RING_FLOW, &n);
		return;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->rec.type = EG_REC_TAIL;
	r->rec.time_ns = bpf_ktime_get_ns();
	r->key = slot->sock.key;
	r->zone = slot->sock.zone;
	r->cookie = cookie;
	r->n = n;
	r->tx_tcp = slot->sock.hot.tx_tcp;
	r->rx_tcp = slot->sock.hot.rx_tcp;
	r->what = tail;
	bpf_ringbuf_submit(r, eg_wake());
}

/*
 * `told`: what its last record has of the counts, which stay until nobody looks for them under this cookie any more; `tail`: that waits for
 * what comes behind it. Who found the slot before writes there still: attach_sweep_rests() finds that, or who takes the slot next.
 */
static __always_inline void eg_drop(__u64 cookie, const struct eg_counts *told, __u8 tail)
{
	struct eg_slot *slot = eg_slot(cookie);
	struct eg_counts *n;

	if (!slot || slot->cookie != cookie)
		return;
	slot->sock.born_ns = bpf_ktime_get_ns();
	__sync_lock_test_and_set(&slot->cookie, EG_SLOT_BUSY);
	n = &slot->sock.hot.n;
	__sync_fetch_and_sub(&n->tx_packets, told->tx_packets);
	__sync_fetch_and_sub(&n->tx_bytes, told->tx_bytes);
	__sync_fetch_and_sub(&n->rx_packets, told->rx_packets);
	__sync_fetch_and_sub(&n->rx_bytes, told->rx_bytes);
	if (tail)
		eg_slot_late(slot, cookie, tail);
	__sync_lock_test_and_set(&slot->cookie, 0);
}

/* Macros, because each kind of program has a socket of another type. */
#define EG_FIND(sk, cookie)                                              \
	({                                                               \
		struct eg_sock *s_ = eg_slot_find(cookie);               \
                                                                         \
		if (!s_)                                                 \
			s_ = bpf_sk_storage_get(&eg_socks, sk, NULL, 0); \
		s_;                                                      \
	})

/* A socket not seen before. `stays`: nobody will tell when it ends, so it must not hold a slot. */
#define EG_MAKE(sk, cookie, stays)                                                                 \
	({                                                                                         \
		struct eg_sock *m_ = (stays) ? NULL : eg_slot_claim(cookie);                       \
                                                                                                   \
		if (!m_)                                                                           \
			m_ = bpf_sk_storage_get(&eg_socks, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE); \
		m_;                                                                                \
	})

#define EG_FIND_OR_MAKE(sk, cookie)                       \
	({                                                \
		struct eg_sock *f_ = EG_FIND(sk, cookie); \
                                                          \
		if (!f_)                                  \
			f_ = EG_MAKE(sk, cookie, 0);      \
		f_;                                       \
	})
