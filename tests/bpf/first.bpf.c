// SPDX-License-Identifier: Apache-2.0
/* bpf/first.h by itself, so that a test sees what it says of a packet before anybody judges. */
#include "bpf/first.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct eg_seen seen = {};
__u64 cookie = 0, ns = 0;
__u32 gso_size = 0;

SEC("cgroup_skb/egress")
int look(struct __sk_buff *skb)
{
	struct eg_packet p;
	__u64 from;

	if (eg_read(skb, &p))
		return 0;
	from = bpf_ktime_get_ns();
	eg_first_payload(skb, &p, cookie, &seen);
	ns = bpf_ktime_get_ns() - from;
	return 1;
}

SEC("cgroup_skb/egress")
int forget(struct __sk_buff *skb)
{
	eg_first_forget(cookie);
	return 1;
}
