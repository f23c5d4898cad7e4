/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of numbers (addresses, ports), each belonging to an atom, swept from the lowest to the highest: between two
 * boundaries the set of atoms is the same. A million single addresses of one atom are eight megabytes here.
 */
#pragma once

#include <stdint.h>

#include "policy/classes.h"

__extension__ typedef unsigned __int128 u128;

struct range128 {
	u128 lo, hi;
};

struct ranges_of {
	union {
		uint64_t *narrow; /* lo << 32 | hi */
		struct range128 *wide;
	};
	size_t n, cap;
};

struct ranges {
	bool wide;
	struct ranges_of *of; /* by atom */
	uint32_t n_atoms;
	uint64_t total;
};
int ranges_add(struct ranges *r, uint32_t atom, u128 lo, u128 hi); /* narrow: below 2^32 */
/*
 * Calls back for the first number of each stretch with its set of atoms, in order, the first being 0. Ends with what the
 * callback returns when that is not 0. Sorts, and joins what overlaps within an atom, on the way.
 */
int ranges_sweep(struct ranges *r, struct sets *sets, int (*fn)(void *ctx, u128 from, uint32_t set),
		 void *ctx);
void ranges_done(struct ranges *r);
