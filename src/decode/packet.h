/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the first byte of a captured frame to the transport payload. Walks link layers (Ethernet, 802.1Q/ad, PPPoE,
 * MPLS, Linux cooked, null/loopback, raw IP, PPP), IPv4/IPv6 with extension headers, and through GRE, VXLAN, Geneve,
 * IP-in-IP, 6in4, Teredo-free UDP tunnels to the innermost packet, whose 5-tuple names the flow. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

enum packet_error {
	PACKET_OK = 0,
	PACKET_NOT_IP,    /* ARP, LLDP, STP …: counted, no flow */
	PACKET_TRUNCATED, /* the snaplen cut a header */
	PACKET_MALFORMED, /* lengths or versions that cannot be */
	PACKET_LINK_UNKNOWN,
	PACKET_TOO_DEEP, /* more than PACKET_MAX_DEPTH tags, labels or IPv6 extension headers */
	PACKET_ERROR_COUNT
};

#define PACKET_MAX_DEPTH 8

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

struct packet {
	struct addr src, dst;
	uint16_t sport,
		dport; /* host order; ICMP: type and the type that answers it (community ID), else code */
	uint8_t proto; /* IPPROTO_*, of the innermost IP packet */
	uint8_t tcp_flags;
	bool v6;
	uint32_t seq, ack;
	uint32_t ip_bytes; /* length of the innermost IP packet by its header */
	uint32_t
		payload_bytes; /* of TCP, UDP, ICMP by the headers; may exceed payload.n (snaplen) */
	struct str payload; /* transport payload as captured; ICMP: the message with its header */
	uint16_t vlan;      /* innermost tag, 0 none */
	uint8_t tunnel_depth;
	uint32_t tunnel_id; /* VXLAN or Geneve VNI, GRE key; 0 none */
	bool tunnel_id_shared; /* both directions carry this id: true of a VNI, not of a GRE key (RFC 2890) */
	/* Fragments: `payload` is then the fragment's data after the IP headers, ports are unset. */
	bool fragment, more_fragments;
	uint8_t frag_proto;   /* what follows once reassembled */
	uint16_t frag_offset; /* bytes */
	uint32_t frag_id;
};

/*
 * `wire` is the frame's length before the snaplen. `link` is a LINKTYPE_ number (tcpdump.org/linktypes). *ret is only
 * whole with PACKET_OK. A tunnel whose inside cannot be read, holds no IP or lies deeper than PACKET_MAX_DEPTH tunnels
 * is the flow itself, so that its bytes count somewhere; so is a header cut behind its ports.
 */
enum packet_error packet_parse(uint16_t link, struct str frame, uint32_t wire, struct packet *ret);

/*
 * A reassembled IP payload: fills ports, flags and payload of *p from its transport header, or all of *p when that
 * is a tunnel. On entry p->payload_bytes is the length of the IP payload as sent; `bytes` may be shorter.
 */
enum packet_error packet_parse_transport(struct packet *p, uint8_t proto, struct str bytes);
const char *
packet_error_name(enum packet_error e); /* "not-ip", "truncated", … as counted in stats */
bool packet_link_known(uint16_t link);
