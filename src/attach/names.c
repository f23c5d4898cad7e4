/* SPDX-License-Identifier: Apache-2.0 */
/* Names travel as hashes; their texts are in a map of the kernel's side and, once asked for, in a small cache here. */
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "bpf/host.skel.h"

struct str attach_name(struct attach *a, uint64_t hash)
{
	struct attach_name *n = &a->names[hash % ATTACH_NAMES];
	struct eg_name found;

	if (n->hash == hash)
		return (struct str){ n->text, n->len };
	if (bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_names), &hash, &found) ||
	    found.len > sizeof(found.text))
		return STR_NONE; /* pushed out by newer names */
	n->hash = hash;
	n->len = found.len;
	memcpy(n->text, found.text, found.len);
	return (struct str){ n->text, n->len };
}

uint8_t attach_names_of(struct attach *a, const uint8_t addr[16], uint64_t names[EG_ADDR_NAMES])
{
	struct eg_addr_names found;
	uint64_t now = attach_mono_ns();
	uint8_t n = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_addr_names), addr, &found))
		return 0;
	for (size_t i = 0; i < EG_ADDR_NAMES; i++)
		if (found.hash[i] && found.until_ns[i] > now)
			names[n++] = found.hash[i];
	return n;
}
