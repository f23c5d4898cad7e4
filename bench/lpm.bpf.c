// SPDX-License-Identifier: Apache-2.0
/* A peer for bench/enforce.py: an LPM trie of refused IPv4 addresses asked for each packet that leaves a cgroup. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct key {
	__u32 bits;
	__u32 addr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct key);
	__type(value, __u8);
} refused SEC(".maps");

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("cgroup_skb/egress")
int lpm_egress(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct key k = { .bits = 32 };

	if (data + 20 > end || *(__u8 *)data >> 4 != 4)
		return 1;
	k.addr = *(__u32 *)(data + 16);
	return !bpf_map_lookup_elem(&refused, &k);
}
