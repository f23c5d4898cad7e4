/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rates. A bucket is a queue that is not there: what passes is put into it in thought, and it empties at the rule's rate.
 * While less than EG_LIMIT_ROOM_NS wait in it a packet passes, else it is dropped; so the rate holds over any time longer
 * than that, and no packet is delayed.
 *
 * So that nobody starves, each flow has such a queue too, which empties at its share. The share is one number a bucket,
 * worked out ten times a second: more while the bucket's queue is short or becomes shorter, less while it is long or grows. It
 * settles where all flows that want more than it, at it, and the others, at what they want, fill the rate, with half
 * of the room taken. Whoever has more than his share waiting is dropped first, from a quarter of the room on. A socket of ours is told to send at its share
 * (eg_pace), so that hardly anything has to be dropped.
 *
 * Nothing is locked: whoever is second in a swap counts all the same, and one CPU a window works the share out.
 */
#pragma once

#include "judge.h"

#define EG_LIMIT_ROOM_NS 200000000ULL /* less ruins TCP, more is no limit */
#define EG_LIMIT_WINDOW_NS 100000000ULL
#define EG_LIMIT_IDLE_NS 1000000000ULL /* after so long all is as at first */
#define EG_LIMIT_SHARE_MIN 256
/* Of 1024, a window: how far the share moves for a queue that is a room too long, or grew by a whole window. */
#define EG_LIMIT_BY_LENGTH 154
#define EG_LIMIT_BY_GROWTH 358
#define EG_LIMIT_UP_MAX 256
#define EG_LIMIT_DOWN_MAX 512

#define EG_LIMIT_TX 1
#define EG_LIMIT_BARE 2  /* no payload: dropped last */
#define EG_LIMIT_AGAIN 4 /* sent again: nearly so */
#define EG_LIMIT_PACKETS(n) ((__u32)(n) << 8)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, EG_BUCKETS);
	__type(key, struct eg_bucket_key);
	__type(value, struct eg_bucket);
} eg_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_BUCKETS_REST);
	__type(key, __u32);
	__type(value, struct eg_bucket);
} eg_buckets_rest SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_SHARES);
	__type(key, __u32);
	__type(value, struct eg_share);
} eg_shares SEC(".maps");

static const struct eg_bucket eg_no_bucket;

/* --- whose bucket ------------------------------------------------------------------------------------------------- */

static __always_inline __u64 eg_limit_mix(__u64 h, __u64 x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

/* A flow, for its share: seeded, so that nobody can aim at another's. */
static __noinline __u64 eg_limit_flow(const struct eg_key *k, __u64 cookie)
{
	const __u64 *w = (const __u64 *)k;
	__u64 h = hash_seed ^ cookie;

	if (!k)
		return h;
	h = eg_limit_mix(h, w[0]);
	h = eg_limit_mix(h, w[1]);
	h = eg_limit_mix(h, w[2]);
	h = eg_limit_mix(h, w[3]);
	return eg_limit_mix(h, w[4]) ?: 1;
}

/* NULL: the verdict is of a policy that is not in force any more, or its rule has no rate. */
static __always_inline const struct eg_limit *eg_limit_now(const struct eg_judged *j)
{
	__u32 zero = 0, at, n = j->limit;
	void *image = n ? bpf_map_lookup_elem(&eg_policy, &zero) : NULL;
	const struct eg_image *head = image ? bpf_map_lookup_elem(image, &zero) : NULL;
	const struct eg_limit *page;

	if (!head || head->gen != j->gen || n > head->n_limits)
		return NULL;
	n--;
	at = head->limits / EG_IMAGE_PAGE + n / (EG_IMAGE_PAGE / sizeof(*page));
	page = bpf_map_lookup_elem(image, &at);
	if (!page)
		return NULL;
	barrier_var(page); /* as in refuse.h */
	return page + (n & (EG_IMAGE_PAGE / sizeof(*page) - 1));
}

static __always_inline __u64 eg_limit_segments(const __u8 local[16])
{
	EG_IMAGE image = 0;
	const struct eg_image *head = eg_image_head(image);

	if (!head || !head->addr_segments)
		return 0;
	return eg_read___u64(image, head->addr_segments + 8ULL * eg_fact_addr(image, local));
}

static __noinline struct eg_bucket *eg_bucket_of(const struct eg_sock *s, const struct eg_limit *l,
						 __u64 flow)
{
	struct eg_bucket_key k = {};
	struct eg_bucket *b;
	__u32 at;

	if (!s || !l)
		return NULL;
	k.id = l->id;
	switch (l->each) {
	case EG_EACH_APP:
		k.of[0] = s->who.exe;
		break;
	case EG_EACH_USER:
		k.of[0] = s->uid;
		break;
	case EG_EACH_UNIT:
		k.of[0] = s->owner_cgroup_id;
		break;
	case EG_EACH_HOST:
		__builtin_memcpy(k.of, s->key.local, 16);
		break;
	case EG_EACH_SEGMENT:
		k.of[0] = eg_limit_segments(s->key.local);
		break;
	case EG_EACH_FLOW:
		k.of[0] = flow;
		break;
	}
	b = bpf_map_lookup_elem(&eg_buckets, &k);
	if (b)
		return b;
	bpf_map_update_elem(&eg_buckets, &k, &eg_no_bucket, BPF_NOEXIST);
	b = bpf_map_lookup_elem(&eg_buckets, &k);
	if (b)
		return b;
	eg_lose_one(EG_LOSS_MAP_LIMIT);
	at = k.id & (EG_BUCKETS_REST - 1);
	return bpf_map_lookup_elem(&eg_buckets_rest, &at);
}

/* Where the flow's own queue is kept; NULL: all places that it could have are busy. */
static __noinline struct eg_share *eg_share_of(__u64 flow, __u64 now)
{
	__u32 at, i, set = (__u32)(flow >> 32) & ~(EG_SHARE_WAYS - 1);
	struct eg_share *s, *free = NULL;

	for (i = 0; i < EG_SHARE_WAYS; i++) {
		at = (set + i) & (EG_SHARES - 1);
		s = bpf_map_lookup_elem(&eg_shares, &at);
		if (!s)
			return NULL;
		if (s->tag == flow)
			return s;
		if (!free && s->end_ns[0] <= now && s->end_ns[1] <= now)
			free = s;
	}
	if (free)
		free->tag = flow;
	return free;
}

/* --- how fast ------------------------------------------------------------------------------------------------------ */

static __always_inline __u64 eg_waiting(__u64 end_ns, __u64 now)
{
	return end_ns > now ? end_ns - now : 0;
}

/* A lone flow has a little more than all, so that the rate itself is what holds it. */
static __always_inline __u64 eg_share_max(__u64 rate)
{
	return rate + rate / 8;
}

static __always_inline __u64 eg_share_now(const struct eg_meter *m, __u64 rate)
{
	__u64 share = m->share, max = eg_share_max(rate);

	return share && share < max ? share : max;
}

/* Ten times a second, while packets want to pass. */
static __noinline void eg_share_move(struct eg_meter *m, __u64 rate, __u64 now)
{
	__u64 from, since, waits, was, share, up = 0, down = 0;

	if (!m)
		return;
	from = m->from_ns;
	since = now - from;
	if (now < from || since < EG_LIMIT_WINDOW_NS ||
	    __sync_val_compare_and_swap(&m->from_ns, from, now) != from)
		return;
	waits = eg_waiting(m->end_ns, now);
	was = m->was_ns;
	m->was_ns = waits;
	if (since > EG_LIMIT_IDLE_NS) {
		m->share = eg_share_max(rate);
		return;
	}
	if (!waits && !was)
		up = EG_LIMIT_UP_MAX;
	else if (waits < EG_LIMIT_ROOM_NS / 2)
		up = (EG_LIMIT_ROOM_NS / 2 - waits) * EG_LIMIT_BY_LENGTH / EG_LIMIT_ROOM_NS;
	else
		down = (waits - EG_LIMIT_ROOM_NS / 2) * EG_LIMIT_BY_LENGTH / EG_LIMIT_ROOM_NS;
	if (waits < was)
		up += (was - waits) * EG_LIMIT_BY_GROWTH / since;
	else
		down += (waits - was) * EG_LIMIT_BY_GROWTH / since;
	if (up > EG_LIMIT_UP_MAX)
		up = EG_LIMIT_UP_MAX;
	if (down > EG_LIMIT_DOWN_MAX)
		down = EG_LIMIT_DOWN_MAX;
	share = eg_share_now(m, rate);
	share += share * up / 1024;
	share -= share * down / 1024;
	if (share < EG_LIMIT_SHARE_MIN)
		share = EG_LIMIT_SHARE_MIN;
	m->share = share;
}

static __always_inline void eg_put_in(__u64 *end_ns, __u64 now, __u64 ns)
{
	__u64 was = *(volatile __u64 *)end_ns;

	if (was < now && __sync_val_compare_and_swap(end_ns, was, now + ns) == was)
		return;
	/* the queue is not empty, or another CPU has just begun it */
	__sync_fetch_and_add(end_ns, ns);
}

static __noinline int eg_limit_count(const struct eg_judged *j, __u64 bytes, __u32 packets)
{
	struct eg_hit *h = j ? eg_hit_now(j) : NULL;

	if (!h)
		return 0;
	__sync_fetch_and_add(&h->limited_packets, packets);
	__sync_fetch_and_add(&h->limited_bytes, bytes);
	return 0;
}

/*
 * May it pass: 1, 0 and counted. `j` is the verdict on the packet's flow, `s` says whose it is; `flow` as eg_limit_flow() has it;
 * `bytes` of IP, all `packets` together; `how`: EG_LIMIT_*.
 */
static __noinline int eg_limit_pass(struct eg_sock *s, const struct eg_judged *j, __u64 flow,
				    __u64 bytes, __u32 how)
{
	const struct eg_limit *l = s && j ? eg_limit_now(j) : NULL;
	__u64 now, rate, waits, room = EG_LIMIT_ROOM_NS, share_ns;
	__u32 tx = how & EG_LIMIT_TX;
	struct eg_share *own;
	struct eg_bucket *b;
	struct eg_meter *m;

	if (!l || !l->rate)
		return 1;
	rate = l->rate;
	b = eg_bucket_of(s, l, flow);
	if (!b)
		return eg_limit_count(j, bytes, how >> 8);
	m = tx ? &b->way[1] : &b->way[0];
	now = bpf_ktime_get_ns();
	eg_share_move(m, rate, now);
	own = l->each == EG_EACH_FLOW ? NULL : eg_share_of(flow ^ l->id, now);
	waits = eg_waiting(m->end_ns, now);
	if (how & EG_LIMIT_BARE)
		room += room;
	else if (how & EG_LIMIT_AGAIN)
		room += room / 2;
	if (waits > room || (own && waits > EG_LIMIT_ROOM_NS / 4 &&
			     eg_waiting(tx ? own->end_ns[1] : own->end_ns[0], now) > room))
		return eg_limit_count(j, bytes, how >> 8);
	eg_put_in(&m->end_ns, now, bytes * 1000000000ULL / rate);
	if (own) {
		share_ns = bytes * 1000000000ULL / eg_share_now(m, rate);
		eg_put_in(tx ? &own->end_ns[1] : &own->end_ns[0], now, share_ns);
	}
	return 1;
}
