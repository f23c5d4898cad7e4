/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS answers into the maps of names, on their way in: the name of an address is known before the program that asked can
 * connect to it, and its flow's first record carries it.
 *
 * Whoever could say what an address is called could open any rule that names one. An answer is trusted when
 *   - it comes from port 53 of an address that the policy calls a resolver,
 *   - to a socket that has sent something there,
 *   - in a network namespace that the host's own user namespace owns: in one of its own anybody gives himself the
 *     resolver's address; and where the resolver is this machine itself, in this machine's namespace,
 *   - not over loopback, unless the resolver is this machine itself.
 * What is not trusted names flows in records, where nothing better does, and is no fact to policy.
 *
 * Over TCP the messages are cut out of the stream from its first byte on, never guessed from where a segment begins: a
 * program chooses where segments begin, and with the help of a zone of its own also what is in them.
 */
#pragma once

#include "first.h"
#include "flow.h"

#define EG_RESOLVER_LOCAL 1 /* an address of this machine */
#define EG_RESOLVERS_MAX 64
#define EG_STREAM_MESSAGES 8 /* of one segment */

__u64 who_netns = 0; /* cookie of this machine's network namespace; set with the resolvers */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_RESOLVERS_MAX);
	__type(key, struct eg_addr);
	__type(value, __u32);
} eg_resolvers SEC(".maps");

/* Ingress runs in softirq only, which does not nest on a CPU: a scratch buffer per CPU is safe there. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_dns_walk);
} eg_scratch SEC(".maps");

/* A stream of messages, cut into segments: the next begins at `at`; of it `have` bytes were kept. */
struct eg_dns_stream {
	__u32 at, have, need;
	__u32 pad;
	__u8 bytes[2 * EG_DNS_MAX]; /* twice, so that any offset and length below the bound fit */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, struct eg_dns_stream);
} eg_dns_streams SEC(".maps");

static const struct eg_dns_stream eg_no_stream;

/* Keeps a name that a program showed, so that it can be judged again; its key, 0: no room. */
static __noinline __u64 eg_name_see(const struct eg_seen *seen)
{
	struct eg_name *name;
	__u64 key;

	if (!seen || !seen->len || seen->len >= EG_NAME_MAX)
		return 0;
	key = seen->hash[0];
	name = bpf_map_lookup_elem(&eg_names, &key);
	if (name && name->len)
		return key;
	name = bpf_map_lookup_elem(&eg_names_seen, &key);
	if (!name) {
		bpf_map_update_elem(&eg_names_seen, &key, &eg_no_name, BPF_NOEXIST);
		name = bpf_map_lookup_elem(&eg_names_seen, &key);
	}
	if (!name)
		return 0;
	if (!name->len)
		eg_name_put(name, seen->name, seen->len);
	return key;
}

/* The network namespace that a packet comes to: its socket's, or of what is forwarded its device's. */
static __always_inline struct net *eg_netns(struct __sk_buff *skb)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(skb);
	struct sock *sk = BPF_CORE_READ(k, sk);

	return sk ? BPF_CORE_READ(sk, __sk_common.skc_net.net) : BPF_CORE_READ(k, dev, nd_net.net);
}

static __always_inline __u64 eg_netns_of(struct __sk_buff *skb)
{
	return BPF_CORE_READ(eg_netns(skb), net_cookie);
}

/* Who owns it: 0: the host's user namespace. */
static __always_inline int eg_netns_depth(struct __sk_buff *skb, __u64 *ret_cookie)
{
	struct net *net;

	if (!has_kern_ctx)
		return -1;
	net = eg_netns(skb);
	*ret_cookie = BPF_CORE_READ(net, net_cookie);
	return BPF_CORE_READ(net, user_ns, level);
}

static __noinline int eg_resolver_says(struct __sk_buff *skb, const struct eg_packet *p)
{
	struct eg_addr from;
	__u64 netns = 0;
	__u32 *how;

	if (!p || p->sport != 53)
		return 0;
	__builtin_memcpy(from.addr, p->src, 16);
	how = bpf_map_lookup_elem(&eg_resolvers, &from);
	if (!how || eg_netns_depth(skb, &netns))
		return 0;
	if (*how & EG_RESOLVER_LOCAL)
		return netns == who_netns;
	return skb->ifindex != 1; /* lo has this number in every namespace */
}

/* Has this socket sent anything to where the packet comes from? */
static __always_inline int eg_has_asked(const struct eg_sock *s, const struct eg_packet *p,
					__u64 cookie)
{
	struct eg_peer_key k = {};
	struct eg_peer *peer;

	if ((s->hot.flags & EG_KEYED) && eg_addr_eq(s->key.remote, p->src) &&
	    s->key.rport == p->sport && s->key.proto == p->proto)
		return s->hot.n.tx_packets && !(s->hot.flags & EG_INBOUND);
	if (!(s->hot.flags & EG_HAS_PEERS))
		return 0;
	k.cookie = cookie;
	eg_packet_key(p, &k.key, 0);
	peer = bpf_map_lookup_elem(&eg_peers, &k);
	return peer && peer->n.tx_packets && !(peer->flags & EG_INBOUND);
}

static __noinline int eg_answer_trusted(struct __sk_buff *skb, const struct eg_sock *s,
					const struct eg_packet *p, __u64 cookie)
{
	return s && p && eg_resolver_says(skb, p) && eg_has_asked(s, p, cookie);
}

static int eg_names_step(__u32 i, struct eg_dns_walk **w)
{
	(void)i;
	return eg_dns_step(*w);
}

/* The message is in w->bytes. */
static __always_inline void eg_names_learn(struct eg_dns_walk *w, __u32 len, int multicast,
					   int trusted)
{
	w->key = name_key;
	w->trusted = trusted;
	if (!eg_dns_begin(w, len, multicast))
		return;
	bpf_loop(EG_DNS_STEPS, eg_names_step, &w, 0);
	eg_names_learn_found(w);
}

/* What user space knows: one walk, already walked. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_dns_walk);
} eg_told SEC(".maps");

SEC("syscall")
int eg_names_tell(void *ctx)
{
	__u32 zero = 0;
	struct eg_dns_walk *w = bpf_map_lookup_elem(&eg_told, &zero);

	(void)ctx;
	if (w)
		eg_names_learn_found(w);
	return 0;
}

/* A datagram just coming in. */
__noinline int eg_learn_dgram(struct __sk_buff *skb, struct eg_sock *s, struct eg_packet *p,
			      __u64 cookie)
{
	__u32 zero = 0, len;
	struct eg_dns_walk *w = bpf_map_lookup_elem(&eg_scratch, &zero);

	if (!w || !s || !p)
		return 0;
	len = p->payload_len;
	if (!len)
		return 0;
	if (len > EG_DNS_MAX)
		len = EG_DNS_MAX;
	if (bpf_skb_load_bytes(skb, p->payload_at, w->bytes, len))
		return 0;
	eg_names_learn(w, len, p->sport != 53, eg_answer_trusted(skb, s, p, cookie));
	return 0;
}

#define EG_STREAM_WAIT 0  /* the segment holds no further message */
#define EG_STREAM_SKIP 1  /* it may */
#define EG_STREAM_WHOLE 2 /* one is in w->bytes, of t->need octets */

/* A piece of the message that is being gathered. */
static __always_inline int eg_stream_gather(struct __sk_buff *skb, struct eg_dns_stream *t,
					    struct eg_dns_walk *w, const struct eg_packet *p,
					    __u32 off)
{
	__u32 have = t->have, skip = t->at + 2 + have - off, len, need = t->need;

	if (skip >= p->payload_len || have >= need || need > EG_DNS_MAX)
		return EG_STREAM_WAIT; /* older, or behind a hole: then user space tells */
	len = p->payload_len - skip;
	if (len > need - have)
		len = need - have;
	if (!len || len >= EG_DNS_MAX)
		return EG_STREAM_WAIT;
	have &= EG_DNS_MAX - 1;
	if (bpf_skb_load_bytes(skb, p->payload_at + skip, &t->bytes[have], len))
		return EG_STREAM_WAIT;
	t->have = have + len;
	if (t->have < need)
		return EG_STREAM_WAIT;
	bpf_probe_read_kernel(w->bytes, EG_DNS_MAX, t->bytes);
	t->at += 2 + need;
	t->have = 0;
	return EG_STREAM_WHOLE;
}

/* The next message of the segment. Not static: the verifier looks at it once. */
__noinline int eg_stream_next(struct __sk_buff *skb, struct eg_dns_stream *t, struct eg_packet *p,
			      __u32 off)
{
	__u32 zero = 0, skip, left, len;
	struct eg_dns_walk *w = bpf_map_lookup_elem(&eg_scratch, &zero);
	__u8 b[2];

	if (!w || !t || !p)
		return EG_STREAM_WAIT;
	if (t->have)
		return eg_stream_gather(skb, t, w, p, off);
	skip = t->at - off;
	if (skip >= p->payload_len)
		return EG_STREAM_WAIT;
	left = p->payload_len - skip;
	if (left < 3 || bpf_skb_load_bytes(skb, p->payload_at + skip, b, 2)) {
		t->at = off - 0x40000000; /* the length itself is cut: lost, user space tells */
		return EG_STREAM_WAIT;
	}
	len = b[0] << 8 | b[1];
	left -= 2;
	if (len > EG_DNS_MAX || !len) {
		t->at += 2 + len;
		return EG_STREAM_SKIP;
	}
	t->need = len;
	if (left < len) {
		if (left >= EG_DNS_MAX ||
		    bpf_skb_load_bytes(skb, p->payload_at + skip + 2, t->bytes, left))
			return EG_STREAM_WAIT;
		t->have = left;
		return EG_STREAM_WAIT;
	}
	if (bpf_skb_load_bytes(skb, p->payload_at + skip + 2, w->bytes, len))
		return EG_STREAM_WAIT;
	t->at += 2 + len;
	return EG_STREAM_WHOLE;
}

static __always_inline struct eg_dns_stream *eg_stream_of(__u64 cookie, __u32 off)
{
	struct eg_dns_stream *t = bpf_map_lookup_elem(&eg_dns_streams, &cookie);

	if (t || off)
		return t;
	bpf_map_update_elem(&eg_dns_streams, &cookie, &eg_no_stream, BPF_NOEXIST);
	return bpf_map_lookup_elem(&eg_dns_streams, &cookie);
}

/* A segment just coming in from port 53, with payload. */
__noinline int eg_learn_segment(struct __sk_buff *skb, struct eg_sock *s, struct eg_packet *p,
				__u64 cookie)
{
	__u32 zero = 0, off, i;
	struct eg_dns_walk *w = bpf_map_lookup_elem(&eg_scratch, &zero);
	struct eg_dns_stream *t;
	int what;

	if (!w || !s || !p || !(s->hot.flags & EG_RX_ISN) || (s->hot.flags & EG_INBOUND))
		return 0;
	off = p->seq - s->rx.isn - 1;
	t = eg_stream_of(cookie, off);
	if (!t)
		return 0;
	for (i = 0; i < EG_STREAM_MESSAGES; i++) {
		what = eg_stream_next(skb, t, p, off);
		if (what == EG_STREAM_WHOLE)
			eg_names_learn(w, t->need, 0, eg_resolver_says(skb, p));
		else if (what == EG_STREAM_WAIT)
			break;
	}
	return 0;
}
