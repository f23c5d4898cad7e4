/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often one address may ask: a bucket of tokens for each, in a table of fixed size. When it is full the bucket that was used
 * longest ago is given away, which is no gain for anybody: it is full by then, or nearly.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_RATE 50 /* a second */
#define LIMIT_BURST 200
#define LIMIT_WRONG 20 /* what a request that showed no right costs */
#define LIMIT_SLOTS 4096
#define LIMIT_WAYS 8

struct limit_bucket {
	uint64_t key, last_ns;
	double left;
};

struct limit {
	uint64_t seed;
	struct limit_bucket slots[LIMIT_SLOTS];
};

struct sockaddr;

/* IPv6 networks of 64 bits count as one; what has no address as one, too. */
uint64_t limit_key(const struct limit *l, const struct sockaddr *from);
/* False: too many. */
bool limit_take(struct limit *l, uint64_t key, unsigned cost, uint64_t now_ns);
