// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The host vantage point: hooks of one cgroup v2 subtree. State lives in the socket (bpf_sk_storage): measured here,
 * that beats a hash by 5-tuple, the more so the more flows there are. A packet of a known flow whose first bytes were
 * handed on costs one look-up and two additions; everything else happens once a flow.
 *
 * What leaves is asked of policy while there is one (gate.h); what comes in, and answers to it, are only counted.
 *
 *   connect4/6, sendmsg4/6     whose socket it is, in process context; what policy refuses fails at once
 *   post_bind4/6               whose it is
 *   cgroup_skb egress/ingress  counts; the first packet names the flow; egress refuses; both limit (limit.h)
 *   sockops                    connections with a rate are told to send no faster (pace.h)
 *   tcp_destroy_sock, sock_release   its end
 *   kfree_skb, tcp_send_reset  what TCP does without the socket (tcp.h)
 *   process.h                  processes; walk.h: iterators for start and sweep
 */
#include "backstop.h"
#include "gate.h"
#include "gateway.h"
#include "pace.h"
#include "priority.h"
#include "process.h"
#include "walk.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline __u64 eg_zone(struct __sk_buff *skb)
{
	struct task_struct *task;
	struct sk_buff *k;
	struct sock *sk;

	if (has_kern_ctx) {
		k = bpf_cast_to_kern_ctx(skb);
		sk = k->sk;
		return sk ? sk->__sk_common.skc_net.net->net_cookie : 0;
	}
	/* shall be removed once kernel 6.2 becomes the minimal baseline: right but for sockets of another namespace */
	task = bpf_get_current_task_btf();
	return BPF_CORE_READ(task, nsproxy, net_ns, net_cookie);
}

/* A socket of the kernel's own: its control sockets, tunnels, network file systems. */
static __always_inline int eg_is_kernel(struct __sk_buff *skb)
{
	struct sk_buff *k;
	struct sock *sk;

	if (!has_kern_ctx)
		return 0;
	k = bpf_cast_to_kern_ctx(skb);
	sk = k->sk;
	return sk && BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/* First packet of a socket that no hook saw before. Who runs now is its owner only when it plausibly sends. */
static __always_inline struct eg_sock *eg_adopt(struct __sk_buff *skb, struct bpf_sock *sk,
						__u64 cookie, __u32 tcp_flags, int tx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	int kernel = eg_is_kernel(skb), tcp;
	struct eg_sock *s;

	if (!sk)
		return NULL;
	tcp = sk->protocol == EG_PROTO_TCP && sk->type == 1;
	/* nobody tells when a socket of the kernel goes; a listener is looked for by its socket (tcp.h) */
	s = EG_MAKE(sk, cookie, kernel || (tcp && sk->state == EG_TCP_LISTEN));
	if (!s)
		return NULL;
	s->zone = eg_zone(skb);
	if (sk->type == 3)
		__sync_fetch_and_or(&s->hot.flags, EG_RAW);
	else if (!tcp && sk->state == EG_TCP_ESTABLISHED)
		__sync_fetch_and_or(&s->hot.flags, EG_CONNECTED); /* before egret looked */
	if (kernel)
		__sync_fetch_and_or(&s->hot.flags, EG_OWNED); /* by pid 0 */
	else if (tx && !(task->flags & PF_KTHREAD) &&
		 (!tcp || (tcp_flags & (EG_SYN | EG_ACK)) == EG_SYN))
		eg_own(s);
	return s;
}

/*
 * A socket that is not connected was handed to another process: the one that sends is the owner. Where several share one
 * socket and take turns, user space is told about once a second at most.
 */
static __always_inline void eg_passed(struct eg_sock *s, __u64 cookie)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 now = bpf_jiffies64() >> 8;

	if (!s || (task->flags & PF_KTHREAD))
		return;
	if (eg_epoch()) {
		eg_own(s);
		eg_ask_again(s);
	}
	if (s->passed == now)
		return;
	s->passed = now;
	eg_own(s);
	if (s->hot.flags & EG_KEYED)
		eg_open(s, cookie);
}

/* A reset that eg_send_reset has counted: sent for a socket that is no more, or in answer to a packet. */
static __always_inline int eg_counted_reset(struct bpf_sock *sk, struct eg_sock *s)
{
	if (!s)
		return sk->protocol == EG_PROTO_TCP && sk->type == 1 && sk->state == EG_TCP_CLOSE;
	return __sync_fetch_and_and(&s->hot.flags, ~EG_ANSWERED) & EG_ANSWERED;
}

/* What egress gives back for a packet over its rate: dropped as a full queue would, and TCP slows down (NET_XMIT_DROP). */
#define EG_OVER_RATE 2

/* A socket that is not a connection. */
static __always_inline int eg_slow_dgram(struct __sk_buff *skb, struct eg_sock *s, __u64 cookie,
					 struct eg_room *r, int tx)
{
	if (!tx)
		return EG_PASS;
	if (r->packet.proto == EG_PROTO_TCP && !s->hot.pid &&
	    eg_tcp_answered(skb, &r->packet, s->zone))
		return EG_DONE;
	if (!(s->hot.flags & EG_CONNECTED) && s->hot.pid &&
	    s->hot.pid != bpf_get_current_pid_tgid() >> 32)
		eg_passed(s, cookie);
	return eg_dgram_ask(skb, s, r, cookie);
}

/* All that is not "count and go", up to the question to policy. Not inlined: see gate.h. */
static __noinline int eg_slow(struct __sk_buff *skb, struct eg_sock *s, __u64 cookie,
			      struct eg_room *r, int tx)
{
	struct eg_packet *p = &r->packet;
	struct bpf_sock *sk = skb->sk;
	int created = 0;

	r->other = r->began = 0;
	r->priority = 0;
	if (!sk)
		return EG_DONE;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return EG_DONE;
	if (eg_read(skb, p)) {
		eg_lose_packet(EG_LOSS_PACKET_UNREAD, skb->len, tx);
		return EG_LOST;
	}
	if (tx && (p->tcp_flags & EG_RST) && p->proto == EG_PROTO_TCP && eg_counted_reset(sk, s))
		return EG_DONE;
	if (!s) {
		s = eg_adopt(skb, sk, cookie, p->tcp_flags, tx);
		if (!s) {
			eg_lose_packet(EG_LOSS_MAP_SOCKETS, skb->len, tx);
			return EG_LOST;
		}
		created = EG_CREATED;
	}
	if (sk->protocol != EG_PROTO_TCP || sk->type != 1)
		return eg_slow_dgram(skb, s, cookie, r, tx);
	if (sk->state == EG_TCP_LISTEN) {
		eg_handshake_packet(s, p, skb->len, skb->ifindex, tx);
		return EG_DONE;
	}
	if (!(s->hot.flags & EG_KEYED)) {
		eg_tcp_begin(skb, sk, s, p, created | tx);
		r->began = 1;
	}
	return tx ? eg_tcp_ask(skb, s, r, cookie) : EG_PASS;
}

/* Was this, or newer, sent before? */
static __always_inline int eg_is_again(struct __sk_buff *skb, __u32 seq)
{
	struct bpf_sock *sk = skb->sk;
	struct bpf_tcp_sock *tp = sk ? bpf_tcp_sock(sk) : NULL;

	return tp && (__s32)(seq - tp->snd_nxt) < 0;
}

/* The flow that the packet is of has a rate: may it pass? */
static __noinline int eg_limit_slow(struct __sk_buff *skb, struct eg_sock *s, struct eg_room *r,
				    __u64 cookie, int tx)
{
	struct eg_wire w = { .packets = 1, .bytes = skb->len };
	const struct eg_packet *p = &r->packet;
	const struct eg_judged *j = &s->judged;
	int dgram = p->proto != EG_PROTO_TCP;
	struct eg_peer *peer;
	__u32 how;

	eg_packet_key(p, &r->peer.key, tx);
	r->peer.cookie = cookie;
	if (dgram && (s->hot.flags & EG_KEYED) && !eg_packet_is(p, &s->key, tx)) {
		peer = bpf_map_lookup_elem(&eg_peers, &r->peer);
		if (!peer)
			return 1;
		j = &peer->judged;
	}
	if (!j->limit)
		return 1;
	if (tx && (skb->gso_segs > 1 || (dgram && w.bytes > EG_WIRE_SMALL)))
		eg_wire_tx(skb, &w, dgram);
	else if (!tx && dgram && w.bytes > EG_WIRE_SMALL)
		eg_wire_rx(skb, &w);
	how = EG_LIMIT_PACKETS(w.packets) | (tx ? EG_LIMIT_TX : 0);
	if (!dgram && !p->payload_len)
		how |= EG_LIMIT_BARE;
	else if (!dgram && tx && eg_is_again(skb, p->seq))
		how |= EG_LIMIT_AGAIN;
	return eg_limit_pass(s, j, eg_limit_flow(&r->peer.key, cookie), w.bytes, how);
}

/* It was asked, or need not be: the verdict is kept, and what passes is counted. */
static __noinline int eg_slow_end(struct __sk_buff *skb, __u64 cookie, struct eg_room *r,
				  int verdict, int tx)
{
	struct bpf_sock *sk = skb->sk;
	struct eg_packet *p = &r->packet;
	struct eg_sock *s;
	int ret = 1;

	if (!sk)
		return verdict == EG_PASS;
	s = EG_FIND(sk, cookie);
	if (!s)
		return verdict == EG_PASS;
	if (r->asked && r->other)
		eg_peer_judged(s, r, verdict);
	else if (r->asked)
		eg_flow_judged(s, r, verdict);
	if (verdict != EG_PASS)
		return 0;
	if (policy_limits && !eg_limit_slow(skb, s, r, cookie, tx)) {
		if (tx)
			return EG_OVER_RATE;
		ret = 0; /* it came, and is counted */
	}
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return ret;
	if (sk->protocol != EG_PROTO_TCP || sk->type != 1) {
		eg_dgram_packet(skb, s, p, cookie, tx);
		return ret;
	}
	if (r->began || !(s->hot.flags & EG_OPEN_SENT))
		eg_open(s, cookie);
	eg_count(skb, &s->hot.n, &s->hot.last_tick, &s->adjust[0], tx);
	eg_tcp_packet(skb, s, p, cookie, tx);
	if (p->payload_len || (p->tcp_flags & EG_FIN))
		eg_tcp_look(skb, s, cookie, tx && (p->tcp_flags & EG_FIN));
	return ret;
}

static __always_inline int eg_slow_way(struct __sk_buff *skb, struct eg_sock *s, __u64 cookie,
				       int tx)
{
	struct eg_room *r = eg_room_take();
	int verdict, ret;

	if (!r) {
		eg_lose_packet(EG_LOSS_MAP_JUDGE, skb->len, tx);
		return !tx || eg_unjudged();
	}
	verdict = eg_slow(skb, s, cookie, r, tx);
	r->asked = verdict == EG_ASK;
	if (tx && verdict == EG_ASK) {
		verdict = eg_judge_packet(skb, r);
		r->priority = r->c.judged.flags;
	}
	if (tx && verdict == EG_PASS)
		eg_prioritise(skb, eg_priority_of_flow(r->priority));
	if (verdict == EG_DONE)
		ret = 1;
	else if (verdict == EG_LOST)
		ret = !tx || eg_unjudged();
	else
		ret = eg_slow_end(skb, cookie, r, verdict, tx);
	eg_room_give(r);
	return ret;
}

#define EG_FAST (EG_KEYED | EG_CONNECTED)

/* Of the flow in the socket. */
static __noinline int eg_limit_fast(struct __sk_buff *skb, struct eg_sock *s, __u64 cookie,
				    __u64 bytes, __u32 how)
{
	if (!s)
		return 1;
	return eg_limit_pass(s, &s->judged, eg_limit_flow(&s->key, cookie), bytes, how);
}

#define EG_SLOW 3 /* not counted: the slow way does */

/* TCP in the middle of a known flow, and no first bytes to look at: what the hook gives back when it was counted. */
static __always_inline int eg_fast_tcp(struct __sk_buff *skb, struct eg_sock *s, __u64 cookie,
				       int tx)
{
	struct eg_hot *h = &s->hot;
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u8 *b = data, *seen = tx ? &h->tx_tcp : &h->rx_tcp, f;
	__u32 flags = h->flags, head, how;
	int ret = 1;
	__be32 seq;
	struct eg_wire w;
	__u64 was;

	if ((flags & EG_FAST) != EG_FAST || (tx && h->passes != (__u8)eg_epoch()))
		return EG_SLOW;
	if (data + 40 <= end && b[0] == 0x45) {
		f = b[33];
		head = 20 + (b[32] >> 4) * 4;
		seq = *(const __be32 *)(b + 24);
	} else if (data + 60 <= end && b[0] >> 4 == 6 && b[6] == EG_PROTO_TCP) {
		f = b[53];
		head = 40 + (b[52] >> 4) * 4;
		seq = *(const __be32 *)(b + 44);
	} else {
		return EG_SLOW;
	}
	w.bytes = skb->len;
	if ((f & (EG_SYN | EG_RST)) ||
	    ((flags & ((tx ? EG_TX_OPEN : EG_RX_OPEN) | EG_HTTP)) && w.bytes > head))
		return EG_SLOW;
	w.packets = 1;
	if (tx && skb->gso_segs > 1)
		eg_wire_tx(skb, &w, 0);
	if (flags & EG_LIMITED) {
		how = EG_LIMIT_PACKETS(w.packets) | (tx ? EG_LIMIT_TX : 0);
		if (w.bytes <= head)
			how |= EG_LIMIT_BARE;
		else if (tx && eg_is_again(skb, bpf_ntohl(seq)))
			how |= EG_LIMIT_AGAIN;
		ret = eg_limit_fast(skb, s, cookie, w.bytes, how);
		if (!ret && tx)
			return EG_OVER_RATE;
	}
	if ((f | *seen) != *seen)
		*seen |= f;
	was = h->last_tick;
	if (tx)
		eg_add_tx(h, w.packets, w.bytes, 0);
	else
		eg_add_rx(h, w.packets, w.bytes);
	if (((was ^ h->last_tick) >> 8) || (f & EG_FIN)) /* about once a second */
		eg_tcp_look(skb, s, cookie, tx && (f & EG_FIN));
	return ret;
}

/* Does a datagram belong to the flow in the socket? 0 also when it is hard to tell. */
static __always_inline int eg_fast_same(struct __sk_buff *skb, __u32 tag, int tx)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const __u8 *b = data, *t;
	const __u32 *remote;
	__u64 high = 0, low;

	if (data + 28 <= end && b[0] == 0x45 && !(b[6] & 0x3f) && !b[7] && b[9] == EG_PROTO_UDP) {
		low = (__u64)bpf_htonl(0xffff) << 32 | *(const __u32 *)(b + (tx ? 16 : 12));
		t = b + 20;
	} else if (data + 48 <= end && b[0] >> 4 == 6 && b[6] == EG_PROTO_UDP) {
		remote = (const __u32 *)(b + (tx ? 24 : 8));
		high = (__u64)remote[0] << 32 | remote[1];
		low = (__u64)remote[2] << 32 | remote[3];
		t = b + 40;
	} else {
		return 0;
	}
	return eg_peer_hash(high, low, bpf_ntohs(*(const __u16 *)(t + (tx ? 2 : 0)))) == tag;
}

/* May this datagram say something new to policy? */
static __always_inline int eg_fast_again(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const __u8 *b = data;
	__u32 at;

	if (data + 49 > end)
		return data + 28 < end;
	at = b[0] == 0x45 ? 28 : 48;
	return eg_first_again(b[at]);
}

/* UDP of a known flow whose first datagrams were handed on. Without connect(), the one who sends must be the owner. */
static __always_inline int eg_fast_udp(struct __sk_buff *skb, struct eg_sock *s, __u64 cookie,
				       int tx)
{
	struct eg_hot *h = &s->hot;
	struct eg_wire w = { .packets = 1, .bytes = skb->len };
	__u32 flags = h->flags;
	int ret = 1;

	if ((flags & (EG_KEYED | EG_RAW | (tx ? EG_TX_OPEN : EG_RX_OPEN))) != EG_KEYED ||
	    !eg_fast_same(skb, h->peer_tag, tx))
		return EG_SLOW;
	if (tx && (h->passes != (__u8)eg_epoch() || ((flags & EG_AGAIN) && eg_fast_again(skb))))
		return EG_SLOW;
	if (tx && !(flags & EG_CONNECTED) && h->pid != bpf_get_current_pid_tgid() >> 32)
		return EG_SLOW;
	if (tx && skb->gso_segs > 1)
		return EG_SLOW;
	if (w.bytes > EG_WIRE_SMALL) {
		if (tx)
			eg_wire_tx(skb, &w, 1);
		else
			eg_wire_rx(skb, &w);
		if (w.packets > 1)
			return EG_SLOW;
	}
	if (flags & EG_LIMITED) {
		ret = eg_limit_fast(skb, s, cookie, w.bytes,
				    EG_LIMIT_PACKETS(1) | (tx ? EG_LIMIT_TX : 0));
		if (!ret && tx)
			return EG_OVER_RATE;
	}
	if (tx)
		eg_add_tx(h, 1, w.bytes, 1);
	else
		eg_add_rx(h, 1, w.bytes);
	return ret;
}

static __always_inline int eg_packet_of(struct __sk_buff *skb, int tx)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct bpf_sock *sk = skb->sk;
	struct eg_sock *s;
	int ret = EG_SLOW;

	if (!sk)
		return 1;
	s = EG_FIND(sk, cookie);
	if (s && s->hot.proto == EG_PROTO_TCP)
		ret = eg_fast_tcp(skb, s, cookie, tx);
	else if (s && s->hot.proto == EG_PROTO_UDP)
		ret = eg_fast_udp(skb, s, cookie, tx);
	if (ret != EG_SLOW) {
		if (tx && s->hot.passes)
			eg_prioritise(skb, s->hot.flags);
		return ret;
	}
	return eg_slow_way(skb, s, cookie, tx);
}

SEC("cgroup_skb/egress")
int eg_egress(struct __sk_buff *skb)
{
	return eg_packet_of(skb, 1);
}

SEC("cgroup_skb/ingress")
int eg_ingress(struct __sk_buff *skb)
{
	return eg_packet_of(skb, 0);
}

static __always_inline int eg_connect(struct bpf_sock_addr *ctx, const __u8 remote[16], __u16 rport)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct bpf_sock *sk = ctx->sk;
	struct eg_sock *s;

	if (!sk)
		return 1;
	s = EG_FIND_OR_MAKE(sk, cookie);
	if (!s) {
		eg_lose(EG_LOSS_MAP_SOCKETS, NULL);
		return eg_unjudged();
	}
	s->zone = bpf_get_netns_cookie(ctx);
	eg_own(s);
	if (!eg_call_leaves(ctx, s, remote, rport, cookie, EG_AT_CONNECT))
		return 0;
	if (s->hot.flags & EG_KEYED) {
		/* Connected anew: to another peer it is another flow; a TCP socket only gets here when the first try failed. */
		if (ctx->protocol != EG_PROTO_TCP && s->key.rport == rport &&
		    eg_addr_eq(s->key.remote, remote)) {
			eg_ask_again(s);
			__sync_fetch_and_or(&s->hot.flags, EG_CONNECTED);
			return 1;
		}
		eg_close(s, cookie);
	}
	__sync_fetch_and_or(&s->hot.flags,
			    ctx->protocol == EG_PROTO_TCP ? EG_CONNECTING : EG_CONNECTED);
	return 1;
}

SEC("cgroup/connect4")
int eg_connect4(struct bpf_sock_addr *ctx)
{
	__u8 remote[16];

	eg_put_v4(remote, ctx->user_ip4);
	return eg_connect(ctx, remote, bpf_ntohs(ctx->user_port));
}

SEC("cgroup/connect6")
int eg_connect6(struct bpf_sock_addr *ctx)
{
	__u32 remote[4];

	remote[0] = ctx->user_ip6[0];
	remote[1] = ctx->user_ip6[1];
	remote[2] = ctx->user_ip6[2];
	remote[3] = ctx->user_ip6[3];
	return eg_connect(ctx, (__u8 *)remote, bpf_ntohs(ctx->user_port));
}

/*
 * A datagram to a peer that the socket is not connected to. Only the first peer is looked at here: the packet asks about
 * all, and fails the call as well.
 */
static __always_inline int eg_sendmsg(struct bpf_sock_addr *ctx, const __u8 remote[16], __u16 rport)
{
	struct bpf_sock *sk = ctx->sk;
	struct eg_sock *s;
	__u64 cookie;

	if (!eg_epoch() || !sk)
		return 1;
	cookie = bpf_get_socket_cookie(ctx);
	s = EG_FIND(sk, cookie);
	if (s && (s->hot.flags & (EG_KEYED | EG_HAS_PEERS)))
		return 1;
	if (!s)
		s = EG_MAKE(sk, cookie, 0);
	if (!s) {
		eg_lose(EG_LOSS_MAP_SOCKETS, NULL);
		return eg_unjudged();
	}
	s->zone = bpf_get_netns_cookie(ctx);
	eg_own(s);
	return eg_call_leaves(ctx, s, remote, rport, cookie, EG_AT_SEND);
}

SEC("cgroup/sendmsg4")
int eg_sendmsg4(struct bpf_sock_addr *ctx)
{
	__u8 remote[16];

	eg_put_v4(remote, ctx->user_ip4);
	return eg_sendmsg(ctx, remote, bpf_ntohs(ctx->user_port));
}

SEC("cgroup/sendmsg6")
int eg_sendmsg6(struct bpf_sock_addr *ctx)
{
	__u32 remote[4];

	remote[0] = ctx->user_ip6[0];
	remote[1] = ctx->user_ip6[1];
	remote[2] = ctx->user_ip6[2];
	remote[3] = ctx->user_ip6[3];
	return eg_sendmsg(ctx, (__u8 *)remote, bpf_ntohs(ctx->user_port));
}

/* A socket with an address of its own may be a server: what comes in belongs to who bound it. */
static __always_inline int eg_bound(struct bpf_sock *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct eg_sock *s = EG_FIND(ctx, cookie);

	if (!s)
		s = EG_MAKE(ctx, cookie, ctx->protocol == EG_PROTO_TCP && ctx->type == 1);
	if (!s) {
		eg_lose(EG_LOSS_MAP_SOCKETS, NULL);
		return 1;
	}
	s->zone = bpf_get_netns_cookie(ctx);
	eg_own(s);
	if (ctx->type == 3)
		__sync_fetch_and_or(&s->hot.flags, EG_RAW);
	return 1;
}

SEC("cgroup/post_bind4")
int eg_bind4(struct bpf_sock *ctx)
{
	return eg_bound(ctx);
}

SEC("cgroup/post_bind6")
int eg_bind6(struct bpf_sock *ctx)
{
	return eg_bound(ctx);
}

SEC("cgroup/sock_release")
int eg_release(struct bpf_sock *ctx)
{
	const struct eg_counts taken = {}; /* by eg_close() */
	struct eg_sock *s;
	__u64 cookie;

	if (ctx->protocol == EG_PROTO_TCP && ctx->type == 1)
		return 1; /* the connection outlives its socket: eg_tcp_destroy */
	cookie = bpf_get_socket_cookie(ctx);
	s = EG_FIND(ctx, cookie);
	if (!s)
		return 1;
	if (s->hot.flags & (EG_KEYED | EG_HAS_PEERS))
		eg_close(s, cookie);
	eg_drop(cookie, &taken, 0);
	return 1;
}
