/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a policy image, and facts to its classes: addresses, ports, users, groups, names, steps of automata. Part of
 * policy_eval.h, which says what the includer defines.
 */
#pragma once

#include "name_hash.h"
#include "policy_image.h"

/* --- reading an image ----------------------------------------------------------------------------------------- */
#define EG_READER(type, bytes)                                                   \
	static __always_inline type eg_read_##type(EG_IMAGE image, __u64 at)     \
	{                                                                        \
		const __u8 *page = EG_IMAGE_PAGE_AT(image, at / EG_IMAGE_PAGE);  \
                                                                                 \
		if (!page)                                                       \
			return 0;                                                \
		return *(const type *)(page + (at & (EG_IMAGE_PAGE - (bytes)))); \
	}
EG_READER(__u8, 1)
EG_READER(__u16, 2)
EG_READER(__u32, 4)
EG_READER(__u64, 8)

static __always_inline const struct eg_image *eg_image_head(EG_IMAGE image)
{
	return EG_IMAGE_PAGE_AT(image, 0);
}

/* The number of the lowest bit that is set, without a branch: each would double what the verifier walks. */
static __always_inline __u32 eg_lowest(__u64 x)
{
	x = (x & -x) - 1;
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return x * 0x0101010101010101ULL >> 56;
}

/* --- facts to classes ------------------------------------------------------------------------------------------ */

/* From memory, of which the verifier knows nothing: it would follow each number on its own. */
#define EG_AGAIN_FROM(x) (*(const volatile __typeof__(x) *)&(x))

/* 0, but the verifier does not know: else it would tell apart all that comes of it. */
#ifdef __bpf__
#define EG_ZERO(x)                                      \
	({                                              \
		__u64 zero_ = (x);                      \
                                                        \
		asm volatile("%0 -= %0" : "+r"(zero_)); \
		zero_;                                  \
	})
#else
#define EG_ZERO(x) ((__u64)0)
#endif

/*
 * The compiler takes this variable as it is, and nothing that it knows of it: a bound is checked on the register that is
 * used, and arithmetic stays arithmetic. Else it makes other checks, and branches, that the verifier gets lost in.
 */
#define EG_KEEP(x) asm volatile("" : "+r"(x))

/* 1 or 0 without a branch. */
static __always_inline __u64 eg_below(__u64 a, __u64 b)
{
	__u64 borrow = (~a & b) | ((~a | b) & (a - b));

	EG_KEEP(borrow);
	return borrow >> 63;
}

static __always_inline __u64 eg_equal(__u64 a, __u64 b)
{
	__u64 d = a ^ b;

	d |= -d;
	EG_KEEP(d);
	return 1 ^ d >> 63;
}

/* The first step: up to 16 M numbers; most searches are in a few. */
#define EG_SEARCH_STEP(n) \
	((n) <= 16 ? 1ULL << 3 : (n) <= 256 ? 1ULL << 7 : (n) <= 65536 ? 1ULL << 15 : 1ULL << 23)

/*
 * The last of ascending numbers from `at` on, within [lo, hi), that is not above x. start[lo] <= x. In steps that halve:
 * only one number changes on the way, which keeps the verifier's walk short.
 */
EG_EVAL_ONCE __u32 eg_search32(EG_IMAGE image, __u32 at, __u32 lo, __u32 hi, __u32 x)
{
	__u64 n = hi > lo ? hi - lo : 0, off = EG_ZERO(hi), step;

	if (n <= 1)
		return lo;
	for (step = EG_SEARCH_STEP(n); step; step >>= 1)
		off += step *
		       (eg_below(off + step, n) &
			(1 ^ eg_below(x, eg_read___u32(image, at + 4ULL * (lo + off + step)))));
	return lo + off;
}

static __always_inline __u32 eg_search128(EG_IMAGE image, __u32 at, __u32 lo, __u32 hi, __u64 x0,
					  __u64 x1)
{
	__u64 n = hi > lo ? hi - lo : 0, off = EG_ZERO(hi), step;

	if (n <= 1)
		return lo;
	for (step = EG_SEARCH_STEP(n); step; step >>= 1) {
		__u64 to = at + 16ULL * (lo + off + step), a0 = eg_read___u64(image, to),
		      a1 = eg_read___u64(image, to + 8);

		off += step * (eg_below(off + step, n) &
			       (eg_below(a0, x0) | (eg_equal(a0, x0) & (1 ^ eg_below(x1, a1)))));
	}
	return lo + off;
}

/*
 * index[k] is the last range that begins at or before (k << shift), index[65536] the last of all: what is looked for
 * lies between index[k] and index[k + 1], both included.
 */
EG_EVAL_ONCE __u16 eg_class_v4(EG_IMAGE image, __u32 a)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 lo, hi, index, start, class;

	if (!head || !head->n4)
		return EG_CLASS_NONE;
	index = head->v4_index;
	start = head->v4_start;
	class = head->v4_class;
	lo = eg_read___u32(image, index + 4ULL * (a >> 16));
	hi = eg_read___u32(image, index + 4ULL * (a >> 16) + 4);
	lo = eg_search32(image, start, lo, hi + 1, a);
	return eg_read___u16(image, class + 2ULL * lo);
}

EG_EVAL_ONCE __u16 eg_class_v6(EG_IMAGE image, __u64 a0, __u64 a1)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 lo, hi, index, start, class;

	if (!head || !head->n6)
		return EG_CLASS_NONE;
	index = head->v6_index;
	start = head->v6_start;
	class = head->v6_class;
	lo = eg_read___u32(image, index + 4ULL * (a0 >> 48));
	hi = eg_read___u32(image, index + 4ULL * (a0 >> 48) + 4);
	lo = eg_search128(image, start, lo, hi + 1, a0, a1);
	return eg_read___u16(image, class + 2ULL * lo);
}

static __always_inline __u32 eg_be32(const __u8 *b)
{
	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

/* IPv4 comes v4-mapped; an address of NAT64's well-known prefix (RFC 6052) is judged as the IPv4 address in it. */
EG_EVAL_FN __u16 eg_fact_addr(EG_IMAGE image, const __u8 *addr)
{
	__u64 a[2];

	if (!addr)
		return EG_CLASS_NONE;
	a[0] = (__u64)eg_be32(addr) << 32 | eg_be32(addr + 4);
	a[1] = (__u64)eg_be32(addr + 8) << 32 | eg_be32(addr + 12);
	if ((!a[0] && a[1] >> 32 == 0xffff) || (a[0] == 0x0064ff9b00000000ULL && !(a[1] >> 32)))
		return eg_class_v4(image, a[1]);
	return eg_class_v6(image, a[0], a[1]);
}

/* Where a protocol and port lie in the number space of ports. */
static __always_inline __u32 eg_port_key(__u8 proto, __u16 port, int has_ports)
{
	switch (proto) {
	case 6:
		return has_ports ? EG_PORT_KEY(EG_PORTS_TCP, port)
				 : EG_PORT_KEY(EG_PORTS_NONE, proto);
	case 17:
		return has_ports ? EG_PORT_KEY(EG_PORTS_UDP, port)
				 : EG_PORT_KEY(EG_PORTS_NONE, proto);
	case 1:
		return has_ports ? EG_PORT_KEY(EG_PORTS_ICMP, port)
				 : EG_PORT_KEY(EG_PORTS_NONE, proto);
	case 58:
		return has_ports ? EG_PORT_KEY(EG_PORTS_ICMP6, port)
				 : EG_PORT_KEY(EG_PORTS_NONE, proto);
	case 33: /* DCCP */
	case 132:
	case 136:
		return has_ports ? EG_PORT_KEY(EG_PORTS_OTHER, port)
				 : EG_PORT_KEY(EG_PORTS_NONE, proto);
	}
	return EG_PORT_KEY(EG_PORTS_PROTO, proto);
}

EG_EVAL_ONCE __u16 eg_fact_port(EG_IMAGE image, __u8 proto, __u16 port, int has_ports)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 key = eg_port_key(proto, port, has_ports), starts, class, n;

	if (!head || !head->n_ports)
		return EG_CLASS_NONE;
	starts = head->port_start;
	class = head->port_class;
	n = head->n_ports;
	return eg_read___u16(image, class + 2ULL * eg_search32(image, starts, 0, n, key));
}

EG_EVAL_ONCE __u16 eg_fact_user(EG_IMAGE image, __u32 uid)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 at, class, n, i;

	if (!head || !head->n_users)
		return EG_CLASS_NONE;
	at = head->user_uid;
	class = head->user_class;
	n = head->n_users;
	i = eg_search32(image, at, 0, n, uid);
	return eg_read___u32(image, at + 4ULL * i) == uid ? eg_read___u16(image, class + 2ULL * i)
							  : EG_CLASS_NONE;
}

/* The bit of a group that rules name, else 0. */
EG_EVAL_ONCE __u64 eg_fact_gid(EG_IMAGE image, __u32 gid)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 at, id, n, i;

	if (!head || !head->n_gids)
		return 0;
	at = head->gid;
	id = head->gid_id;
	n = head->n_gids;
	i = eg_search32(image, at, 0, n, gid);
	return eg_read___u32(image, at + 4ULL * i) == gid
		       ? 1ULL << (eg_read___u8(image, id + i) & 63)
		       : 0;
}

/* Class of one hash, as eg_name_finish() made it; 0: the table does not hold it. */
EG_EVAL_ONCE __u16 eg_name_find(EG_IMAGE image, __u64 want)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 mask, at, class, k;

	if (!head || !head->name_mask)
		return 0;
	mask = head->name_mask;
	at = head->name_hash;
	class = head->name_class;

	for (k = 0; k < EG_PROBES_MAX; k++) {
		__u64 pos = (want + k) & mask, have = eg_read___u64(image, at + 8 * pos);

		if (!have)
			break;
		if (have == want)
			return eg_read___u16(image, class + 2 * pos);
	}
	return 0;
}

/* A name by the hashes of its own and of its parents, the whole name first: hash[0] is the name's, hash[n-1] the top's. */
EG_EVAL_FN __u16 eg_fact_name(EG_IMAGE image, const __u64 *hash, __u32 n)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 i, class;

	if (!head || !head->name_mask || !hash)
		return EG_CLASS_NONE;
	for (i = 0; i < EG_LABELS_MAX; i++) {
		if (i >= n)
			break;
		class = eg_name_find(image, eg_name_finish(hash[i], i ? EG_NAME_BELOW : 0));
		if (class)
			return class;
	}
	return EG_CLASS_NONE;
}

/* One step of an automaton. */
static __always_inline __u32 eg_dfa_step(EG_IMAGE image, const struct eg_dfa *dfa, __u32 state,
					 __u8 c)
{
	__u32 column = eg_read___u8(image, dfa->class_of + c);

	return eg_read___u16(image, dfa->trans + 2ULL * (state * dfa->n_classes + column));
}
