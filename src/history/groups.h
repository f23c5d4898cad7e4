/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums by up to four texts. Bounded: past GROUPS_MAX the rest is summed as one group, which has no texts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define GROUPS_MAX 200000
#define GROUP_KEYS_MAX 4

struct moved {
	uint64_t flows, up, down, up_packets, down_packets, refused;
	uint64_t first_ns, last_ns; /* 0: nothing yet */
};
void moved_add(struct moved *to, const struct moved *a);
struct store_row;
struct moved moved_of_row(const struct store_row *row); /* what a piece moved */

struct group_cost {
	uint32_t slot;
	uint64_t bytes; /* that left, under this price in this month */
	struct group_cost *next;
};

struct group {
	struct str key[GROUP_KEYS_MAX];
	uint64_t hash;
	struct moved sum;
	struct group_cost *costs;
	uint64_t cost; /* for sorting; 10^-9 of a unit */
	size_t series; /* of a timeline: its number; SIZE_MAX: none of its own */
	bool is_others;
	struct group *next;
};

struct groups;

int groups_new(struct groups **ret, size_t n_keys);
struct groups *groups_free(struct groups *g);
/* The group of these texts, made when it is new. NULL: no memory. */
struct group *groups_get(struct groups *g, const struct str *keys);
struct group *
groups_find(struct groups *g,
	    const struct str *keys); /* never makes one; the rest's when they are among it */
/* The rest, made when there is none yet: what is summed as one. NULL: no memory. */
struct group *groups_others(struct groups *g);
bool group_add_cost(struct groups *g, struct group *of, uint32_t slot,
		    uint64_t bytes); /* false: no memory */
/* All of them, by `key` the largest first, the rest last; borrowed until the next call. NULL: no memory. */
struct group **groups_sorted(struct groups *g, uint64_t (*key)(const struct group *g),
			     size_t *ret_n);
