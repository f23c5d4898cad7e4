/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP, from the first packet of a socket to what the kernel still does when the socket is gone.
 *
 *   connect(): owner -> SYN out: key, notice -> packets: counted -> tcp_destroy_sock: last counts, notice
 *   listener:  SYN, SYN-ACK, ACK wait in eg_handshakes -> child's first packet: key, counts taken over, notice
 *
 * A closer whose FIN was acknowledged leaves its socket in FIN_WAIT2 and the kernel keeps a stub: the peer's FIN and
 * our ACK of it pass by no cgroup hook. The flow's key stays in eg_tails until kfree_skb shows that FIN.
 */
#pragma once

#include "capture.h"
#include "handshake.h"

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

/* First packet of a flow on this socket. */
static __noinline void eg_tcp_begin(struct bpf_sock *sk, struct eg_sock *s, struct eg_packet *p,
				    struct eg_flow_id *id, __u32 how)
{
	__u32 flags, syn;

	if (!sk || !s || !p || !id)
		return;
	flags = s->hot.flags;
	syn = p->tcp_flags & (EG_SYN | EG_ACK);
	eg_sk_key(sk, &s->key, EG_PROTO_TCP);
	s->hot.proto = EG_PROTO_TCP;
	if ((how & EG_TX) && syn == EG_SYN) {
		flags = EG_KEYED | EG_CONNECTED; /* no connect() hook: another path of MPTCP, a kernel socket */
	} else if ((how & EG_CREATED) || (flags & EG_SEEDED)) {
		flags = EG_KEYED | EG_CONNECTED | EG_MIDSTREAM;
	} else if (flags & EG_CONNECTING) {
		flags = EG_KEYED | EG_CONNECTED | EG_MIDSTREAM;
	} else {
		flags = EG_KEYED | EG_CONNECTED | EG_INBOUND;
		eg_handshake_take(s, id->zone);
	}
	if (flags & EG_MIDSTREAM)
		__sync_fetch_and_or(&s->hot.flags, flags);
	else
		eg_windows_open(s, flags);
	eg_open(s, id);
}

static __always_inline void eg_tcp_packet(struct __sk_buff *skb, struct eg_sock *s, struct eg_packet *p,
					  struct eg_flow_id *id, int tx)
{
	__u32 flags;

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
	if (!p->payload_len)
		return;
	flags = s->hot.flags;
	if ((flags & (tx ? EG_TX_OPEN : EG_RX_OPEN)) && (flags & (tx ? EG_TX_ISN : EG_RX_ISN)))
		eg_capture_tcp(skb, s, p, id, tx);
	else if (flags & EG_HTTP)
		eg_capture_http(skb, s, p, id, tx);
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

static __always_inline void eg_tcp_health(struct sock *sk, struct eg_close *c)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	__u64 sent = BPF_CORE_READ(tp, bytes_sent), got = BPF_CORE_READ(tp, bytes_received);

	c->tx_payload = sent - BPF_CORE_READ(tp, bytes_retrans);
	/* a FIN in sequence is counted by the kernel as a byte */
	c->rx_payload = got - (got && (c->rx_tcp & EG_FIN) ? 1 : 0);
	c->retransmits = BPF_CORE_READ(tp, total_retrans);
	c->rtt_us = BPF_CORE_READ(tp, srtt_us) >> 3;
}

static __always_inline struct eg_tail *eg_tail_slot(__u64 tag)
{
	__u32 i = (tag >> 32) & (EG_TAILS - 1);

	return bpf_map_lookup_elem(&eg_tails, &i);
}

/* Was this closer left waiting for the peer's FIN? Then the rest of the flow happens without a socket. */
static __always_inline int eg_tail_expect(struct sock *sk, struct eg_sock *s, const struct eg_flow_id *id)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct eg_tail *t;
	__u64 tag;

	if (!(s->hot.tx_tcp & EG_FIN) || (s->hot.rx_tcp & (EG_FIN | EG_RST)) || (s->hot.tx_tcp & EG_RST) ||
	    BPF_CORE_READ(tp, snd_una) != BPF_CORE_READ(tp, write_seq))
		return 0;
	tag = eg_tag(&s->key, id->zone);
	t = eg_tail_slot(tag);
	if (!t)
		return 0;
	t->cookie = id->cookie;
	t->tag = tag;
	return 1;
}

static __always_inline void eg_tcp_close(struct sock *sk, struct eg_sock *s, const struct eg_flow_id *id)
{
	struct eg_close *c;

	eg_fold(s, id->cookie, 0);
	if (!(s->hot.flags & EG_OPEN_SENT))
		eg_open(s, id);
	if (eg_tail_expect(sk, s, id))
		__sync_fetch_and_or(&s->hot.flags, EG_TAIL);
	c = bpf_ringbuf_reserve(&eg_ring, sizeof(*c), 0);
	if (!c) {
		struct eg_counts n = s->hot.n;

		eg_unreported(&n, s);
		eg_lose(EG_LOSS_RING_FLOW, &n);
		return;
	}
	c->rec.type = EG_REC_CLOSE;
	c->rec.time_ns = bpf_ktime_get_ns();
	eg_fill_close(c, s, id);
	c->n = s->hot.n;
	eg_tcp_health(sk, c);
	bpf_ringbuf_submit(c, eg_wake());
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(eg_tcp_destroy, struct sock *sk)
{
	struct eg_sock *s = bpf_sk_storage_get(&eg_socks, sk, 0, 0);
	struct eg_flow_id id = {};

	if (!s)
		return 0;
	id.zone = sk->__sk_common.skc_net.net->net_cookie;
	id.cookie = bpf_get_socket_cookie(sk);
	if (!(s->hot.flags & EG_KEYED)) {
		if ((s->hot.flags & (EG_CONNECTING | EG_SEEDED)) || !sk->__sk_common.skc_dport)
			return 0; /* a listener, or a connect() that sent nothing */
		eg_sock_key(sk, &s->key);
		eg_handshake_take(s, id.zone);
		__sync_fetch_and_or(&s->hot.flags, EG_KEYED | EG_CONNECTED | EG_INBOUND);
	}
	eg_tcp_close(sk, s, &id);
	return 0;
}

/* --- after the socket --------------------------------------------------------------------------------------- */

/* A segment that the kernel is done with: the FIN that a stub in FIN_WAIT2 waited for? */
SEC("tp_btf/kfree_skb")
int BPF_PROG(eg_kfree_skb, struct sk_buff *skb)
{
	struct eg_tail_rec *r;
	struct eg_tail *t;
	struct eg_key k = {};
	unsigned char *head;
	__u8 ip[40], tcp[20];
	__u64 tag, zone;
	__u32 len, doff;

	if ((skb->protocol != bpf_htons(0x0800) && skb->protocol != bpf_htons(0x86dd)) || !skb->dev)
		return 0;
	head = skb->head;
	if (bpf_probe_read_kernel(ip, sizeof(ip), head + skb->network_header))
		return 0;
	if (ip[0] >> 4 == 4) {
		if (ip[9] != EG_PROTO_TCP || (ip[6] & 0x1f) || ip[7])
			return 0;
		eg_put_v4(k.local, *(__u32 *)(ip + 16));
		eg_put_v4(k.remote, *(__u32 *)(ip + 12));
		len = ip[2] << 8 | ip[3];
	} else if (ip[0] >> 4 == 6 && ip[6] == EG_PROTO_TCP) {
		__builtin_memcpy(k.local, ip + 24, 16);
		__builtin_memcpy(k.remote, ip + 8, 16);
		len = 40 + (ip[4] << 8 | ip[5]);
	} else {
		return 0;
	}
	if (bpf_probe_read_kernel(tcp, sizeof(tcp), head + skb->transport_header))
		return 0;
	k.lport = tcp[2] << 8 | tcp[3];
	k.rport = tcp[0] << 8 | tcp[1];
	k.proto = EG_PROTO_TCP;
	zone = skb->dev->nd_net.net->net_cookie;
	tag = eg_tag(&k, zone);
	t = eg_tail_slot(tag);
	if (!t || t->tag != tag)
		return 0;
	doff = (tcp[12] >> 4) * 4;
	r = bpf_ringbuf_reserve(&eg_ring, sizeof(*r), 0);
	if (!r) {
		eg_lose_packet(EG_LOSS_RING_FLOW, len, 0);
		return 0;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->rec.type = EG_REC_TAIL;
	r->rec.time_ns = bpf_ktime_get_ns();
	r->key = k;
	r->zone = zone;
	r->cookie = t->cookie;
	r->n.rx_packets = 1;
	r->n.rx_bytes = len;
	r->rx_tcp = tcp[13];
	if (tcp[13] & EG_FIN) {
		/* answered by a bare ACK, with the time stamp option when the FIN had it (12 bytes) */
		r->n.tx_packets = 1;
		r->n.tx_bytes = (ip[0] >> 4 == 4 ? 20 : 40) + 20 + (doff >= 32 ? 12 : 0);
		r->tx_tcp = EG_ACK;
	}
	if (tcp[13] & (EG_FIN | EG_RST)) {
		r->last = 1;
		t->tag = 0;
	}
	bpf_ringbuf_submit(r, eg_wake());
	return 0;
}
