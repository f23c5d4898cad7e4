/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The backstop at tc egress, optional: IP packets that no hook of sockets judged. Those are what packet sockets and the
 * like write to a device themselves, and what came in from a tun or tap device, behind which programs write packets as
 * they please. Who sends is the socket's user and cgroup, no program; what a payload says of itself is not believed. All
 * else passes: sockets of IP were asked in their cgroup, and what is forwarded is a gateway's business.
 */
#pragma once

#include "gate.h"

#define EG_TC_NEXT (-1) /* other filters, and then the packet, go on */
#define EG_TC_DROP 2
#define EG_AF_INET 2
#define EG_AF_INET6 10
#define EG_ETHER 1 /* ARPHRD_ */
#define EG_LOOPBACK_DEVICE 772
#define EG_DEVICES_MAX 256 /* of one bucket of the kernel's table */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct rtnl_link_ops {
	const char *kind;
};

struct net_device___link {
	struct hlist_node index_hlist;
	const struct rtnl_link_ops *rtnl_link_ops;
	unsigned short type, hard_header_len;
	int ifindex;
};

struct net___devices {
	struct hlist_head *dev_index_head;
};

#pragma clang attribute pop

struct eg_device_walk {
	struct hlist_node *node;
	struct net_device___link *found;
	__u32 ifindex;
};

static int eg_device_step(__u32 i, struct eg_device_walk *d)
{
	struct net_device___link *dev;

	if (!d->node)
		return 1;
	dev = (void *)d->node - bpf_core_field_offset(struct net_device___link, index_hlist);
	if (BPF_CORE_READ(dev, ifindex) == (int)d->ifindex) {
		d->found = dev;
		return 1;
	}
	d->node = BPF_CORE_READ(dev, index_hlist.next);
	return 0;
}

/* Did the packet come in from a tun or tap device? One that went away meanwhile is taken for one. */
static __noinline int eg_is_tun(struct __sk_buff *skb, __u32 ifindex)
{
	struct net___devices *net =
		(void *)((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net;
	struct hlist_head *table = BPF_CORE_READ(net, dev_index_head);
	struct eg_device_walk d = { .ifindex = ifindex };
	struct net_device___link *dev;
	const char *kind;
	char text[4] = {};

	bpf_probe_read_kernel(&d.node, sizeof(d.node), table + (ifindex & 255));
	bpf_loop(EG_DEVICES_MAX, eg_device_step, &d, 0);
	dev = d.found;
	if (!dev)
		return 1;
	kind = BPF_CORE_READ(dev, rtnl_link_ops, kind);
	if (!kind || bpf_probe_read_kernel(text, sizeof(text), kind))
		return 0;
	return text[0] == 't' && text[1] == 'u' && text[2] == 'n' && !text[3];
}

/* Where the IP header is; 0xffff: it is none. */
static __always_inline __u32 eg_frame_ip(struct __sk_buff *skb, __u16 *ret_protocol)
{
	struct net_device___link *dev = (void *)((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev;
	unsigned short type = BPF_CORE_READ(dev, type), protocol = skb->protocol;
	__u32 at = 0, i;

	if (type == EG_ETHER || type == EG_LOOPBACK_DEVICE) {
		at = 12;
		for (i = 0; i < 3; i++) {
			if (bpf_skb_load_bytes(skb, at, &protocol, 2))
				return 0xffff;
			at += 2;
			if (protocol != bpf_htons(0x8100) && protocol != bpf_htons(0x88a8))
				break;
			at += 2;
		}
	} else {
		at = BPF_CORE_READ(dev, hard_header_len);
	}
	*ret_protocol = protocol;
	return at;
}

/* Addresses and ports; 0 when it is no IP. Headers between IPv6 and the transport are stepped over. */
static __noinline int eg_frame_read(struct __sk_buff *skb, struct eg_case *c)
{
	__u32 at, fragment = 0, i;
	__u8 h[40] __attribute__((aligned(8))), next;
	__u16 protocol;

	if (!c)
		return 0;
	at = eg_frame_ip(skb, &protocol);
	if (at == 0xffff)
		return 0;
	if (protocol == bpf_htons(0x0800)) {
		if (bpf_skb_load_bytes(skb, at, h, 20))
			return 0;
		eg_put_v4(c->key.local, *(__u32 *)(h + 12));
		eg_put_v4(c->key.remote, *(__u32 *)(h + 16));
		next = h[9];
		fragment = (h[6] & 0x1f) || h[7];
		at += (h[0] & 15) * 4;
	} else if (protocol == bpf_htons(0x86dd)) {
		if (bpf_skb_load_bytes(skb, at, h, 40))
			return 0;
		__builtin_memcpy(c->key.local, h + 8, 16);
		__builtin_memcpy(c->key.remote, h + 24, 16);
		next = h[6];
		at += 40;
		for (i = 0; i < 8; i++) {
			if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60 &&
			    next != 135)
				break;
			if (bpf_skb_load_bytes(skb, at, h, 8))
				break;
			if (next == 44 && (h[2] || h[3] & 0xf8))
				fragment = 1;
			at += next == 44 ? 8 : next == 51 ? (h[1] + 2) * 4 : (h[1] + 1) * 8;
			next = h[0];
			if (fragment)
				break;
		}
	} else {
		return 0;
	}
	c->key.proto = next;
	if (fragment || bpf_skb_load_bytes(skb, at, h, 4))
		return 1;
	c->has_ports = 1;
	if (next == EG_PROTO_ICMP || next == EG_PROTO_ICMPV6) {
		c->key.lport = c->key.rport = h[0];
	} else if (next == EG_PROTO_TCP || next == EG_PROTO_UDP || next == EG_PROTO_UDPLITE ||
		   next == EG_PROTO_SCTP || next == 33) {
		c->key.lport = h[0] << 8 | h[1];
		c->key.rport = h[2] << 8 | h[3];
	}
	return 1;
}

/* Is the packet of those that nobody else judges, and its socket, if any, of the watched part of the system? */
static __always_inline int eg_is_unjudged(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return skb->ingress_ifindex && eg_is_tun(skb, skb->ingress_ifindex);
	if (sk->family == EG_AF_INET || sk->family == EG_AF_INET6)
		return 0;
	return !watch_level || bpf_skb_ancestor_cgroup_id(skb, watch_level) == watch_cgroup_id;
}

SEC("tc")
int eg_backstop(struct __sk_buff *skb)
{
	__u32 epoch = eg_epoch();
	int verdict = EG_PASS;
	struct eg_room *r;
	struct eg_case *c;

	if (!epoch || !eg_is_unjudged(skb))
		return EG_TC_NEXT;
	r = eg_room_take();
	if (!r)
		return eg_unjudged() ? EG_TC_NEXT : EG_TC_DROP;
	c = &r->c;
	__builtin_memset(c, 0, sizeof(*c));
	if (eg_frame_read(skb, c)) {
		c->zone =
			((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net->net_cookie;
		c->born_ns = bpf_ktime_get_ns();
		c->ifindex = skb->ifindex;
		c->epoch = epoch;
		c->bytes = skb->len;
		c->at = EG_AT_BACKSTOP;
		c->raw = 1;
		c->owner.uid = -1U;
		if (skb->sk) {
			c->cookie = bpf_get_socket_cookie(skb);
			c->owner.uid = bpf_get_socket_uid(skb);
			c->owner.cgroup_id = bpf_skb_cgroup_id(skb);
		}
		eg_case_blind(c);
		c->stage = EG_STAGE_BYTES;
		verdict = eg_ask(r);
	}
	eg_room_give(r);
	return verdict == EG_PASS ? EG_TC_NEXT : EG_TC_DROP;
}
