/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From an IP packet to its addresses, ports and payload. Pure: the includer defines EG_LOAD(ctx, offset, to, len),
 * which copies bytes of the packet and returns 0, so that the host compiler builds it for tests as well.
 */
#pragma once

#include <linux/types.h>

#define EG_PROTO_ICMP 1
#define EG_PROTO_TCP 6
#define EG_PROTO_UDP 17
#define EG_PROTO_ICMPV6 58
#define EG_PROTO_SCTP 132
#define EG_PROTO_UDPLITE 136

#define EG_FIN 0x01
#define EG_SYN 0x02
#define EG_RST 0x04
#define EG_ACK 0x10

struct eg_packet {
	__u8 src[16], dst[16];
	__u16 sport, dport; /* host order; ICMP: type and the type that answers it, or the code */
	__u8 proto;
	__u8 v6 : 1, no_ports : 1; /* no_ports: a later fragment */
	__u8 tcp_flags;
	__u8 tcp_len; /* of the TCP header */
	__u32 seq, ack;
	__u32 payload_at;  /* offset of the transport payload */
	__u32 payload_len; /* by the length of the packet */
	__u32 ip_header;   /* bytes before the transport header */
};

/* The ICMP type that answers `type` (community ID 1.0), or -1 when it is a message of one way. */
static __always_inline int eg_icmp_answer(int v6, __u8 type)
{
	if (v6) {
		switch (type) {
		case 128: /* echo */
		case 133: /* router, neighbour solicitation, who are you, home agent discovery */
		case 135:
		case 139:
		case 144:
			return type + 1;
		case 130:
			return 131;
		case 129:
		case 131:
		case 134:
		case 136:
		case 140:
		case 145:
			return type - 1;
		}
		return -1;
	}
	switch (type) {
	case 0:
		return 8;
	case 8:
		return 0;
	case 9:
		return 10;
	case 10:
		return 9;
	case 13:
	case 15:
	case 17:
		return type + 1;
	case 14:
	case 16:
	case 18:
		return type - 1;
	}
	return -1;
}

static __always_inline int eg_load_transport(void *ctx, __u32 base, __u32 len, struct eg_packet *p)
{
	__u8 b[16];
	int answer;

	p->payload_at = p->ip_header;
	p->payload_len = len - p->ip_header;
	switch (p->proto) {
	case EG_PROTO_TCP:
		if (EG_LOAD(ctx, base + p->ip_header, b, 16))
			return -1;
		p->seq = (__u32)b[4] << 24 | b[5] << 16 | b[6] << 8 | b[7];
		p->ack = (__u32)b[8] << 24 | b[9] << 16 | b[10] << 8 | b[11];
		p->tcp_len = (b[12] >> 4) * 4;
		p->tcp_flags = b[13];
		p->payload_at += p->tcp_len;
		break;
	case EG_PROTO_UDP:
	case EG_PROTO_UDPLITE:
		if (EG_LOAD(ctx, base + p->ip_header, b, 8))
			return -1;
		p->payload_at += 8;
		break;
	case EG_PROTO_SCTP:
		if (EG_LOAD(ctx, base + p->ip_header, b, 4))
			return -1;
		break;
	case EG_PROTO_ICMP:
	case EG_PROTO_ICMPV6:
		if (EG_LOAD(ctx, base + p->ip_header, b, 2))
			return -1;
		answer = eg_icmp_answer(p->v6, b[0]);
		p->sport = b[0];
		p->dport = answer < 0 ? b[1] : answer;
		return 0;
	default:
		return 0;
	}
	p->sport = b[0] << 8 | b[1];
	p->dport = b[2] << 8 | b[3];
	if (p->payload_at > len)
		p->payload_at = len;
	p->payload_len = len - p->payload_at;
	return 0;
}

/*
 * An IP packet of `len` bytes that begins at `base`; all that is told counts from there. 0, or -1 for what is no IP packet. Later
 * fragments have no ports.
 */
static __always_inline int eg_parse(void *ctx, __u32 base, __u32 len, struct eg_packet *p)
{
	__u8 h[40];
	__u8 next;
	int i;

	__builtin_memset(p, 0, sizeof(*p));
	if (EG_LOAD(ctx, base, h, 20))
		return -1;
	if (h[0] >> 4 == 4) {
		p->src[10] = p->src[11] = p->dst[10] = p->dst[11] = 0xff;
		__builtin_memcpy(p->src + 12, h + 12, 4);
		__builtin_memcpy(p->dst + 12, h + 16, 4);
		p->proto = h[9];
		p->ip_header = (h[0] & 15) * 4;
		if (p->ip_header < 20 || p->ip_header > len)
			return -1;
		p->no_ports = (h[6] & 0x1f) || h[7];
		if (p->no_ports)
			return 0;
		return eg_load_transport(ctx, base, len, p);
	}
	if (h[0] >> 4 != 6 || EG_LOAD(ctx, base, h, 40))
		return -1;
	p->v6 = 1;
	__builtin_memcpy(p->src, h + 8, 16);
	__builtin_memcpy(p->dst, h + 24, 16);
	next = h[6];
	p->ip_header = 40;
	for (i = 0; i < 6; i++) {
		__u8 e[8];

		/* hop-by-hop, routing, fragment, authentication, destination options, mobility */
		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60 &&
		    next != 135)
			break;
		if (EG_LOAD(ctx, base + p->ip_header, e, 8))
			return -1;
		if (next == 44 && (e[2] || e[3] & 0xf8)) {
			p->proto = e[0];
			p->no_ports = 1;
			return 0;
		}
		p->ip_header += next == 44 ? 8 : next == 51 ? (e[1] + 2) * 4 : (e[1] + 1) * 8;
		next = e[0];
		if (p->ip_header > len)
			return -1;
	}
	if (next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135)
		return -1; /* more of them than are read */
	p->proto = next;
	return eg_load_transport(ctx, base, len, p);
}
