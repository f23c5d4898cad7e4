/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the intelligence index only: a mapped snapshot whose sections are known to lie in it. */
#pragma once

#include "detect/intel_file.h"

struct intel_index {
	const uint8_t *map;
	size_t bytes;
	const struct intel_head *head;
	uint64_t seed;
	const uint32_t *top, *v4_top; /* ascending, the last is n_entries, n4 */
	unsigned part_bits;
	const uint64_t *filter;
	uint32_t n_filter; /* words */
	const uint8_t *entries;
	uint32_t n_entries;
	const struct intel_range4 *v4, *allow4;
	const struct intel_range6 *v6, *allow6;
	uint32_t n4, n6, n_allow4, n_allow6;
	const struct intel_record *records;
	uint32_t n_records;
	const uint8_t *notes;
	uint32_t n_notes; /* bytes */
	const struct intel_feed_row *feeds;
	uint32_t n_feeds;
	bool mapped;    /* by us */
	unsigned taken; /* under the slot's lock */
};

/* Over the bytes of a file, which stay the caller's; intel_index_free() does not unmap them. For tests and fuzzing. */
int intel_index_over(struct intel_index **ret, const void *bytes, size_t n,
		     enum intel_open_mode mode);
