/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: the n flows with the largest keys of any number that are offered, in a heap of n places. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct flow;

struct picked {
	uint64_t key;
	const struct flow *flow;
};

struct pick {
	struct picked *heap; /* the smallest key first; places and memory are the caller's */
	size_t n, max;
};

void pick_offer(struct pick *p, uint64_t key, const struct flow *flow);
void pick_sort(struct pick *p); /* largest first; nothing may be offered after it */
