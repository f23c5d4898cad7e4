/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments that a gateway forwards (RFC 791, RFC 8200 4.5). The first says whose datagram it is; later ones go its way: they
 * count for its flow, and pass when it did. One that comes before its first, or overlaps it, is a packet without ports.
 */
#pragma once

#include "gate.h"

#define EG_GATE_FRAGMENTS 8192
#define EG_FRAGMENT_NS 60000000000ULL /* RFC 8200, 4.5 */

#define EG_WHOLE 0
#define EG_FRAGMENT_FIRST 1
#define EG_FRAGMENT_LATER 2

struct eg_fragment_key {
	__u8 src[16], dst[16];
	__u32 id;
	__u8 proto;
	__u8 pad[3];
};

struct eg_fragment {
	struct eg_key key; /* of the flow */
	__u64 born_ns;
	__u32 end; /* of the first one's bytes */
	__u32 tx;
	__u32 ifindex;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EG_GATE_FRAGMENTS);
	__type(key, struct eg_fragment_key);
	__type(value, struct eg_fragment);
} eg_gate_fragments SEC(".maps");

/* Where a packet lies in its datagram. */
struct eg_piece {
	__u32 id, at, end;
	__u8 kind; /* EG_WHOLE, EG_FRAGMENT_* */
};

static __always_inline void eg_piece_set(struct eg_piece *f, __u32 id, __u32 at, __u32 len,
					 int more)
{
	f->id = id;
	f->at = at;
	f->end = at + len;
	f->kind = at ? EG_FRAGMENT_LATER : more ? EG_FRAGMENT_FIRST : EG_WHOLE;
}

/* `h`: the first 8 bytes of an IPv4 header. */
static __always_inline void eg_piece_v4(const __u8 h[8], const struct eg_packet *p, __u32 len,
					struct eg_piece *f)
{
	eg_piece_set(f, h[4] << 8 | h[5], (h[6] & 0x1f) << 11 | h[7] << 3, len - p->ip_header,
		     h[6] & 0x20);
}

/* The fragment header is looked for only where there is an extension header at all. */
static __noinline void eg_piece_v6(struct __sk_buff *skb, __u32 base, __u32 len, struct eg_piece *f)
{
	__u32 at = 40, i, id;
	__u8 e[8], next;

	if (!f)
		return;
	f->kind = EG_WHOLE;
	if (bpf_skb_load_bytes(skb, base + 6, &next, 1))
		return;
	for (i = 0; i < 6; i++) {
		if ((next != 0 && next != 43 && next != 44 && next != 51 && next != 60 &&
		     next != 135) ||
		    bpf_skb_load_bytes(skb, base + at, e, 8))
			return;
		if (next == 44) {
			__builtin_memcpy(&id, e + 4, 4);
			eg_piece_set(f, id, (e[2] << 8 | e[3]) & 0xfff8, len - at - 8, e[3] & 1);
			return;
		}
		at += next == 51 ? (e[1] + 2) * 4 : (e[1] + 1) * 8;
		next = e[0];
	}
}

static __always_inline void eg_fragment_key(const struct eg_packet *p, const struct eg_piece *f,
					    struct eg_fragment_key *k)
{
	__builtin_memcpy(k->src, p->src, 16);
	__builtin_memcpy(k->dst, p->dst, 16);
	k->id = f->id;
	k->proto = p->proto;
	k->pad[0] = k->pad[1] = k->pad[2] = 0;
}

/* The first one passed, as a packet of this flow, or did not: NULL. */
static __noinline void eg_fragment_keep(const struct eg_packet *p, const struct eg_piece *f,
					const struct eg_key *key, int tx, __u32 ifindex)
{
	struct eg_fragment_key k;
	struct eg_fragment v = {};

	if (!p || !f)
		return;
	eg_fragment_key(p, f, &k);
	if (!key) {
		bpf_map_delete_elem(&eg_gate_fragments, &k);
		return;
	}
	v.key = *key;
	v.born_ns = bpf_ktime_get_ns();
	v.end = f->end;
	v.tx = tx;
	v.ifindex = ifindex;
	bpf_map_update_elem(&eg_gate_fragments, &k, &v, BPF_ANY);
}

/* The first one that a later one belongs to; NULL: none that passed. */
static __noinline struct eg_fragment *eg_fragment_find(const struct eg_packet *p,
						       const struct eg_piece *f, __u32 ifindex)
{
	struct eg_fragment_key k;
	struct eg_fragment *first;

	if (!p || !f)
		return NULL;
	eg_fragment_key(p, f, &k);
	first = bpf_map_lookup_elem(&eg_gate_fragments, &k);
	if (!first || f->at < first->end || first->ifindex != ifindex ||
	    bpf_ktime_get_ns() - first->born_ns > EG_FRAGMENT_NS)
		return NULL;
	return first;
}
