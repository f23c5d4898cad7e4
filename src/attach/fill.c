/* SPDX-License-Identifier: Apache-2.0 */
/* How full the kernel's maps are. A hash map does not tell: its keys are counted, at most every half minute. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "bpf/host.skel.h"

#define COUNT_EVERY_NS (30 * NSEC_PER_SEC)

/* Those who delete meanwhile may make the walk begin anew: it ends at what the map can hold. */
static uint64_t count_keys(const struct bpf_map *map)
{
	uint64_t max = bpf_map__max_entries(map), n = 0, key[2][8], *last = NULL;

	if (bpf_map__key_size(map) > sizeof(key[0]))
		return 0;
	while (n < max && bpf_map_get_next_key(bpf_map__fd(map), last, key[n & 1]) == 0)
		last = key[n++ & 1];
	return n;
}

static uint64_t count_handshakes(const struct attach *a)
{
	uint64_t n = 0;

	for (size_t i = 0; i < EG_HANDSHAKES; i++)
		n += a->handshakes[i].tag != 0;
	return n;
}

size_t attach_maps(struct attach *a, struct attach_map ret[ATTACH_MAPS])
{
	const struct bpf_map *counted[ATTACH_COUNTED] = {
		a->skel->maps.eg_processes,  a->skel->maps.eg_paths,     a->skel->maps.eg_mounts,
		a->skel->maps.eg_containers, a->skel->maps.eg_resolvers,
	};
	static const char *const names[ATTACH_COUNTED] = { "processes", "paths", "mounts",
							   "containers", "resolvers" };
	uint64_t now = time_now_boot();
	size_t n = 0;

	if (!a->counted_ns || now - a->counted_ns > COUNT_EVERY_NS) {
		a->counted_ns = now;
		a->counted_handshakes = count_handshakes(a);
		for (size_t i = 0; i < ATTACH_COUNTED; i++)
			a->counted[i] = count_keys(counted[i]);
	}
	ret[n++] = (struct attach_map){ "sockets", a->n_sockets, EG_SLOTS };
	ret[n++] = (struct attach_map){ "peers", a->n_peers,
					bpf_map__max_entries(a->skel->maps.eg_peers) };
	ret[n++] = (struct attach_map){ "buckets", a->n_buckets, EG_BUCKETS };
	ret[n++] = (struct attach_map){ "ring-bytes", attach_ring_used(a),
					bpf_map__max_entries(a->skel->maps.eg_ring) };
	ret[n++] = (struct attach_map){ "handshakes", a->counted_handshakes, EG_HANDSHAKES };
	ret[n++] = (struct attach_map){ "closes", a->n_held, ATTACH_HELD };
	for (size_t i = 0; i < ATTACH_COUNTED; i++)
		ret[n++] = (struct attach_map){ names[i], a->counted[i],
						bpf_map__max_entries(counted[i]) };
	return n;
}
