/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/popular.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "detect/popular_table.inc"

static bool has(const uint32_t *table, size_t n, uint32_t h)
{
	size_t from = 0;

	while (n) {
		size_t half = n / 2;

		if (table[from + half] == h)
			return true;
		if (table[from + half] < h) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return false;
}

enum fame popular_fame(struct str domain)
{
	uint32_t h = 0x811c9dc5;

	for (size_t i = 0; i < domain.n; i++)
		h = (h ^ (uint8_t)domain.p[i]) * 0x01000193;
	return has(popular_core, ARRAY_SIZE(popular_core), h)     ? FAME_CORE
	       : has(popular_known, ARRAY_SIZE(popular_known), h) ? FAME_KNOWN
								  : FAME_NONE;
}
