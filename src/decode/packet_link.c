/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies between the first byte of a frame and its IP header: link layers by LINKTYPE_ number, then whatever an
 * ethertype announces (tags, PPPoE, MPLS, LLC/SNAP). All ends in walk_ipv4() or walk_ipv6().
 */
#include "decode/packet_walk.h"

#define LINK_NULL 0
#define LINK_ETHERNET 1
#define LINK_PPP 9
#define LINK_RAW_BSD 12 /* DLT_RAW of most systems, found in files of careless writers */
#define LINK_RAW_OPENBSD 14
#define LINK_PPP_HDLC 50
#define LINK_PPP_ETHER 51
#define LINK_RAW 101
#define LINK_C_HDLC 104
#define LINK_LOOP 108
#define LINK_LINUX_SLL 113
#define LINK_IPV4 228
#define LINK_IPV6 229
#define LINK_LINUX_SLL2 276

#define MPLS_MAX_LABELS 16
#define MPLS_MAX_PSEUDOWIRES 3

static enum packet_error walk_llc(struct walk *w)
{
	static const uint8_t snap[6] = { 0xaa, 0xaa, 0x03, 0, 0, 0 };
	uint16_t type;

	if (w->n < 8)
		return w->wire < 8 ? PACKET_NOT_IP : PACKET_TRUNCATED;
	if (memcmp(w->p, snap, sizeof(snap)))
		return PACKET_NOT_IP;
	type = be16(w->p + 6);
	if (type <= 1500)
		return PACKET_NOT_IP;
	walk_skip(w, 8);
	return walk_ethertype(w, type);
}

/*
 * The bottom of an MPLS stack does not say what follows. IP is told by its version (RFC 4928); what is no IP may be
 * an Ethernet pseudowire, with a control word (RFC 4448, first half byte 0) or without. An Ethernet address may begin
 * with any of these, so each guess has to hold up to the end of the transport header before it is believed.
 */
static enum packet_error walk_mpls_payload(struct walk *w)
{
	enum packet_error e = PACKET_NOT_IP;
	struct packet before = *w->out;
	struct walk at;
	uint8_t nibble;

	if (!w->n)
		return walk_short(w, 1);
	/* Each level may be tried in two ways: without a bound, two to the power of the levels. */
	if (++w->pseudowires > MPLS_MAX_PSEUDOWIRES)
		return PACKET_TOO_DEEP;
	at = *w;
	nibble = w->p[0] >> 4;
	if (nibble == 4 || nibble == 6) {
		e = walk_ip(&at);
	} else if (nibble == 0 && w->n >= 4) {
		walk_skip(&at, 4);
		e = walk_ethernet(&at);
	}
	if (e == PACKET_OK || e == PACKET_TRUNCATED)
		return e;
	*w->out = before;
	return walk_ethernet(w) == PACKET_OK ? PACKET_OK : PACKET_NOT_IP;
}

static enum packet_error walk_mpls(struct walk *w)
{
	for (unsigned labels = 0; labels < MPLS_MAX_LABELS; labels++) {
		bool bottom;

		if (w->n < 4)
			return walk_short(w, 4);
		bottom = w->p[2] & 1;
		walk_skip(w, 4);
		if (bottom)
			return walk_mpls_payload(w);
	}
	return PACKET_TOO_DEEP;
}

/* From the protocol number on, which is one byte when compressed (RFC 1661 6.5). */
static enum packet_error walk_ppp(struct walk *w)
{
	uint16_t proto;

	if (w->n >= 2 && w->p[0] == 0xff && w->p[1] == 0x03)
		walk_skip(w, 2);
	if (w->n < 2)
		return walk_short(w, 2);
	if (w->p[0] & 1) {
		proto = w->p[0];
		walk_skip(w, 1);
	} else {
		proto = be16(w->p);
		walk_skip(w, 2);
	}
	switch (proto) {
	case 0x0021:
		return walk_ipv4(w);
	case 0x0057:
		return walk_ipv6(w);
	case 0x0281:
	case 0x0283:
		return walk_mpls(w);
	default:
		return PACKET_NOT_IP;
	}
}

static enum packet_error walk_pppoe(struct walk *w)
{
	if (w->n < 6)
		return walk_short(w, 6);
	if (w->p[0] != 0x11)
		return PACKET_MALFORMED;
	if (w->p[1]) /* discovery under the session's ethertype */
		return PACKET_NOT_IP;
	walk_skip(w, 6);
	return walk_ppp(w);
}

enum packet_error walk_ethertype(struct walk *w, uint16_t type)
{
	for (unsigned tags = 0; tags <= PACKET_MAX_DEPTH; tags++) {
		switch (type) {
		case 0x0800:
			return walk_ipv4(w);
		case 0x86dd:
			return walk_ipv6(w);
		case 0x8847:
		case 0x8848:
			return walk_mpls(w);
		case 0x8864:
			return walk_pppoe(w);
		case 0x8100:
		case 0x88a8:
		case 0x9100:
		case 0x9200:
			if (w->n < 4)
				return walk_short(w, 4);
			/* VLAN 0 is only a priority, which one direction may carry alone. */
			if (be16(w->p) & 0x0fff)
				w->out->vlan = be16(w->p) & 0x0fff;
			type = be16(w->p + 2);
			walk_skip(w, 4);
			break;
		default:
			return type <= 1500 ? walk_llc(w) : PACKET_NOT_IP;
		}
	}
	return PACKET_TOO_DEEP;
}

enum packet_error walk_ethernet(struct walk *w)
{
	uint16_t type;

	if (w->n < 14)
		return walk_short(w, 14);
	type = be16(w->p + 12);
	walk_skip(w, 14);
	return walk_ethertype(w, type);
}

/* The address family of whoever captured, in the byte order of their machine; no family needs more than 16 bits. */
static enum packet_error walk_null(struct walk *w)
{
	uint32_t family;

	if (w->n < 4)
		return walk_short(w, 4);
	family = be32(w->p);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	walk_skip(w, 4);
	switch (family) {
	case 2:
		return walk_ipv4(w);
	case 10: /* Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* Darwin */
		return walk_ipv6(w);
	default:
		return PACKET_NOT_IP;
	}
}

/* `type_at`: where the ethertype stands in a header of n bytes. */
static enum packet_error walk_typed(struct walk *w, size_t n, size_t type_at)
{
	uint16_t type;

	if (w->n < n)
		return walk_short(w, n);
	type = be16(w->p + type_at);
	walk_skip(w, n);
	if (type <= 1500) /* Linux has pseudo types here (802.3 frames, CAN …) */
		return type == 4 ? walk_llc(w) : PACKET_NOT_IP;
	return walk_ethertype(w, type);
}

enum packet_error walk_link(struct walk *w, uint16_t link)
{
	switch (link) {
	case LINK_ETHERNET:
		return walk_ethernet(w);
	case LINK_RAW:
	case LINK_RAW_BSD:
	case LINK_RAW_OPENBSD:
		return walk_ip(w);
	case LINK_IPV4:
		return walk_ipv4(w);
	case LINK_IPV6:
		return walk_ipv6(w);
	case LINK_LINUX_SLL:
		return walk_typed(w, 16, 14);
	case LINK_LINUX_SLL2:
		return walk_typed(w, 20, 0);
	case LINK_C_HDLC:
		return walk_typed(w, 4, 2);
	case LINK_NULL:
	case LINK_LOOP:
		return walk_null(w);
	case LINK_PPP:
	case LINK_PPP_HDLC:
		return walk_ppp(w);
	case LINK_PPP_ETHER:
		return walk_pppoe(w);
	default:
		return PACKET_LINK_UNKNOWN;
	}
}

bool packet_link_known(uint16_t link)
{
	struct packet nothing;
	struct walk w = { .p = (const uint8_t *)"", .out = &nothing };

	return walk_link(&w, link) != PACKET_LINK_UNKNOWN;
}
