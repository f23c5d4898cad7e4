/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP and what it carries; see packet_link.c for the way down to IP. A tunnel is entered on trial: the outer packet is
 * kept and comes back when the inside turns out not to be readable. Invariant of every step: w->n bytes may be read
 * at w->p, and w->n <= w->wire.
 */
#include "decode/packet_walk.h"

#include <netinet/in.h>

#define IPPROTO_IPV4_IN_IP 4
#define IPPROTO_ETHERIP 97

#define PORT_GENEVE 6081
#define PORT_VXLAN 4789
#define PORT_VXLAN_LINUX 8472

#define ICMP_NO_PAIR 0xffff

/*
 * The walk is at the inside of a tunnel. True: *w->out is the inner packet; false: it is untouched. A depth that no
 * honest network has ends in false too: the tunnel itself is then the flow.
 */
static bool walk_tunnel(struct walk *w, uint16_t ethertype)
{
	struct packet outer = *w->out;
	enum packet_error e;

	if (w->tunnels >= PACKET_MAX_DEPTH)
		return false;
	w->tunnels++;
	*w->out = (struct packet){
		.tunnel_depth = outer.tunnel_depth + 1,
		.tunnel_id = outer.tunnel_id,
		.tunnel_id_shared = outer.tunnel_id_shared,
	};
	e = ethertype == 0x6558 ? walk_ethernet(w) : walk_ethertype(w, ethertype);
	if (e == PACKET_OK)
		return true;
	*w->out = outer;
	return false;
}

/* Like walk_tunnel(), n bytes further on and under an id of its own. */
static bool walk_tunnel_id(struct walk w, size_t n, uint16_t ethertype, uint32_t id, bool shared)
{
	struct packet *out = w.out;
	uint32_t id_before = out->tunnel_id;
	bool shared_before = out->tunnel_id_shared;

	if (w.n < n)
		return false;
	walk_skip(&w, n);
	if (id) {
		out->tunnel_id = id;
		out->tunnel_id_shared = shared;
	}
	if (walk_tunnel(&w, ethertype))
		return true;
	out->tunnel_id = id_before;
	out->tunnel_id_shared = shared_before;
	return false;
}

/* RFC 2784, 2890. Version 1 (PPTP) and source routes are left as the flow they are. */
static void walk_gre(const struct walk *w)
{
	uint16_t flags, type;
	uint32_t key = 0;
	size_t n = 4;

	if (w->n < 4)
		return;
	flags = be16(w->p);
	type = be16(w->p + 2);
	if (flags & 0x4007)
		return;
	n += flags & 0x8000 ? 4 : 0;
	if (flags & 0x2000) {
		if (w->n < n + 4)
			return;
		key = be32(w->p + n);
		n += 4;
	}
	n += flags & 0x1000 ? 4 : 0;
	if (type ==
	    0x88be) { /* ERSPAN: type II has a sequence number and a header, type I neither */
		n += flags & 0x1000 ? 8 : 0;
		type = 0x6558;
	}
	walk_tunnel_id(*w, n, type, key, false);
}

static void walk_udp_tunnel(const struct walk *w, uint16_t port)
{
	if (w->n < 8)
		return;
	if (port == PORT_GENEVE) { /* RFC 8926; control messages (bit O) are of the tunnel itself */
		if (!(w->p[0] & 0xc0) && !(w->p[1] & 0x80))
			walk_tunnel_id(*w, 8 + (w->p[0] & 0x3f) * 4u, be16(w->p + 2),
				       be32(w->p + 4) >> 8, true);
	} else if (w->p[0] & 0x08 && !w->p[7]) { /* RFC 7348 */
		walk_tunnel_id(*w, 8, 0x6558, be32(w->p + 4) >> 8, true);
	}
}

static void take_payload(const struct walk *w, size_t header, size_t length)
{
	struct packet *k = w->out;

	k->payload_bytes = (uint32_t)(length > header ? length - header : 0);
	if (w->n > header) {
		size_t n = w->n - header;

		k->payload.p = (const char *)w->p + header;
		k->payload.n = n < k->payload_bytes ? n : k->payload_bytes;
	}
}

static enum packet_error walk_tcp(struct walk *w)
{
	struct packet *k = w->out;
	const uint8_t *p = w->p;
	size_t header;

	if (w->n < 4)
		return walk_short(w, 4);
	k->sport = be16(p);
	k->dport = be16(p + 2);
	if (w->n < 14) {
		/* No flags: at least how much was sent, if there were no options. */
		k->payload_bytes = (uint32_t)(w->wire > 20 ? w->wire - 20 : 0);
		if (w->n >= 8)
			k->seq = be32(p + 4);
		return PACKET_OK;
	}
	k->seq = be32(p + 4);
	k->ack = be32(p + 8);
	k->tcp_flags = p[13];
	header = (p[12] >> 4) * 4u;
	if (header >= 20)
		take_payload(w, header, w->wire);
	return PACKET_OK;
}

static enum packet_error walk_udp(struct walk *w, bool lite)
{
	struct packet *k = w->out;
	size_t length = w->wire;

	if (w->n < 4)
		return walk_short(w, 4);
	k->sport = be16(w->p);
	k->dport = be16(w->p + 2);
	/* UDP-Lite has its checksum's coverage in that place; 0 stands for jumbograms and offloaded senders. */
	if (w->n >= 6 && !lite && be16(w->p + 4) && be16(w->p + 4) < length)
		length = be16(w->p + 4);
	take_payload(w, 8, length);
	if (k->dport == PORT_VXLAN || k->dport == PORT_VXLAN_LINUX || k->dport == PORT_GENEVE) {
		struct walk in = { (const uint8_t *)k->payload.p, k->payload.n, k->payload_bytes, k,
				   w->tunnels };

		walk_udp_tunnel(&in, k->dport);
	}
	return PACKET_OK;
}

/* The type that answers `type`, as community ID version 1 and Zeek have it. */
static uint16_t icmp_pair(uint8_t type, bool v6)
{
	static const uint8_t v4_pairs[][2] = {
		{ 8, 0 }, { 13, 14 }, { 15, 16 }, { 10, 9 }, { 17, 18 }
	};
	static const uint8_t v6_pairs[][2] = { { 128, 129 }, { 133, 134 }, { 135, 136 },
					       { 130, 131 }, { 139, 140 }, { 144, 145 } };
	const uint8_t(*pairs)[2] = v6 ? v6_pairs : v4_pairs;
	size_t n = v6 ? sizeof(v6_pairs) / 2 : sizeof(v4_pairs) / 2;

	for (size_t i = 0; i < n; i++) {
		if (pairs[i][0] == type)
			return pairs[i][1];
		if (pairs[i][1] == type)
			return pairs[i][0];
	}
	return ICMP_NO_PAIR;
}

static enum packet_error walk_icmp(struct walk *w, bool v6)
{
	struct packet *k = w->out;
	uint16_t pair;

	if (w->n < 2)
		return walk_short(w, 2);
	pair = icmp_pair(w->p[0], v6);
	k->sport = w->p[0];
	k->dport = pair == ICMP_NO_PAIR ? w->p[1] : pair;
	take_payload(w, 0, w->wire);
	return PACKET_OK;
}

static enum packet_error walk_ports(struct walk *w)
{
	if (w->n < 4)
		return walk_short(w, 4);
	w->out->sport = be16(w->p);
	w->out->dport = be16(w->p + 2);
	return PACKET_OK;
}

static enum packet_error walk_fragment(struct walk *w, uint8_t proto, uint16_t offset, bool more,
				       uint32_t id)
{
	struct packet *k = w->out;

	k->fragment = true;
	k->more_fragments = more;
	k->frag_proto = k->proto = proto;
	k->frag_offset = offset;
	k->frag_id = id;
	k->payload = (struct str){ (const char *)w->p, w->n };
	k->payload_bytes = (uint32_t)w->wire;
	return PACKET_OK;
}

/* Length of the extension header of that number at p (2 bytes are there); 0 when it is none. */
static size_t extension_length(const uint8_t *p, uint8_t proto, bool v6)
{
	switch (proto) {
	case IPPROTO_AH:
		return (p[1] + 2u) * 4;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return v6 ? (p[1] + 1u) * 8 : 0;
	case IPPROTO_FRAGMENT:
		return v6 ? 8 : 0;
	default:
		return 0;
	}
}

/* Steps over AH and IPv6 extension headers; *proto becomes what follows them. */
static enum packet_error walk_extensions(struct walk *w, uint8_t *proto, bool *ret_fragment)
{
	bool v6 = w->out->v6;

	for (unsigned headers = 0; headers <= PACKET_MAX_DEPTH; headers++) {
		uint8_t this = *proto;
		const uint8_t *p = w->p;
		size_t n;

		if (!extension_length((const uint8_t[2]){ 0 }, this, v6))
			return PACKET_OK;
		if (w->n < 2)
			return walk_short(w, 2);
		n = extension_length(p, this, v6);
		if (w->n < n)
			return walk_short(w, n);
		*proto = p[0];
		walk_skip(w, n);
		/* A fragment header without offset and more is a fragment of one (RFC 6946). */
		if (this == IPPROTO_FRAGMENT && be16(p + 2) & 0xfff9) {
			*ret_fragment = true;
			return walk_fragment(w, *proto, be16(p + 2) & 0xfff8, p[3] & 1,
					     be32(p + 4));
		}
	}
	return PACKET_TOO_DEEP;
}

static enum packet_error walk_transport(struct walk *w, uint8_t proto)
{
	struct packet *k = w->out;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP) {
		bool fragment = false;
		enum packet_error e = walk_extensions(w, &proto, &fragment);

		if (e != PACKET_OK || fragment)
			return e;
	}
	k->proto = proto;
	switch (proto) {
	case IPPROTO_TCP:
		return walk_tcp(w);
	case IPPROTO_UDP:
		return walk_udp(w, false);
	case IPPROTO_UDPLITE:
		return walk_udp(w, true);
	case IPPROTO_ICMP:
		return walk_icmp(w, false);
	case IPPROTO_ICMPV6:
		return walk_icmp(w, true);
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return walk_ports(w);
	case IPPROTO_IPV4_IN_IP:
		walk_tunnel(w, 0x0800);
		return PACKET_OK;
	case IPPROTO_IPV6:
		walk_tunnel(w, 0x86dd);
		return PACKET_OK;
	case IPPROTO_MPLS:
		walk_tunnel(w, 0x8847);
		return PACKET_OK;
	case IPPROTO_GRE:
		walk_gre(w);
		return PACKET_OK;
	case IPPROTO_ETHERIP:
		walk_tunnel_id(*w, 2, 0x6558, 0, false);
		return PACKET_OK;
	default:
		return PACKET_OK;
	}
}

/* From here on only what the IP header says belongs to the packet: Ethernet pads short frames. */
static void limit(struct walk *w, size_t length)
{
	w->wire = length;
	if (w->n > length)
		w->n = length;
}

enum packet_error walk_ipv4(struct walk *w)
{
	const uint8_t *p = w->p;
	struct packet *k = w->out;
	size_t header, total;
	uint16_t place;

	if (w->n < 20)
		return walk_short(w, 20);
	header = (p[0] & 15) * 4u;
	total = be16(p + 2);
	if (!total) /* the card was to cut it into packets (TSO), and fill this in */
		total = w->wire;
	if (p[0] >> 4 != 4 || header < 20 || total < header)
		return PACKET_MALFORMED;
	k->src = addr_from_v4(p + 12);
	k->dst = addr_from_v4(p + 16);
	k->v6 = false;
	k->ip_bytes = (uint32_t)total;
	limit(w, total);
	if (w->n < header)
		return PACKET_TRUNCATED;
	walk_skip(w, header);
	place = be16(p + 6);
	if (place & 0x3fff)
		return walk_fragment(w, p[9], (uint16_t)(place << 3), place & 0x2000, be16(p + 4));
	return walk_transport(w, p[9]);
}

/* The length in a hop-by-hop header's jumbo payload option (RFC 2675); 0 when there is none. */
static uint32_t jumbo_length(const uint8_t *p, size_t n)
{
	size_t end, at = 2;

	if (n < 8)
		return 0;
	end = (p[1] + 1u) * 8;
	if (end > n)
		return 0;
	while (at + 2 <= end) {
		if (p[at] == 0) {
			at++;
			continue;
		}
		if (p[at] == 0xc2 && p[at + 1] == 4 && at + 6 <= end)
			return be32(p + at + 2);
		at += 2u + p[at + 1];
	}
	return 0;
}

enum packet_error walk_ipv6(struct walk *w)
{
	const uint8_t *p = w->p;
	struct packet *k = w->out;
	size_t length;

	if (w->n < 40)
		return walk_short(w, 40);
	if (p[0] >> 4 != 6)
		return PACKET_MALFORMED;
	length = be16(p + 4);
	if (!length && p[6] == IPPROTO_HOPOPTS)
		length = jumbo_length(p + 40, w->n - 40);
	if (!length && p[6] != IPPROTO_NONE) /* as with IPv4, left to the card */
		length = w->wire - 40;
	k->src = addr_from_v6(p + 8);
	k->dst = addr_from_v6(p + 24);
	k->v6 = true;
	k->ip_bytes = (uint32_t)(40 + length);
	walk_skip(w, 40);
	limit(w, length);
	return walk_transport(w, p[6]);
}

enum packet_error packet_parse(uint16_t link, struct str frame, uint32_t wire, struct packet *ret)
{
	struct walk w = { (const uint8_t *)frame.p, frame.n, wire < frame.n ? frame.n : wire, ret,
			  0 };

	*ret = (struct packet){ 0 };
	return walk_link(&w, link);
}

enum packet_error packet_parse_transport(struct packet *p, uint8_t proto, struct str bytes)
{
	struct walk w = { (const uint8_t *)bytes.p, bytes.n,
			  p->payload_bytes < bytes.n ? bytes.n : p->payload_bytes, p,
			  p->tunnel_depth };

	p->fragment = p->more_fragments = false;
	p->payload = STR_NONE;
	p->payload_bytes = 0;
	return walk_transport(&w, proto);
}

const char *packet_error_name(enum packet_error e)
{
	static const char *const names[PACKET_ERROR_COUNT] = {
		"ok", "not-ip", "truncated", "malformed", "link-unknown", "too-deep",
	};

	return names[e];
}
