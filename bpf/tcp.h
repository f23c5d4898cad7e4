/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP, from the first packet of a socket to what the kernel still does when the socket is gone.
 *
 *   connect(): owner -> SYN out: key, notice -> packets: counted -> tcp_destroy_sock: last counts, notice
 *   listener:  SYN, SYN-ACK, ACK wait in eg_handshakes -> child's first packet: key, counts taken over, notice
 *
 * Packets that the cgroup hooks do not see on their socket, found by experiment on 6.18:
 *   - the peer's FIN, or data, for a closer whose own FIN was acknowledged: its socket is gone, a stub in FIN_WAIT2
 *     answers. The flow waits in eg_tails until kfree_skb shows that packet.
 *   - a FIN that the peer says again because our ACK of it was lost, and any packet that arrives behind it: TIME_WAIT
 *     answers. Likewise.
 *   - what was under way when we reset the connection, and the resets that answer it: likewise.
 *   - a reset that answers a packet on a socket, mostly one that died of that packet, is sent from a socket of the
 *     kernel (since 6.13 our hook sees it on the dead one): tcp_send_reset shows it everywhere, so it counts there.
 */
#pragma once

#include "capture.h"
#include "handshake.h"
#include "learn.h"

static __always_inline void eg_windows_open(struct eg_sock *s, __u32 flags)
{
	__u32 in = flags & EG_INBOUND;

	s->tx.next = s->rx.next = 0;
	s->tx.end = in ? EG_RESPONDER_WINDOW : EG_OPENER_WINDOW;
	s->rx.end = in ? EG_OPENER_WINDOW : EG_RESPONDER_WINDOW;
	flags |= EG_TX_OPEN | EG_RX_OPEN;
	if (eg_dns_port(s->key.lport) || eg_dns_port(s->key.rport)) {
		flags |= EG_DNS;
		s->tx.end = s->rx.end = EG_NO_END;
	}
	__sync_fetch_and_or(&s->hot.flags, flags);
}

static __always_inline void eg_sk_key(struct bpf_sock *sk, struct eg_key *k, __u8 proto)
{
	__u32 *l = (__u32 *)k->local, *r = (__u32 *)k->remote;

	if (sk->family == AF_INET) {
		eg_put_v4(k->local, sk->src_ip4);
		eg_put_v4(k->remote, sk->dst_ip4);
	} else {
		l[0] = sk->src_ip6[0];
		l[1] = sk->src_ip6[1];
		l[2] = sk->src_ip6[2];
		l[3] = sk->src_ip6[3];
		r[0] = sk->dst_ip6[0];
		r[1] = sk->dst_ip6[1];
		r[2] = sk->dst_ip6[2];
		r[3] = sk->dst_ip6[3];
	}
	k->lport = sk->src_port;
	k->rport = bpf_ntohs(sk->dst_port);
	k->proto = proto;
	k->pad[0] = k->pad[1] = k->pad[2] = 0;
}

#define EG_TX 1
#define EG_CREATED 2 /* the socket carried no storage before this packet */

/*
 * A child whose handshake was pushed out before it was taken: whose the listener is still says who, and that the other
 * side began. 0: there is no listener, so this flow was open before egret looked.
 */
static __noinline int eg_tcp_adopt(struct __sk_buff *skb, struct eg_sock *s)
{
	struct bpf_sock_tuple t = {};
	struct eg_sock *listener;
	struct bpf_sock *sk;
	__u32 size;

	if (!s)
		return 0;
	/* port 0 is nobody's: what is found for it listens */
	if (eg_is_v4mapped(s->key.local)) {
		__builtin_memcpy(&t.ipv4.saddr, s->key.remote + 12, 4);
		__builtin_memcpy(&t.ipv4.daddr, s->key.local + 12, 4);
		t.ipv4.dport = bpf_htons(s->key.lport);
		size = sizeof(t.ipv4);
	} else {
		__builtin_memcpy(t.ipv6.saddr, s->key.remote, 16);
		__builtin_memcpy(t.ipv6.daddr, s->key.local, 16);
		t.ipv6.dport = bpf_htons(s->key.lport);
		size = sizeof(t.ipv6);
	}
	sk = bpf_sk_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	listener = bpf_sk_storage_get(&eg_socks, sk, NULL, 0); /* listeners hold no slot */
	if (listener && !(s->hot.flags & EG_OWNED))
		eg_sock_inherit(s, listener);
	bpf_sk_release(sk);
	return 1;
}

static __always_inline struct eg_tail *eg_tail_way(__u64 tag, __u32 way)
{
	__u32 i = ((tag >> 32) + way) & (EG_TAILS - 1);

	return bpf_map_lookup_elem(&eg_tails, &i);
}

/* The flow's entry, NULL when there is none. */
static __always_inline struct eg_tail *eg_tail_find(__u64 tag)
{
#pragma unroll
	for (__u32 way = 0; way < EG_TAIL_WAYS; way++) {
		struct eg_tail *t = eg_tail_way(tag, way);

		if (t && t->tag == tag)
			return t;
	}
	return NULL;
}

/* A flow begins on addresses and ports that one before it had: what comes is not that one's any more. */
static __noinline void eg_tail_forget(const struct eg_sock *s)
{
	struct eg_tail *t = s ? eg_tail_find(eg_tag(&s->key, s->zone)) : NULL;

	if (t)
		t->tag = 0;
}

/* First packet of a flow on this socket. */
static __noinline void eg_tcp_begin(struct __sk_buff *skb, struct bpf_sock *sk, struct eg_sock *s,
				    struct eg_packet *p, __u32 how)
{
	__u32 flags, syn;

	if (!sk || !s || !p)
		return;
	eg_sk_key(sk, &s->key, EG_PROTO_TCP);
	eg_tail_forget(s);
	s->hot.proto = EG_PROTO_TCP;
	s->ifindex = skb->ifindex;
	flags = s->hot.flags;
	syn = p->tcp_flags & (EG_SYN | EG_ACK);
	if ((how & EG_TX) && syn == EG_SYN)
		flags = EG_KEYED |
			EG_CONNECTED; /* without a connect() seen: another path of MPTCP, a kernel socket */
	else if ((how & EG_CREATED) && (eg_handshake_take(s) || eg_tcp_adopt(skb, s)))
		flags = EG_KEYED | EG_CONNECTED | EG_INBOUND;
	else
		flags = EG_KEYED | EG_CONNECTED | EG_MIDSTREAM;
	if (flags & EG_MIDSTREAM)
		__sync_fetch_and_or(&s->hot.flags, flags);
	else
		eg_windows_open(s, flags);
}

/* What a segment's header tells of the flow. */
static __always_inline void eg_tcp_header(struct eg_sock *s, const struct eg_packet *p, int tx)
{
	if (p->tcp_flags & EG_SYN) {
		if (tx)
			s->tx.isn = p->seq;
		else
			s->rx.isn = p->seq;
		__sync_fetch_and_or(&s->hot.flags, tx ? EG_TX_ISN : EG_RX_ISN);
	}
	if (tx)
		s->hot.tx_tcp |= p->tcp_flags;
	else
		s->hot.rx_tcp |= p->tcp_flags;
}

/* Its payload, where first bytes are still looked at. */
static __always_inline void eg_tcp_bytes(struct __sk_buff *skb, struct eg_sock *s,
					 struct eg_packet *p, __u64 cookie, int tx)
{
	__u32 flags = s->hot.flags;

	if ((flags & (tx ? EG_TX_OPEN : EG_RX_OPEN)) && (flags & (tx ? EG_TX_ISN : EG_RX_ISN)))
		eg_capture_tcp(skb, s, p, cookie, tx);
	else if (flags & EG_HTTP)
		eg_capture_http(skb, s, p, cookie, tx);
}

static __always_inline void eg_tcp_packet(struct __sk_buff *skb, struct eg_sock *s,
					  struct eg_packet *p, __u64 cookie, int tx)
{
	eg_tcp_header(s, p, tx);
	if (!p->payload_len)
		return;
	if (!tx && s->key.rport == 53)
		eg_learn_segment(skb, s, p, cookie);
	eg_tcp_bytes(skb, s, p, cookie, tx);
}

/* Key of a socket from the kernel's own struct: for a child that never had a packet of its own. */
static __always_inline void eg_sock_key(struct sock *sk, struct eg_key *k)
{
	if (sk->__sk_common.skc_family == AF_INET) {
		eg_put_v4(k->local, sk->__sk_common.skc_rcv_saddr);
		eg_put_v4(k->remote, sk->__sk_common.skc_daddr);
	} else {
		bpf_probe_read_kernel(k->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(k->remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
	k->lport = sk->__sk_common.skc_num;
	k->rport = bpf_ntohs(sk->__sk_common.skc_dport);
	k->proto = sk->sk_protocol;
	k->pad[0] = k->pad[1] = k->pad[2] = 0;
}

/* What the kernel knows of the connection's health; looked at with first bytes, about once a second, and at the end. */
static __always_inline void eg_tcp_health(const struct tcp_sock *tp, struct eg_sock *s)
{
	__u64 got = tp->bytes_received;

	s->payload[0] = tp->bytes_sent - tp->bytes_retrans;
	/* a FIN in sequence is counted by the kernel as a byte */
	s->payload[1] = got - (got && (s->hot.rx_tcp & EG_FIN) ? 1 : 0);
	s->retransmits = tp->total_retrans;
	s->rtt_us = tp->srtt_us >> 3;
	if (!(s->hot.flags & EG_LOOKED))
		__sync_fetch_and_or(&s->hot.flags, EG_LOOKED);
}

/* An entry for the flow: its own, or that of the oldest in its set. */
static __always_inline struct eg_tail *eg_tail_claim(__u64 tag)
{
	struct eg_tail *oldest = eg_tail_find(tag);

	if (oldest)
		return oldest;
#pragma unroll
	for (__u32 way = 0; way < EG_TAIL_WAYS; way++) {
		struct eg_tail *t = eg_tail_way(tag, way);

		if (t && (!oldest || t->since_ns < oldest->since_ns))
			oldest = t;
	}
	return oldest;
}

/* From now on packets of this flow may come that pass by no hook of its socket. Without tp: none is answered by an ACK. */
static __always_inline void eg_tail_set(const struct eg_sock *s, __u64 cookie,
					const struct tcp_sock *tp, __u16 what)
{
	__u64 tag = eg_tag(&s->key, s->zone);
	struct eg_tail *t = eg_tail_claim(tag);

	if (!t)
		return;
	t->since_ns = bpf_ktime_get_ns();
	t->answered_ns = 0;
	t->cookie = cookie;
	t->rcv_nxt = tp ? tp->rcv_nxt : 0;
	t->stamped = tp && tp->rx_opt.ts_recent;
	t->what = what;
	t->tag = tag;
}

/* `fin`: our FIN is just going out. Who closes first waits for the other side's without a socket, from its ACK on. */
static __noinline void eg_tcp_look(struct __sk_buff *skb, struct eg_sock *s, __u64 cookie,
				   __u32 fin)
{
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tp;

	if (!s || !sk)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return;
	eg_tcp_health(tp, s);
	if (fin && !(s->hot.rx_tcp & EG_FIN)) {
		__sync_fetch_and_or(&s->hot.flags, EG_CLOSED_FIRST);
		eg_tail_set(s, cookie, tp, EG_TAIL_FIN);
	}
}

/* Will packets of this flow still come, now that its socket goes? EG_TAIL_* or 0. */
static __always_inline int eg_tail_expect(const struct tcp_sock *tp, struct eg_sock *s,
					  __u64 cookie)
{
	int what = 0;

	if (s->hot.rx_tcp & EG_RST)
		return 0;
	if (s->hot.tx_tcp & EG_RST)
		what = EG_TAIL_RESET;
	else if ((s->hot.tx_tcp & EG_FIN) && (s->hot.rx_tcp & EG_FIN))
		what = s->hot.flags & EG_CLOSED_FIRST ? EG_TAIL_ACK : 0;
	else if (s->hot.tx_tcp & EG_FIN)
		/* not acknowledged: gave up, or died of data that came after close(), which is answered by a reset */
		what = tp->snd_una == tp->write_seq ? EG_TAIL_FIN : EG_TAIL_RESET;
	if (what)
		eg_tail_set(s, cookie, tp, what);
	return what;
}

/* *told: what its record has. EG_TAIL_* that it waits for, or 0. */
static __always_inline int eg_tcp_close(const struct tcp_sock *tp, struct eg_sock *s, __u64 cookie,
					struct eg_counts *told)
{
	struct eg_close *c;
	int tail;

	if (eg_never_left(s))
		return 0;
	if (!(s->hot.flags & EG_OPEN_SENT))
		eg_open(s, cookie);
	eg_tcp_health(tp, s);
	tail = eg_tail_expect(tp, s, cookie);
	c = bpf_ringbuf_reserve(&eg_ring, sizeof(*c), 0);
	*told = s->hot.n;
	if (!c) {
		eg_park(s, told, cookie, tail);
		return tail;
	}
	c->rec.type = EG_REC_CLOSE;
	c->rec.time_ns = bpf_ktime_get_ns();
	eg_fill_close(c, s, told, cookie);
	c->tail = tail;
	bpf_ringbuf_submit(c, eg_wake());
	return tail;
}

/* A child that ended before it had a packet of its own. 0: a listener, a connect() that sent nothing, or not ours. */
static __always_inline int eg_tcp_unborn(struct sock *sk, struct eg_sock *s)
{
	if (!sk->__sk_common.skc_dport || (s->hot.flags & (EG_CONNECTING | EG_SEEDED)))
		return 0;
	eg_sock_key(sk, &s->key);
	if (!eg_handshake_take(s))
		return 0;
	__sync_fetch_and_or(&s->hot.flags, EG_KEYED | EG_CONNECTED | EG_INBOUND);
	return 1;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(eg_tcp_destroy, struct sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct eg_sock *s = EG_FIND(sk, cookie);
	struct eg_counts told = {};
	struct tcp_sock *tp;
	int tail = 0;

	if (!s && sk->__sk_common.skc_dport && eg_cgroup_watched(sk->sk_cgrp_data.cgroup)) {
		s = eg_slot_claim(cookie);
		if (s)
			s->zone = sk->__sk_common.skc_net.net->net_cookie;
	}
	if (!s)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp && ((s->hot.flags & EG_KEYED) || eg_tcp_unborn(sk, s)))
		tail = eg_tcp_close(tp, s, cookie, &told);
	eg_drop(cookie, &told, tail);
	return 0;
}

/* --- after the socket --------------------------------------------------------------------------------------- */

/* A packet that the kernel is done with, headers read. */
struct eg_late {
	struct eg_key key;       /* seen from us, who received it */
	__u32 len, seq, end_seq; /* end_seq: of the payload, and of a FIN */
	__u32 reply_header;      /* of an answer without options */
	__u8 flags;
};

static __always_inline int eg_late_read(const struct sk_buff *skb, struct eg_late *l)
{
	unsigned char *head = skb->head;
	__u8 ip[40], tcp[20];
	__u32 header;

	if (bpf_probe_read_kernel(ip, sizeof(ip), head + skb->network_header))
		return 0;
	if (ip[0] >> 4 == 4) {
		if (ip[9] != EG_PROTO_TCP || (ip[6] & 0x1f) || ip[7])
			return 0;
		eg_put_v4(l->key.local, *(__u32 *)(ip + 16));
		eg_put_v4(l->key.remote, *(__u32 *)(ip + 12));
		l->len = ip[2] << 8 | ip[3];
		header = (ip[0] & 15) * 4;
		l->reply_header = 20 + 20;
	} else if (ip[0] >> 4 == 6 && ip[6] == EG_PROTO_TCP) {
		__builtin_memcpy(l->key.local, ip + 24, 16);
		__builtin_memcpy(l->key.remote, ip + 8, 16);
		header = 40;
		l->len = header + (ip[4] << 8 | ip[5]);
		l->reply_header = 40 + 20;
	} else {
		return 0;
	}
	if (bpf_probe_read_kernel(tcp, sizeof(tcp), head + skb->transport_header))
		return 0;
	l->key.lport = tcp[2] << 8 | tcp[3];
	l->key.rport = tcp[0] << 8 | tcp[1];
	l->key.proto = EG_PROTO_TCP;
	l->flags = tcp[13];
	header += (tcp[12] >> 4) * 4;
	l->seq = (__u32)tcp[4] << 24 | tcp[5] << 16 | tcp[6] << 8 | tcp[7];
	l->end_seq = l->seq + (l->len > header ? l->len - header : 0) + (l->flags & EG_FIN);
	return 1;
}

#define EG_TW_ANSWER_NS 500000000ULL /* net.ipv4.tcp_invalid_ratelimit */

/* It is where the next one is expected, or reaches further. */
static __always_inline int eg_late_in_window(const struct eg_late *l, const struct eg_tail *t)
{
	return l->seq == t->rcv_nxt || (__s32)(l->end_seq - t->rcv_nxt) > 0;
}

/* tcp_oow_rate_limited(): what takes no place among the bytes is acknowledged twice a second at most. */
static __always_inline __u8 eg_late_ack(const struct eg_late *l, struct eg_tail *t, __u64 now)
{
	if (l->seq == l->end_seq) {
		if (now - t->answered_ns < EG_TW_ANSWER_NS)
			return 0;
		t->answered_ns = now;
	}
	return EG_ACK;
}

/*
 * How the kernel answers, as TCP flags: tcp_timewait_state_process(), or a reset where there is no socket. Not told apart: data beyond the
 * window, and a timestamp older than its sequence number would be; a stub acknowledges both.
 */
static __always_inline __u8 eg_late_answer(const struct eg_late *l, struct eg_tail *t, __u64 now)
{
	int reset = l->flags & EG_RST, empty = l->seq == l->end_seq;

	if (t->what == EG_TAIL_FIN) {
		if (!eg_late_in_window(l, t))
			return eg_late_ack(l, t, now);
		if (!reset && !(l->flags & EG_SYN)) {
			if (!(l->flags & EG_ACK) || empty || (__s32)(l->end_seq - t->rcv_nxt) <= 0)
				return 0;
			if ((l->flags & EG_FIN) && l->end_seq == t->rcv_nxt + 1) {
				t->what = EG_TAIL_ACK;
				t->rcv_nxt = l->end_seq;
				return EG_ACK;
			}
		}
		/* the stub dies of a reset, and of data that nobody will read */
		t->what = EG_TAIL_RESET;
	} else if (t->what == EG_TAIL_ACK) {
		int next = l->seq == t->rcv_nxt;

		if (reset && next)
			t->what = EG_TAIL_RESET;
		return reset || (empty && next) ? 0 : eg_late_ack(l, t, now);
	}
	return reset ? 0 : EG_RST;
}

static __always_inline struct eg_tail_rec *
eg_tail_rec(const struct eg_late *l, const struct eg_tail *t, __u64 zone, const struct eg_counts *n)
{
	struct eg_tail_rec *r = bpf_ringbuf_reserve(&eg_ring, sizeof(*r), 0);

	if (!r) {
		eg_lose(EG_LOSS_RING_FLOW, n);
		return NULL;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->rec.type = EG_REC_TAIL;
	r->rec.time_ns = bpf_ktime_get_ns();
	r->key = l->key;
	r->zone = zone;
	r->cookie = t->cookie;
	r->n = *n;
	return r;
}

/* The socket is about to go, on another CPU: its counters are still there. */
static __always_inline void eg_late_count(struct eg_sock *s, const struct eg_late *l, __u8 answer,
					  __u32 answer_len)
{
	s->hot.rx_tcp |= l->flags;
	s->hot.tx_tcp |= answer;
	__sync_fetch_and_add(&s->hot.n.rx_packets, 1);
	__sync_fetch_and_add(&s->hot.n.rx_bytes, l->len);
	if (!answer)
		return;
	__sync_fetch_and_add(&s->hot.n.tx_packets, 1);
	__sync_fetch_and_add(&s->hot.n.tx_bytes, answer_len);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(eg_kfree_skb, struct sk_buff *skb)
{
	__u64 tag, zone, now = bpf_ktime_get_ns();
	struct eg_counts n = {};
	struct eg_late l = {};
	struct eg_tail_rec *r;
	struct eg_tail *t;
	struct eg_sock *s;
	__u32 answer_len;
	__u8 answer;

	/* of no device any more: a socket took it, and counted; not yet at its TCP header: something else refused it */
	if ((skb->protocol != bpf_htons(0x0800) && skb->protocol != bpf_htons(0x86dd)) ||
	    !skb->dev || skb->data != skb->head + skb->transport_header || !eg_late_read(skb, &l))
		return 0;
	zone = skb->dev->nd_net.net->net_cookie;
	tag = eg_tag(&l.key, zone);
	t = eg_tail_find(tag);
	if (!t || eg_handshake_find(tag)) /* of a connection that comes: counted there */
		return 0;
	answer = eg_late_answer(&l, t, now);
	answer_len = l.reply_header + (answer == EG_ACK && t->stamped ? 12 : 0);
	s = eg_slot_find(t->cookie);
	if (s) {
		eg_late_count(s, &l, answer, answer_len);
		return 0;
	}
	n.rx_packets = 1;
	n.rx_bytes = l.len;
	n.tx_packets = answer != 0;
	n.tx_bytes = answer ? answer_len : 0;
	r = eg_tail_rec(&l, t, zone, &n);
	if (r) {
		r->rx_tcp = l.flags;
		r->tx_tcp = answer;
		r->what = t->what;
		bpf_ringbuf_submit(r, eg_wake());
	}
	return 0;
}

/* The socket died of the packet that this reset answers. */
static __always_inline void eg_last_reset(struct sk_buff *skb, __u64 zone)
{
	struct eg_counts n = {};
	struct eg_late l = {};
	struct eg_tail_rec *r;
	struct eg_tail *t;
	__u64 tag;

	if (!eg_late_read(skb, &l))
		return;
	tag = eg_tag(&l.key, zone);
	t = eg_tail_find(tag);
	if (!t)
		return;
	t->what = EG_TAIL_RESET;
	n.tx_packets = 1;
	n.tx_bytes = l.reply_header;
	r = eg_tail_rec(&l, t, zone, &n);
	if (!r)
		return;
	r->tx_tcp = EG_RST;
	r->what = EG_TAIL_RESET;
	bpf_ringbuf_submit(r, eg_wake());
}

/* With skb: a reset that answers it. Without: one that the socket sends by itself. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(eg_send_reset, struct sock *sk, struct sk_buff *skb)
{
	struct eg_sock *s;
	__u8 state;

	if (!sk)
		return 0; /* answers for nobody, or for a stub: eg_kfree_skb */
	state = sk->__sk_common.skc_state;
	if (state == EG_TCP_TIME_WAIT || state == EG_TCP_NEW_SYN_RECV || state == EG_TCP_LISTEN)
		return 0;
	s = eg_slot_find(sk->__sk_common.skc_cookie.counter);
	if (!skb) {
		if (s && (s->hot.flags & EG_KEYED)) {
			__sync_fetch_and_and(&s->hot.flags, ~EG_ANSWERED);
			eg_tail_set(s, sk->__sk_common.skc_cookie.counter, NULL, EG_TAIL_RESET);
		}
		return 0;
	}
	if (!s) {
		if (state == EG_TCP_CLOSE)
			eg_last_reset(skb, sk->__sk_common.skc_net.net->net_cookie);
		return 0;
	}
	if (!(s->hot.flags & EG_KEYED))
		return 0;
	s->hot.tx_tcp |= EG_RST;
	__sync_fetch_and_add(&s->hot.n.tx_packets, 1);
	__sync_fetch_and_add(&s->hot.n.tx_bytes, eg_is_v4mapped(s->key.remote) ? 40 : 60);
	__sync_fetch_and_or(&s->hot.flags, EG_ANSWERED);
	return 0;
}

/*
 * A packet from the kernel's own TCP socket, seen where the root is watched: an answer that the programs above have
 * counted for its flow already? Else it belongs to nobody here, as the reset for a port without a listener.
 */
static __noinline int eg_tcp_answered(struct __sk_buff *skb, struct eg_packet *p, __u64 zone)
{
	struct bpf_sock_tuple t = {};
	struct eg_tail *tail;
	struct eg_key key;
	struct bpf_sock *sk;
	__u32 size, known;
	__u64 tag;

	if (!p)
		return 0;
	eg_packet_key(p, &key, 1);
	tag = eg_tag(&key, zone);
	tail = eg_tail_find(tag);
	if (tail)
		return 1;
	if (eg_is_v4mapped(p->src)) {
		__builtin_memcpy(&t.ipv4.saddr, p->dst + 12, 4);
		__builtin_memcpy(&t.ipv4.daddr, p->src + 12, 4);
		t.ipv4.sport = bpf_htons(p->dport);
		t.ipv4.dport = bpf_htons(p->sport);
		size = sizeof(t.ipv4);
	} else {
		__builtin_memcpy(t.ipv6.saddr, p->dst, 16);
		__builtin_memcpy(t.ipv6.daddr, p->src, 16);
		t.ipv6.sport = bpf_htons(p->dport);
		t.ipv6.dport = bpf_htons(p->sport);
		size = sizeof(t.ipv6);
	}
	sk = bpf_sk_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	known = sk->state != EG_TCP_LISTEN;
	bpf_sk_release(sk);
	return known;
}
