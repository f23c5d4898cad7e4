/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of rates (bpf/limit.h) that nobody uses any more go: what they know is as at first. */
#include <errno.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "bpf/host.skel.h"

#define IDLE_NS (10 * NSEC_PER_SEC)
#define LOOK_EVERY_NS (10 * NSEC_PER_SEC)
#define AT_ONCE 4096

static bool is_idle(const struct eg_bucket *b, uint64_t now)
{
	for (size_t i = 0; i < ARRAY_SIZE(b->way); i++)
		if (b->way[i].end_ns + IDLE_NS > now || b->way[i].from_ns + IDLE_NS > now)
			return false;
	return true;
}

/* A walk over a hash may skip what lies beside what was deleted: it is found by the next look. */
void limit_tick(struct attach *a, uint64_t now)
{
	_cleanup_free_ struct eg_bucket_key *keys = NULL;
	_cleanup_free_ struct eg_bucket *buckets = NULL;
	int fd = bpf_map__fd(a->skel->maps.eg_buckets), r = 0;
	uint32_t at, n;
	void *from = NULL;

	if (now - a->limits_ns < LOOK_EVERY_NS)
		return;
	a->limits_ns = now;
	a->n_buckets = 0;
	keys = calloc(AT_ONCE, sizeof(*keys));
	buckets = calloc(AT_ONCE, sizeof(*buckets));
	if (!keys || !buckets)
		return;
	while (!r) {
		n = AT_ONCE;
		r = bpf_map_lookup_batch(fd, from, &at, keys, buckets, &n, NULL);
		from = &at;
		if (r && errno != ENOENT)
			return;
		for (uint32_t i = 0; i < n; i++) {
			if (is_idle(&buckets[i], now))
				bpf_map_delete_elem(fd, &keys[i]);
			else
				a->n_buckets++;
		}
	}
}
