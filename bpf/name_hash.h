/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names of hosts as numbers: a polynomial over the Mersenne prime 2^61-1 at a secret point (Carter and Wegman, 1979):
 * for any two names that somebody chooses without knowing the key, the chance of equal hashes is below 2^-53. Bytes are
 * taken from the last to the first, so that the hash of every parent domain comes up on the way:
 *
 *     h("api.example.com"):  m o c  -> "com"    . e l p m a x e  -> "example.com"    . i p a  -> the whole name
 *
 * Pure; names are lower case without a dot at the end.
 */
#pragma once

#include <linux/types.h>

#define EG_P61 ((1ULL << 61) - 1)
#define EG_NAME_BELOW 0x9e3779b97f4a7c15ULL /* told apart: "this name" from "what lies below it" */

static __always_inline __u64 eg_mod61(__u64 x)
{
	x = (x & EG_P61) + (x >> 61);
	return x >= EG_P61 ? x - EG_P61 : x;
}

/* a, b < 2^61 */
static __always_inline __u64 eg_mul61(__u64 a, __u64 b)
{
	__u64 ah = a >> 31, al = a & 0x7fffffff, bh = b >> 31, bl = b & 0x7fffffff;
	__u64 mid = ah * bl + al * bh;

	/* 2^62 is 2 (mod p); mid * 2^31 = (mid >> 30) * 2^61 + (mid & (2^30-1)) * 2^31 */
	return eg_mod61(2 * ah * bh + (mid >> 30) + ((mid & 0x3fffffff) << 31) + eg_mod61(al * bl));
}

static __always_inline __u64 eg_name_hash_byte(__u64 h, __u64 key, __u8 c)
{
	return eg_mod61(eg_mul61(h, key) + c + 1);
}

/* What a table holds: never 0, and spread over all 64 bits, because tables are indexed by the low ones. */
static __always_inline __u64 eg_name_finish(__u64 h, __u64 tweak)
{
	h = (h ^ tweak) * 0xff51afd7ed558ccdULL;
	h ^= h >> 32;
	return h ? h : 1;
}
