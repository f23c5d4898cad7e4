/* SPDX-License-Identifier: Apache-2.0 */
/* Between packet.c (IP and above) and packet_link.c (below IP, and Ethernet again inside tunnels). Private to both. */
#pragma once

#include "decode/packet.h"

/* Where the walk stands: what was captured from here on, and what was on the wire. n <= wire always. */
struct walk {
	const uint8_t *p;
	size_t n;
	size_t wire;
	struct packet *out;
	unsigned tunnels;
	uint8_t pseudowires; /* Ethernet in MPLS entered so far */
};

typedef enum packet_error (*walk_fn)(struct walk *w, uint32_t arg);

enum packet_error walk_link(struct walk *w, uint16_t link);
enum packet_error walk_ethernet(struct walk *w);
enum packet_error walk_ethertype(struct walk *w, uint16_t type);
enum packet_error walk_ipv4(struct walk *w);
enum packet_error walk_ipv6(struct walk *w);

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Why a header of n bytes cannot be read here; only asked when w->n < n. */
static inline enum packet_error walk_short(const struct walk *w, size_t n)
{
	return w->wire >= n ? PACKET_TRUNCATED : PACKET_MALFORMED;
}

static inline void walk_skip(struct walk *w, size_t n)
{
	w->p += n;
	w->n -= n;
	w->wire -= n;
}

/* By the version in the first half byte, where nothing else tells. */
static inline enum packet_error walk_ip(struct walk *w)
{
	if (!w->n)
		return walk_short(w, 1);
	switch (w->p[0] >> 4) {
	case 4:
		return walk_ipv4(w);
	case 6:
		return walk_ipv6(w);
	default:
		return PACKET_MALFORMED;
	}
}
