/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the building of snapshots only: what is gathered before it is sorted and written. */
#pragma once

#include <libpsl.h>

#include "detect/intel_build.h"
#include "detect/intel_feeds.h"
#include "detect/intel_file.h"
#include "policy/list.h"

#define ENTRIES_MAX (1U << 24)

/* Different runs of bytes, each kept once; told from each other by where they begin. */
struct bag {
	uint8_t *p;
	size_t n, room, max;
	uint64_t *slots; /* 32 bits of the hash, offset + 1 */
	size_t n_slots, used;
};
#define BAG_FULL (UINT32_MAX - 1)

/* Its offset; BAG_FULL: more than max; UINT32_MAX: no memory. */
uint32_t bag_put(struct bag *b, const void *p, size_t n);
void bag_done(struct bag *b);

struct building_range {
	unsigned __int128 lo, hi;
	uint32_t record;
};

struct ranges {
	struct building_range *v;
	size_t n, room;
};
int ranges_put(struct ranges *r, unsigned __int128 lo, unsigned __int128 hi, uint32_t record);
/*
 * Sorts, and leaves disjoint pieces of which each belongs to the smallest range that held it; of two equal ranges the heavier
 * one stays.
 */
struct intel_builder;
int ranges_flatten(struct ranges *r, const struct intel_builder *b);

struct intel_builder {
	uint64_t seed;
	int64_t now_s;
	const psl_ctx_t *suffixes;
	/* entries, side by side: 12 bytes each */
	uint64_t *hashes;
	uint32_t *record_of;
	size_t n, room;
	struct ranges v4, v6, allow4, allow6;
	struct bag records, notes;
	struct intel_feed_row *feeds;
	uint32_t n_feeds;
	struct intel_feed feed;  /* the one being read */
	enum list_format format; /* of its text */
	uint64_t labels;
	struct intel_built built;
};

const struct intel_record *builder_record(const struct intel_builder *b, uint32_t record);
/* What an entry weighs at the time of building, in hundredths of decibans; the more, the rather it stays. */
unsigned builder_weight(const struct intel_builder *b, uint32_t record);
