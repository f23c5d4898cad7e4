/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First bytes of a flow, copied to user space, which finds names and protocols in them. TCP by offset from the SYN:
 *
 *     0            next                       end
 *     |--handed on--|.......still wanted.......|   not wanted
 *
 * A retransmit is handed on again, a hole keeps the window open until it is filled. The window of the opener's side
 * shrinks to the ClientHello when the first byte says TLS, the responder's to its hello and, where TLS still shows
 * one, its certificate. DNS has no end.
 *
 * Functions here that are not static are so for the verifier: it looks at them once, on their own, and not again from
 * each place and state that they are called in.
 */
#pragma once

#include "flow.h"
#include "wire.h"

#define EG_NO_END 0xffffffffU

struct eg_chunk {
	const struct eg_key *key;
	__u64 zone, cookie;
	__u32 flags;
	__u32 seq, ack, isn;
	__u32 at, len, total;
	__u8 what, tcp_flags;
};

/* The size of a record must be a constant: four classes keep what is wasted small. */
#define EG_CHUNK_RECORD(size)                                              \
	do {                                                               \
		d = bpf_ringbuf_reserve(&eg_ring, sizeof(*d) + (size), 0); \
		if (!d)                                                    \
			goto lost;                                         \
		if (len > (size))                                          \
			len = (size);                                      \
		if (len && bpf_skb_load_bytes(skb, c->at, d + 1, len))     \
			len = 0;                                           \
	} while (0)

static __noinline void eg_send_chunk(struct __sk_buff *skb, struct eg_chunk *c)
{
	__u32 len;
	struct eg_data *d;

	if (!c)
		return;
	len = c->len;
	if (len <= 128)
		EG_CHUNK_RECORD(128);
	else if (len <= 640)
		EG_CHUNK_RECORD(640);
	else if (len <= 2048)
		EG_CHUNK_RECORD(2048);
	else
		EG_CHUNK_RECORD(EG_CHUNK_MAX);
	d->rec.type = EG_REC_DATA;
	d->rec.flags = c->flags;
	d->rec.time_ns = bpf_ktime_get_ns();
	d->key = *c->key;
	d->zone = c->zone;
	d->cookie = c->cookie;
	d->seq = c->seq;
	d->ack = c->ack;
	d->isn = c->isn;
	d->payload_bytes = c->total;
	d->len = len;
	d->what = c->what;
	d->tcp_flags = c->tcp_flags;
	d->pad[0] = d->pad[1] = 0;
	bpf_ringbuf_submit(d, eg_wake());
	return;
lost:
	eg_lose(c->what & EG_DATA_IS_DNS ? EG_LOSS_RING_DNS : EG_LOSS_RING_PAYLOAD, NULL);
}

static __always_inline int eg_http_begins(const __u8 b[8])
{
	__u32 w;

	__builtin_memcpy(&w, b, 4);
	return w == bpf_htonl(0x47455420) /* "GET " */ || w == bpf_htonl(0x504f5354) /* POST */ ||
	       w == bpf_htonl(0x50555420) /* "PUT " */ || w == bpf_htonl(0x48454144) /* HEAD */ ||
	       w == bpf_htonl(0x44454c45) /* DELE */ || w == bpf_htonl(0x4f505449) /* OPTI */ ||
	       w == bpf_htonl(0x50415443) /* PATC */ || w == bpf_htonl(0x434f4e4e) /* CONN */ ||
	       w == bpf_htonl(0x54524143) /* TRAC */ || w == bpf_htonl(0x48545450) /* HTTP */;
}

/* Where a TLS opener's first flight ends: its ClientHello, with the headers of all records it is cut into. */
static __always_inline __u32 eg_tls_end(const __u8 b[12])
{
	__u32 record = b[3] << 8 | b[4], hello = ((__u32)b[6] << 16 | b[7] << 8 | b[8]) + 4;

	if (b[5] != 1 || !record || hello > EG_OPENER_WINDOW)
		return EG_OPENER_WINDOW;
	return hello + 5 * ((hello + record - 1) / record);
}

/* Bytes up to the end of the first certificate: its message begins at `at`, in a record with `rest` bytes from there. */
static __always_inline __u32 eg_certificate_end(const __u8 m[10], __u32 at, __u32 rest)
{
	__u32 n = 10 + ((__u32)m[7] << 16 | m[8] << 8 | m[9]);

	if (n > EG_TLS_RESPONDER_WINDOW)
		return EG_TLS_RESPONDER_WINDOW;
	return at + n + (n > rest ? 5 * (n / rest + 1) : 0);
}

/*
 * How much of a TLS responder's bytes is wanted. Behind the hello lies the certificate, in the same record or the next;
 * where TLS 1.3 or a resumed session goes on in secret, nothing more than that is to be seen.
 */
static __always_inline __u32 eg_tls_answer_end(struct __sk_buff *skb, const struct eg_packet *p)
{
	__u8 b[16] = {}, m[16] = {};
	__u32 record, hello, at, random;

	if (p->payload_len < 16 || bpf_skb_load_bytes(skb, p->payload_at, b, 16) || b[5] != 2)
		return EG_RESPONDER_WINDOW;
	record = b[3] << 8 | b[4];
	hello = ((__u32)b[6] << 16 | b[7] << 8 | b[8]) + 4;
	__builtin_memcpy(&random, b + 11, 4);
	if (random == bpf_htonl(0xcf21ad74)) /* HelloRetryRequest: the hello is still to come */
		return EG_RESPONDER_WINDOW;
	at = 5 + hello;
	if (hello > record || p->payload_len < at + 15 ||
	    bpf_skb_load_bytes(skb, p->payload_at + at, m, 15))
		return EG_TLS_RESPONDER_WINDOW;
	if (hello < record && m[0] == 11)
		at = eg_certificate_end(m, at, record - hello);
	else if (hello == record && m[0] == 22 && m[5] == 11)
		at = eg_certificate_end(m + 5, at + 5, (m[3] << 8 | m[4]) ?: 1);
	else if (hello == record && (m[0] == 20 || m[0] == 23))
		at += 5;
	else
		return EG_RESPONDER_WINDOW;
	return at < EG_TLS_RESPONDER_WINDOW ? at : EG_TLS_RESPONDER_WINDOW;
}

/* Looks at a direction's first bytes: what is this, and how much of it is wanted? */
static __always_inline void eg_look(struct __sk_buff *skb, struct eg_sock *s,
				    const struct eg_packet *p, struct eg_window *w, int opener)
{
	__u8 b[12] = {};

	if (p->payload_len < 12 || bpf_skb_load_bytes(skb, p->payload_at, b, 12))
		return;
	if (b[0] == 0x16 && b[1] == 3)
		w->end = opener ? eg_tls_end(b) : eg_tls_answer_end(skb, p);
	else if (eg_http_begins(b))
		__sync_fetch_and_or(&s->hot.flags, EG_HTTP);
}

/* One TCP packet with payload, while its direction's window is open. */
__noinline int eg_capture_tcp(struct __sk_buff *skb, struct eg_sock *s, struct eg_packet *p,
			      __u64 cookie, int tx)
{
	struct eg_window *w;
	struct eg_chunk c = {};
	__u32 off, left, i, open, begun;

	if (!s || !p)
		return 0;
	w = tx ? &s->tx : &s->rx;
	open = tx ? EG_TX_OPEN : EG_RX_OPEN;
	begun = tx ? EG_TX_BEGUN : EG_RX_BEGUN;
	off = p->seq - w->isn - 1 + ((p->tcp_flags & EG_SYN) ? 1 : 0);
	if (off > 0x7fffffff) /* a keep-alive probe sends the byte before the next */
		return 0;
	if (off == 0 && !(s->hot.flags & begun))
		eg_look(skb, s, p, w, !!tx == !(s->hot.flags & EG_INBOUND));
	if (off >= w->end)
		return 0;
	c.key = &s->key;
	c.zone = s->zone;
	c.cookie = cookie;
	c.flags = s->hot.flags;
	c.ack = p->ack;
	c.isn = w->isn;
	c.tcp_flags = p->tcp_flags;
	c.what = (tx ? EG_DATA_TX : 0) | (s->hot.flags & EG_DNS ? EG_DATA_IS_DNS : 0) |
		 (s->hot.flags & begun ? 0 : EG_DATA_FIRST);
	__sync_fetch_and_or(&s->hot.flags, begun);
	left = p->payload_len;
	if (left > w->end - off)
		left = w->end - off;
	for (i = 0; i < 16 && left; i++) {
		c.at = p->payload_at + i * EG_CHUNK_MAX;
		c.seq = w->isn + 1 + off + i * EG_CHUNK_MAX;
		c.len = left < EG_CHUNK_MAX ? left : EG_CHUNK_MAX;
		c.total = c.len;
		eg_send_chunk(skb, &c);
		c.what &= ~EG_DATA_FIRST;
		left -= c.len;
	}
	if (off <= w->next && off + p->payload_len > w->next)
		w->next = off + p->payload_len;
	if (w->next >= w->end)
		__sync_fetch_and_and(&s->hot.flags, ~open);
	return 0;
}

/* After the windows: heads of further requests and answers of a connection that spoke HTTP. */
__noinline int eg_capture_http(struct __sk_buff *skb, struct eg_sock *s, struct eg_packet *p,
			       __u64 cookie, int tx)
{
	struct eg_chunk c = {};
	__u8 b[8];

	if (!s || !p || p->payload_len < 16 || bpf_skb_load_bytes(skb, p->payload_at, b, 8) ||
	    !eg_http_begins(b))
		return 0;
	c.key = &s->key;
	c.zone = s->zone;
	c.cookie = cookie;
	c.flags = s->hot.flags;
	c.seq = p->seq;
	c.ack = p->ack;
	c.isn = tx ? s->tx.isn : s->rx.isn;
	c.at = p->payload_at;
	c.len = p->payload_len < EG_HTTP_BYTES_MAX ? p->payload_len : EG_HTTP_BYTES_MAX;
	c.total = p->payload_len;
	c.what = tx ? EG_DATA_TX : 0;
	c.tcp_flags = p->tcp_flags;
	eg_send_chunk(skb, &c);
	return 0;
}

/* Echo requests and their replies: what a ping carries may be a tunnel's. */
static __always_inline int eg_is_echo(const struct eg_key *k)
{
	if (k->proto == EG_PROTO_ICMP)
		return (k->lport == 8 && !k->rport) || (!k->lport && k->rport == 8);
	return k->proto == EG_PROTO_ICMPV6 &&
	       ((k->lport == 128 && k->rport == 129) || (k->lport == 129 && k->rport == 128));
}

/* Datagrams of these flows are handed on, the first of them. */
static __always_inline int eg_wants_dgrams(const struct eg_key *k)
{
	return k->proto == EG_PROTO_UDP || eg_is_echo(k);
}

#define EG_DGRAM_MORE 1 /* further datagrams are wanted */
#define EG_DGRAM_QUIC 2 /* this one has a long header */

/* One datagram; `seen` counts those of its direction. */
static __always_inline int eg_capture_dgram(struct __sk_buff *skb, struct eg_packet *p,
					    struct eg_chunk *c, __u32 seen)
{
	__u32 max = EG_UDP_BYTES_MAX, opener;
	int ret = EG_DGRAM_MORE;
	__u8 first = 0;

	c->at = p->payload_at;
	c->total = p->payload_len;
	if (c->what & EG_DATA_IS_DNS) {
		max = EG_CHUNK_MAX;
	} else if (c->key->proto != EG_PROTO_UDP) {
		max = EG_ECHO_BYTES_MAX;
		if (seen + 1 >= EG_ECHO_MAX)
			ret = 0;
	} else {
		opener = !!(c->what & EG_DATA_TX) == !(c->flags & EG_INBOUND);
		if (seen + 1 >= (opener ? EG_UDP_OPENER_MAX : EG_UDP_RESPONDER_MAX))
			ret = 0;
		if (p->payload_len)
			bpf_skb_load_bytes(skb, p->payload_at, &first, 1);
		/* a short header: QUIC's handshake is behind us */
		if ((c->flags & EG_QUIC) && (first & 0xc0) == 0x40)
			return 0;
		if ((first & 0xc0) == 0xc0)
			ret |= EG_DGRAM_QUIC;
	}
	c->len = p->payload_len < max ? p->payload_len : max;
	if (!seen)
		c->what |= EG_DATA_FIRST;
	eg_send_chunk(skb, c);
	return ret;
}
