/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `reject` on a gateway: the packet is turned into the answer to itself and goes back the way it came. TCP gets a reset
 * (RFC 9293, 3.5.2), all else "administratively prohibited": ICMP type 3 code 13 (RFC 1812, 5.2.7.1), ICMPv6 type 1 code 1
 * (RFC 4443, 3.1). No answer to a reset, to ICMP, to a later fragment, and to no more than EG_REJECTS_MAX packets a second.
 */
#pragma once

#include "backstop.h"

#define EG_REJECTS_MAX 1000 /* a second, on each CPU */
#define EG_ANSWER_MAX 96
#define EG_CHECKSUM_PARTIAL 3
#define EG_TC_REDIRECT 7

struct eg_answer {
	__u64 second;
	__u32 sent;
	__u32 len;
	__u8 b[EG_ANSWER_MAX]; /* the answer, an IP packet */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_answer);
} eg_answers SEC(".maps");

static __always_inline __u16 eg_fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline void eg_put16(__u8 *to, __u16 x)
{
	to[0] = x >> 8;
	to[1] = x;
}

static __always_inline void eg_put32(__u8 *to, __u32 x)
{
	eg_put16(to, x >> 16);
	eg_put16(to + 2, x);
}

/* One's complement sum of n bytes, a constant that 4 divides. */
#define EG_SUM(from, n, seed) bpf_csum_diff(NULL, 0, (__be32 *)(from), n, seed)

static __always_inline void eg_answer_ip(struct eg_answer *a, const struct eg_packet *p, __u32 len,
					 __u8 proto)
{
	__u16 sum;

	if (p->v6) {
		eg_put32(a->b, 0x60000000);
		eg_put16(a->b + 4, len - 40);
		a->b[6] = proto;
		a->b[7] = 64;
		__builtin_memcpy(a->b + 8, p->dst, 16);
		__builtin_memcpy(a->b + 24, p->src, 16);
		return;
	}
	eg_put32(a->b, 0x45000000 | len);
	eg_put32(a->b + 4, 0x4000); /* whole, and to stay so */
	a->b[8] = 64;
	a->b[9] = proto;
	eg_put16(a->b + 10, 0);
	__builtin_memcpy(a->b + 12, p->dst + 12, 4);
	__builtin_memcpy(a->b + 16, p->src + 12, 4);
	sum = ~eg_fold(EG_SUM(a->b, 20, 0));
	__builtin_memcpy(a->b + 10, &sum, 2);
}

/* Sum of what a transport's checksum covers of the IP header; `len` of the transport. */
static __always_inline __u64 eg_pseudo(struct eg_answer *a, int v6, __u8 proto, __u32 len)
{
	__u64 sum = v6 ? EG_SUM(a->b + 8, 32, 0) : EG_SUM(a->b + 12, 8, 0);

	return sum + bpf_htonl(len) + bpf_htonl(proto);
}

static __always_inline __u64 eg_answer_tcp(struct eg_answer *a, const struct eg_packet *p, int v6)
{
	__u32 at = v6 ? 40 : 20, seq = 0, ack = 0;
	__u8 *t = a->b + at;
	__u8 flags = EG_RST;

	if (p->tcp_flags & EG_ACK) {
		seq = p->ack;
	} else {
		flags |= EG_ACK;
		ack = p->seq + p->payload_len + !!(p->tcp_flags & EG_SYN) +
		      !!(p->tcp_flags & EG_FIN);
	}
	a->len = at + 20;
	eg_answer_ip(a, p, a->len, EG_PROTO_TCP);
	eg_put16(t, p->dport);
	eg_put16(t + 2, p->sport);
	eg_put32(t + 4, seq);
	eg_put32(t + 8, ack);
	eg_put32(t + 12, 0x50000000 | (__u32)flags << 16);
	eg_put32(t + 16, 0);
	return eg_pseudo(a, v6, EG_PROTO_TCP, 20);
}

/*
 * Where the device is to finish a checksum of what this packet was (CHECKSUM_PARTIAL), it will do so in the answer, from the
 * transport's first byte on, and begins with what stands in its field: the pseudo header's sum. Of TCP that is the checksum; of
 * UDP it becomes bytes 6 and 7 of ICMP, which are unused, and what the device puts there makes the sum right as well.
 */
static __always_inline int eg_is_partial(struct __sk_buff *skb)
{
	return BPF_CORE_READ_BITFIELD_PROBED((struct sk_buff *)bpf_cast_to_kern_ctx(skb),
					     ip_summed) == EG_CHECKSUM_PARTIAL;
}

static __noinline int eg_reject_tcp(struct __sk_buff *skb, struct eg_answer *a,
				    const struct eg_packet *p)
{
	__u64 sum;
	__u16 field;

	if (!a || !p)
		return -1;
	if (p->v6) {
		sum = eg_answer_tcp(a, p, 1);
		field = eg_is_partial(skb) ? eg_fold(sum) : ~eg_fold(EG_SUM(a->b + 40, 20, sum));
		__builtin_memcpy(a->b + 56, &field, 2);
	} else {
		sum = eg_answer_tcp(a, p, 0);
		field = eg_is_partial(skb) ? eg_fold(sum) : ~eg_fold(EG_SUM(a->b + 20, 20, sum));
		__builtin_memcpy(a->b + 36, &field, 2);
	}
	return 0;
}

static __noinline int eg_reject_icmp(struct __sk_buff *skb, struct eg_answer *a,
				     const struct eg_packet *p, __u32 l2)
{
	__u16 field = 0;
	__u64 sum;

	if (!a || !p)
		return -1;
	if (p->v6) {
		if (bpf_skb_load_bytes(skb, l2, a->b + 48, 48))
			return -1;
		a->len = 96;
		eg_answer_ip(a, p, 96, EG_PROTO_ICMPV6);
		eg_put32(a->b + 40, 0x01010000);
		eg_put32(a->b + 44, 0);
		sum = eg_pseudo(a, 1, EG_PROTO_ICMPV6, 56);
		if (eg_is_partial(skb)) {
			field = eg_fold(sum);
			__builtin_memcpy(a->b + 46, &field, 2);
			return 0;
		}
		field = ~eg_fold(EG_SUM(a->b + 40, 56, sum));
		__builtin_memcpy(a->b + 42, &field, 2);
		return 0;
	}
	if (p->ip_header != 20 || bpf_skb_load_bytes(skb, l2, a->b + 28, 28))
		return -1;
	a->len = 56;
	eg_answer_ip(a, p, 56, EG_PROTO_ICMP);
	eg_put32(a->b + 20, 0x030d0000);
	eg_put32(a->b + 24, 0);
	if (!eg_is_partial(skb))
		field = ~eg_fold(EG_SUM(a->b + 20, 36, 0));
	__builtin_memcpy(a->b + 22, &field, 2);
	return 0;
}

static __always_inline int eg_reject_allowed(struct eg_answer *a)
{
	__u64 second = bpf_ktime_get_ns() >> 30;

	if (a->second != second) {
		a->second = second;
		a->sent = 0;
	}
	return a->sent++ < EG_REJECTS_MAX;
}

/* Back to whoever sent it, with the addresses of the frame changed over. 0 when it is on its way. */
static __noinline int eg_reject_send(struct __sk_buff *skb, struct eg_answer *a, __u32 l2)
{
	__u8 mac[12];
	__u32 i;

	if (!a)
		return -1;
	if (bpf_skb_change_tail(skb, l2 + a->len, 0))
		return -1;
	if (a->len == 40   ? bpf_skb_store_bytes(skb, l2, a->b, 40, 0)
	    : a->len == 56 ? bpf_skb_store_bytes(skb, l2, a->b, 56, 0)
	    : a->len == 60 ? bpf_skb_store_bytes(skb, l2, a->b, 60, 0)
			   : bpf_skb_store_bytes(skb, l2, a->b, 96, 0))
		return -1;
	if (l2 == 14) {
		if (bpf_skb_load_bytes(skb, 0, mac, 12))
			return -1;
		for (i = 0; i < 6; i++) {
			__u8 m = mac[i];

			mac[i] = mac[6 + i];
			mac[6 + i] = m;
		}
		if (bpf_skb_store_bytes(skb, 0, mac, 12, 0))
			return -1;
	}
	return bpf_redirect(skb->ifindex, 0) == EG_TC_REDIRECT ? 0 : -1;
}

/* 1: the packet is an answer now, to be redirected. */
static __always_inline int eg_reject(struct __sk_buff *skb, const struct eg_packet *p, __u32 l2)
{
	__u32 zero = 0;
	struct eg_answer *a = bpf_map_lookup_elem(&eg_answers, &zero);

	if (!a || p->no_ports || p->proto == EG_PROTO_ICMP || p->proto == EG_PROTO_ICMPV6 ||
	    (p->proto == EG_PROTO_TCP && (p->tcp_flags & EG_RST)) || !eg_reject_allowed(a))
		return 0;
	if (p->v6 && p->ip_header != 40)
		return 0; /* where the device begins its sum is not where the answer does */
	if (p->proto == EG_PROTO_TCP ? eg_reject_tcp(skb, a, p) : eg_reject_icmp(skb, a, p, l2))
		return 0;
	return !eg_reject_send(skb, a, l2);
}
