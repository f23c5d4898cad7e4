/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS answers into the maps of names, on their way in: the name of an address is known before the program that
 * asked can connect to it, and its flow's first record carries it. Addresses are the same in every network
 * namespace here: a name says why an address is called so, not who may reach it.
 */
#pragma once

#include "state.h"

#include "dns.h"

/* Ingress runs in softirq only, which does not nest on a CPU: a scratch buffer per CPU is safe there. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_dns_walk);
} eg_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_name);
} eg_name_scratch SEC(".maps");

static __noinline void eg_name_put(struct eg_dns_walk *w, __u64 until)
{
	__u32 zero = 0, n = w->found_len;
	struct eg_name *name = bpf_map_lookup_elem(&eg_name_scratch, &zero);
	__u64 hash = w->found_hash;
	struct eg_name *old = bpf_map_lookup_elem(&eg_names, &hash);

	if (old) {
		old->until_ns = until;
		return;
	}
	if (!name || n >= sizeof(name->text))
		return;
	name->until_ns = until;
	name->len = n;
	bpf_probe_read_kernel(name->text, sizeof(name->text), w->name);
	bpf_map_update_elem(&eg_names, &hash, name, BPF_ANY);
}

/* Called through the walk: newest name first, the same name moves to the front. */
static __noinline void eg_dns_found(struct eg_dns_walk *w, const __u8 addr[16], __u32 ttl)
{
	__u64 now = bpf_ktime_get_ns(), life = ttl * 1000000000ULL, until;
	struct eg_addr_names fresh = {}, *old;
	struct eg_addr key;
	__u32 i, to = 1;

	if (life < EG_NAME_TTL_MIN_NS)
		life = EG_NAME_TTL_MIN_NS;
	until = now + life + EG_NAME_GRACE_NS;
	__builtin_memcpy(key.addr, addr, 16);
	fresh.hash[0] = w->found_hash;
	fresh.until_ns[0] = until;
	old = bpf_map_lookup_elem(&eg_addr_names, &key);
	if (old && old->hash[0] == w->found_hash) {
		old->until_ns[0] = until;
	} else {
		for (i = 0; old && i < EG_ADDR_NAMES; i++) {
			if (to >= EG_ADDR_NAMES)
				break;
			if (!old->hash[i] || old->hash[i] == w->found_hash ||
			    old->until_ns[i] < now)
				continue;
			fresh.hash[to & 3] = old->hash[i];
			fresh.until_ns[to & 3] = old->until_ns[i];
			to++;
		}
		bpf_map_update_elem(&eg_addr_names, &key, &fresh, BPF_ANY);
	}
	eg_name_put(w, until);
}

static int eg_names_step(__u32 i, struct eg_dns_walk **w)
{
	(void)i;
	return eg_dns_step(*w);
}

/* The message is in w->bytes. */
static __always_inline void eg_names_learn(struct eg_dns_walk *w, __u32 len, int multicast)
{
	if (eg_dns_begin(w, len, multicast))
		bpf_loop(EG_DNS_STEPS, eg_names_step, &w, 0);
}

static __always_inline void eg_names_of(const __u8 remote[16], __u64 now,
					__u64 names[EG_ADDR_NAMES])
{
	struct eg_addr key;
	struct eg_addr_names *n;
	__u32 i;

	__builtin_memcpy(key.addr, remote, 16);
	n = bpf_map_lookup_elem(&eg_addr_names, &key);
	for (i = 0; i < EG_ADDR_NAMES; i++)
		names[i] = n && n->until_ns[i] > now ? n->hash[i] : 0;
}
