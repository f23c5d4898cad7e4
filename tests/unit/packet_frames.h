/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of test_packet.c, one function an encapsulation. They are built from the inside out: each step puts a
 * header in front of what is there.
 */
#pragma once
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "decode/packet.h"

struct frame {
	uint8_t room[4096];
	size_t at; /* the frame is room[at..] */
};

#define V4_A 10, 0, 0, 1
#define V4_B 192, 0, 2, 7
#define V6_A 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
#define V6_B 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
#define OUTER_A 172, 16, 0, 1
#define OUTER_B 172, 16, 0, 2
#define FRONT(f, ...) front(f, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))
#define HI(n) (uint8_t)((n) >> 8), (uint8_t)(n)

static void front(struct frame *f, const uint8_t *p, size_t n)
{
	f->at -= n;
	memcpy(f->room + f->at, p, n);
}

static size_t length(const struct frame *f)
{
	return sizeof(f->room) - f->at;
}

static struct str bytes(const struct frame *f)
{
	return (struct str){ (const char *)f->room + f->at, length(f) };
}

static void start(struct frame *f, size_t payload)
{
	memset(f->room, 'x', sizeof(f->room));
	f->at = sizeof(f->room) - payload;
}

static void tcp(struct frame *f)
{
	FRONT(f, HI(40000), HI(443), 1, 2, 3, 4, 5, 6, 7, 8, 0x60, 0x18, 0, 0, 0, 0, 0, 0, 1, 1, 1,
	      1);
}

static void udp_ports(struct frame *f, uint16_t sport, uint16_t dport)
{
	size_t n = length(f) + 8;

	FRONT(f, HI(sport), HI(dport), HI(n), 0, 0);
}

static void udp(struct frame *f)
{
	udp_ports(f, 5000, 53);
}

static void ip4(struct frame *f, uint8_t proto)
{
	size_t n = length(f) + 20;

	FRONT(f, 0x45, 0, HI(n), 0, 1, 0x40, 0, 64, proto, 0, 0, V4_A, V4_B);
}

static void outer4(struct frame *f, uint8_t proto)
{
	size_t n = length(f) + 24;

	FRONT(f, 0x46, 0, HI(n), 0, 1, 0x40, 0, 64, proto, 0, 0, OUTER_A, OUTER_B, 1, 1, 1, 0);
}

static void ip6(struct frame *f, uint8_t next)
{
	size_t n = length(f);

	FRONT(f, 0x60, 0, 0, 0, HI(n), next, 64, V6_A, V6_B);
}

static void eth(struct frame *f, uint16_t type)
{
	FRONT(f, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, HI(type));
}

static void v4_tcp(struct frame *f)
{
	tcp(f);
	ip4(f, IPPROTO_TCP);
}

static void v6_udp(struct frame *f)
{
	udp(f);
	ip6(f, IPPROTO_UDP);
}

static void b_ethernet(struct frame *f)
{
	v4_tcp(f);
	eth(f, 0x0800);
}

static void b_ethernet6(struct frame *f)
{
	v6_udp(f);
	eth(f, 0x86dd);
}

static void b_vlan(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0x60, 100, HI(0x0800));
	eth(f, 0x8100);
}

static void b_qinq(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0, 100, HI(0x0800));
	FRONT(f, 0, 200, HI(0x8100));
	eth(f, 0x88a8);
}

static void b_priority_tag(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0xe0, 0, HI(0x0800));
	eth(f, 0x8100);
}

static void b_snap(struct frame *f)
{
	size_t n;

	v4_tcp(f);
	FRONT(f, 0xaa, 0xaa, 3, 0, 0, 0, HI(0x0800));
	n = length(f);
	eth(f, (uint16_t)n);
}

static void b_pppoe(struct frame *f)
{
	size_t n;

	v4_tcp(f);
	FRONT(f, 0, 0x21);
	n = length(f);
	FRONT(f, 0x11, 0, 0, 9, HI(n));
	eth(f, 0x8864);
}

static void b_pppoe6(struct frame *f)
{
	v6_udp(f);
	FRONT(f, 0x11, 0, 0, 9, 0, 99, 0, 0x57);
	eth(f, 0x8864);
}

static void b_mpls(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0, 1, 0x00, 64, 0, 2, 0x01, 64);
	eth(f, 0x8847);
}

static void b_mpls6(struct frame *f)
{
	v6_udp(f);
	FRONT(f, 0, 2, 0x01, 64);
	eth(f, 0x8847);
}

static void b_pseudowire(struct frame *f)
{
	b_ethernet(f);
	FRONT(f, 0, 0, 0, 0);
	FRONT(f, 0, 2, 0x01, 64);
	eth(f, 0x8847);
}

/* The inner destination address begins with half byte 0: a control word is tried first and must not be believed. */
static void b_pseudowire_bare(struct frame *f)
{
	b_ethernet(f);
	FRONT(f, 0, 2, 0x01, 64);
	eth(f, 0x8848);
}

static void b_pseudowire_four(struct frame *f)
{
	b_ethernet(f);
	f->room[f->at] = 0x44;
	FRONT(f, 0, 2, 0x01, 64);
	eth(f, 0x8847);
}

static void b_sll(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, HI(0x0800));
}

static void b_sll_vlan(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0, 100, HI(0x0800));
	FRONT(f, 0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, HI(0x8100));
}

static void b_sll2(struct frame *f)
{
	v6_udp(f);
	FRONT(f, HI(0x86dd), 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0);
}

static void b_null_little(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 2, 0, 0, 0);
}

static void b_null_big(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0, 0, 0, 2);
}

static void b_null6_darwin(struct frame *f)
{
	v6_udp(f);
	FRONT(f, 30, 0, 0, 0);
}

static void b_null6_big(struct frame *f)
{
	v6_udp(f);
	FRONT(f, 0, 0, 0, 24);
}

static void b_ppp(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0xff, 3, 0, 0x21);
}

static void b_ppp_compressed(struct frame *f)
{
	v6_udp(f);
	FRONT(f, 0x57);
}

static void b_c_hdlc(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0x0f, 0, HI(0x0800));
}

static void b_gre(struct frame *f)
{
	v4_tcp(f);
	FRONT(f, 0, 0, HI(0x0800));
	outer4(f, IPPROTO_GRE);
	eth(f, 0x0800);
}

static void b_gre_all(struct frame *f)
{
	b_ethernet(f);
	FRONT(f, 0xb0, 0, HI(0x6558), 9, 9, 0, 0, 0, 0, 0, 77, 0, 0, 0, 5);
	outer4(f, IPPROTO_GRE);
	eth(f, 0x0800);
}

static void b_erspan(struct frame *f)
{
	b_ethernet(f);
	FRONT(f, 0x10, 0, HI(0x88be), 0, 0, 0, 5, 0x10, 1, 0, 1, 0, 0, 0, 0);
	outer4(f, IPPROTO_GRE);
	eth(f, 0x0800);
}

static void b_vxlan(struct frame *f)
{
	b_ethernet(f);
	FRONT(f, 8, 0, 0, 0, 0, 1, 0, 0);
	udp_ports(f, 3333, 4789);
	outer4(f, IPPROTO_UDP);
	FRONT(f, 0, 55, HI(0x0800));
	eth(f, 0x8100);
}

static void b_vxlan_linux(struct frame *f)
{
	b_ethernet6(f);
	FRONT(f, 8, 0, 0, 0, 0, 0, 42, 0);
	udp_ports(f, 3333, 8472);
	outer4(f, IPPROTO_UDP);
	eth(f, 0x0800);
}

static void b_geneve(struct frame *f)
{
	b_ethernet(f);
	FRONT(f, 1, 0, HI(0x6558), 0, 0, 7, 0, 1, 2, 3, 0);
	udp_ports(f, 3333, 6081);
	ip6(f, IPPROTO_UDP);
	eth(f, 0x86dd);
}

static void b_ipip(struct frame *f)
{
	v4_tcp(f);
	outer4(f, IPPROTO_IPIP);
	eth(f, 0x0800);
}

static void b_6in4(struct frame *f)
{
	v6_udp(f);
	outer4(f, IPPROTO_IPV6);
	eth(f, 0x0800);
}

static void b_4in6(struct frame *f)
{
	v4_tcp(f);
	ip6(f, IPPROTO_IPIP);
	eth(f, 0x86dd);
}

static void b_etherip(struct frame *f)
{
	b_ethernet(f);
	FRONT(f, 0x30, 0);
	outer4(f, 97);
	eth(f, 0x0800);
}

static void b_gre_in_vxlan(struct frame *f)
{
	b_gre(f);
	FRONT(f, 8, 0, 0, 0, 0, 0, 42, 0);
	udp_ports(f, 3333, 4789);
	outer4(f, IPPROTO_UDP);
}

static void b_extensions(struct frame *f)
{
	udp(f);
	FRONT(f, IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0);                 /* destination options */
	FRONT(f, IPPROTO_DSTOPTS, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1); /* AH, 12 bytes */
	FRONT(f, IPPROTO_AH, 0, 0, 0, 0, 0, 0, 9);                  /* fragment of one */
	FRONT(f, IPPROTO_FRAGMENT, 0, 4, 0, 0, 0, 0, 0);            /* routing */
	FRONT(f, IPPROTO_ROUTING, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* hop-by-hop */
	ip6(f, IPPROTO_HOPOPTS);
	eth(f, 0x86dd);
}

static void b_ah4(struct frame *f)
{
	tcp(f);
	FRONT(f, IPPROTO_TCP, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
	ip4(f, IPPROTO_AH);
	eth(f, 0x0800);
}

static void b_sctp(struct frame *f)
{
	FRONT(f, HI(1000), HI(2905), 0, 0, 0, 1, 0, 0, 0, 0);
	ip4(f, IPPROTO_SCTP);
	eth(f, 0x0800);
}

static void b_udplite(struct frame *f)
{
	FRONT(f, HI(5000), HI(53), 0, 8, 0, 0);
	ip4(f, IPPROTO_UDPLITE);
	eth(f, 0x0800);
}

static void b_echo(struct frame *f)
{
	FRONT(f, 8, 0, 0, 0, 0, 1, 0, 1);
	ip4(f, IPPROTO_ICMP);
	eth(f, 0x0800);
}

static void b_echo_reply(struct frame *f)
{
	FRONT(f, 0, 0, 0, 0, 0, 1, 0, 1);
	ip4(f, IPPROTO_ICMP);
	eth(f, 0x0800);
}

static void b_unreachable(struct frame *f)
{
	FRONT(f, 3, 4, 0, 0, 0, 1, 0, 1);
	ip4(f, IPPROTO_ICMP);
	eth(f, 0x0800);
}

static void b_neighbour(struct frame *f)
{
	FRONT(f, 136, 0, 0, 0, 0, 0, 0, 0);
	ip6(f, IPPROTO_ICMPV6);
	eth(f, 0x86dd);
}

static void b_esp(struct frame *f)
{
	ip4(f, IPPROTO_ESP);
	eth(f, 0x0800);
}

static void b_raw4(struct frame *f)
{
	v4_tcp(f);
}

static void b_raw6(struct frame *f)
{
	v6_udp(f);
}
