/* SPDX-License-Identifier: Apache-2.0 */
#include "web/limit.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"

uint64_t limit_key(const struct limit *l, const struct sockaddr *from)
{
	unsigned char bytes[8] = { 0 };

	if (from && from->sa_family == AF_INET)
		memcpy(bytes, &((const struct sockaddr_in *)from)->sin_addr, 4);
	else if (from && from->sa_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)from)->sin6_addr;

		memcpy(bytes, a->s6_addr + (IN6_IS_ADDR_V4MAPPED(a) ? 12 : 0),
		       IN6_IS_ADDR_V4MAPPED(a) ? 4 : 8);
	}
	return hash_bytes(bytes, sizeof(bytes), l->seed) | 1; /* 0 is an empty slot */
}

bool limit_take(struct limit *l, uint64_t key, unsigned cost, uint64_t now_ns)
{
	struct limit_bucket *set = &l->slots[key / 2 % (LIMIT_SLOTS / LIMIT_WAYS) * LIMIT_WAYS];
	struct limit_bucket *b = set;

	for (size_t i = 0; i < LIMIT_WAYS; i++) {
		if (set[i].key == key) {
			b = &set[i];
			break;
		}
		if (set[i].last_ns < b->last_ns)
			b = &set[i];
	}
	if (b->key != key)
		*b = (struct limit_bucket){ key, now_ns, LIMIT_BURST };
	b->left = MIN((double)LIMIT_BURST,
		      b->left + (double)(now_ns - b->last_ns) / NSEC_PER_SEC * LIMIT_RATE);
	b->last_ns = now_ns;
	if (b->left < 1)
		return false;
	b->left -= cost;
	return true;
}
