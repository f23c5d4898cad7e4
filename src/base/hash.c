/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
	return XXH3_64bits_withSeed(p, n, seed);
}

uint64_t hash_random_seed(void)
{
	uint64_t seed;

	/* 8 bytes never come short, and the pool is ready long before any daemon runs. */
	while (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		;
	return seed;
}
