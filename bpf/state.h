/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps, the settings fixed at load, and the count of what is lost. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

#include "abi.h"
#include "kernel.h"

/* --- settings, set between open and load -------------------------------------------------------------------- */
const volatile __u64 watch_cgroup_id = 1; /* the subtree … */
const volatile __u32 watch_level = 0;     /* … and how deep it lies */
const volatile __u8 trace_all_processes = 1;
const volatile __u8 has_kern_ctx = 0; /* bpf_cast_to_kern_ctx() is there: since 6.2 */
const volatile __u64 hash_seed = 0;
const volatile __u64 name_key = 0; /* of eg_name_hash_byte() */
#define EG_HAS_NAME_KEY
const volatile __u8 with_policy =
	1; /* 0: none will come; the verifier then leaves out all that judges */
const volatile __u32 ring_wake_bytes = 0; /* more than so much unread: wake the reader */

/* Set by user space before a sweep; see sweep.h. */
__u64 sweep_since = 0;
__u64 sweep_idle = 0;
__u64 sweep_idle_dns = 0;
__u64 sweep_idle_tcp = 0,
      sweep_over = 0; /* gateway: open, and ended, TCP flows silent since before are over */
__u32 sweep_all_peers = 0;
__u32 sweep_forget = 0; /* only forget which epochs let flows pass */

/*
 * The policy in force, set by user space in this order: the image, its generation, then the epoch. Whoever judges reads
 * the epoch before it takes the image: a verdict of the old image never carries the new epoch. The epoch's low byte is
 * never 0 while there is a policy; it moves on with each swap, and when something changed that all verdicts hang on.
 */
__u32 policy_gen = 0; /* 0: none */
__u32 policy_epoch = 0;
__u32 policy_gens = 0,
      policy_epochs = 0;  /* the last ones given out, kept while there is no policy */
__u32 policy_refuses = 0; /* it can refuse something: what cannot be judged is refused */
__u32 policy_limits = 0;  /* it has so many rates */
__u64 policy_unix_ns = 0; /* Unix time less CLOCK_BOOTTIME */

/* The epoch now; 0: no policy. */
static __always_inline __u32 eg_epoch(void)
{
	return with_policy ? *(volatile __u32 *)&policy_epoch : 0;
}

/* The same moment on both clocks, as of the last sweep. */
__u64 clock_ns = 0;
__u64 clock_tick = 0;

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;
extern int bpf_sock_destroy(struct sock_common *sk) __ksym __weak; /* since 6.5 */

/* --- maps ----------------------------------------------------------------------------------------------------- */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct eg_sock);
} eg_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* page-aligned, so that a slot is one line */
	__uint(max_entries, EG_SLOTS);
	__type(key, __u32);
	__type(value, struct eg_slot);
} eg_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct eg_peer_key);
	__type(value, struct eg_peer);
} eg_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EG_HANDSHAKES);
	__type(key, __u32);
	__type(value, struct eg_handshake);
} eg_handshakes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_TAILS);
	__type(key, __u32);
	__type(value, struct eg_tail);
} eg_tails SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_loss);
} eg_losses SEC(".maps");

/*
 * One ring for everything, so that records come out in the order in which things happened: a DNS answer before the
 * flow it names, a process before its flows.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} eg_ring SEC(".maps");

/* --- losses --------------------------------------------------------------------------------------------------- */
enum {
#define X(id) EG_LOSS_##id,
	EG_LOSS_REASONS(X)
#undef X
};

static __noinline void eg_unreported(__u32 reason, const struct eg_counts *n)
{
	__u32 zero = 0;
	struct eg_loss *l = bpf_map_lookup_elem(&eg_losses, &zero);

	if (!l || !n)
		return;
	reason &= EG_LOSS_PLACES - 1;
	/* Process context may be interrupted by a softirq on the same CPU. */
	__sync_fetch_and_add(&l->unreported[reason].tx_packets, n->tx_packets);
	__sync_fetch_and_add(&l->unreported[reason].tx_bytes, n->tx_bytes);
	__sync_fetch_and_add(&l->unreported[reason].rx_packets, n->rx_packets);
	__sync_fetch_and_add(&l->unreported[reason].rx_bytes, n->rx_bytes);
}

static __noinline void eg_lose_one(__u32 reason)
{
	__u32 zero = 0;
	struct eg_loss *l = bpf_map_lookup_elem(&eg_losses, &zero);

	if (l)
		__sync_fetch_and_add(&l->lost[reason & (EG_LOSS_PLACES - 1)], 1);
}

static __always_inline void eg_lose(__u32 reason, const struct eg_counts *n)
{
	eg_lose_one(reason);
	if (n)
		eg_unreported(reason, n);
}

/* Waking the reader for each record would cost a context switch a flow: it drains on a timer, unless much is unread. */
static __always_inline __u64 eg_wake(void)
{
	if (bpf_ringbuf_query(&eg_ring, BPF_RB_AVAIL_DATA) > ring_wake_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

/* How packet.h reads a packet here. */
#define EG_LOAD(ctx, at, to, len) bpf_skb_load_bytes(ctx, at, to, len)

static __always_inline int eg_is_v4mapped(const __u8 a[16])
{
	const __u32 *w = (const __u32 *)a;

	return !w[0] && !w[1] && w[2] == bpf_htonl(0xffff);
}

static __always_inline void eg_put_v4(__u8 to[16], __be32 a)
{
	__u32 *w = (__u32 *)to;

	w[0] = 0;
	w[1] = 0;
	w[2] = bpf_htonl(0xffff);
	w[3] = a;
}

static __always_inline int eg_addr_eq(const __u8 a[16], const __u8 b[16])
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}
