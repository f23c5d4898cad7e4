/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Priorities on their way from a verdict to the queue of a link. What this host sends carries its class in skb->priority, where HTB looks
 * first. Forwarding overwrites that by the packet's TOS: there the class travels in skb->tc_index, which nothing else uses any more, and
 * eg_link, the queue's own filter, reads it.
 */
#pragma once

#include "abi.h"
#include "policy_image.h"
#include "priority_abi.h"

#define EG_LINK_INDEX 0xe600 /* of tc_index; the class is added */
#define EG_LINK_NEXT 0       /* no class: the queue's default, normal */
#define EG_FROM_NETWORK 1    /* bpf_skb_load_bytes_relative(): from the IP header on */

/* EG_ROW_* to EG_JUDGED_*. */
static __always_inline __u8 eg_priority_of_row(__u8 row)
{
	return (row & EG_ROW_HIGH ? EG_JUDGED_HIGH : 0) | (row & EG_ROW_LOW ? EG_JUDGED_LOW : 0);
}

/* EG_JUDGED_* to EG_HIGH, EG_LOW. */
static __always_inline __u32 eg_priority_of_flow(__u32 judged)
{
	return (judged & EG_JUDGED_HIGH ? EG_HIGH : 0) | (judged & EG_JUDGED_LOW ? EG_LOW : 0);
}

/* A packet out of a socket. Without a priority in its flow, what the program asked for (SO_PRIORITY, TOS) stays. */
static __always_inline void eg_prioritise(struct __sk_buff *skb, __u32 flow)
{
	if (flow & EG_HIGH)
		skb->priority = EG_LINK_ROOT | EG_LINK_HIGH;
	else if (flow & EG_LOW)
		skb->priority = EG_LINK_ROOT | EG_LINK_LOW;
}

/* A packet that will be forwarded, at tc ingress. */
static __always_inline void eg_prioritise_forwarded(struct __sk_buff *skb, __u32 flow)
{
	if (flow & EG_HIGH)
		skb->tc_index = EG_LINK_INDEX | EG_LINK_HIGH;
	else if (flow & EG_LOW)
		skb->tc_index = EG_LINK_INDEX | EG_LINK_LOW;
}

/* TCP that only acknowledges: a download must not wait for its turn in the queue of uploads. */
static __noinline int eg_only_acks(struct __sk_buff *skb)
{
	__u8 ip[20], tcp[14];
	__u32 at, bytes;

	if (bpf_skb_load_bytes_relative(skb, 0, ip, sizeof(ip), EG_FROM_NETWORK))
		return 0;
	if (ip[0] >> 4 == 4 && ip[9] == EG_PROTO_TCP && !(ip[6] & 0x3f) && !ip[7]) {
		at = (ip[0] & 15) * 4;
		bytes = (ip[2] << 8 | ip[3]) - at;
	} else if (ip[0] >> 4 == 6 && ip[6] == EG_PROTO_TCP) {
		at = 40;
		bytes = ip[4] << 8 | ip[5];
	} else {
		return 0;
	}
	if (bpf_skb_load_bytes_relative(skb, at, tcp, sizeof(tcp), EG_FROM_NETWORK))
		return 0;
	return bytes == (__u32)(tcp[12] >> 4) * 4 &&
	       (tcp[13] & (EG_SYN | EG_FIN | EG_RST | EG_ACK)) == EG_ACK;
}

/* The class of what HTB does not find in skb->priority. */
SEC("tc")
int eg_link(struct __sk_buff *skb)
{
	switch (skb->tc_index) {
	case EG_LINK_INDEX | EG_LINK_HIGH:
		return EG_LINK_ROOT | EG_LINK_HIGH;
	case EG_LINK_INDEX | EG_LINK_LOW:
		return EG_LINK_ROOT | EG_LINK_LOW;
	}
	return eg_only_acks(skb) ? EG_LINK_ROOT | EG_LINK_HIGH : EG_LINK_NEXT;
}
