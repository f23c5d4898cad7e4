/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over flows by one dimension: what `egret top` shows, and the tables that end `egret read` and `egret exec`.
 * Bounded: past `max_groups` the rest is summed as one group "(others)", never dropped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

struct flow;
struct rollup;

/* X(identifier, word users write, title of the column) */
#define ROLLUP_KEYS(X)                                                  \
	X(PROGRAM, "program", "PROGRAM")                                \
	X(USER, "user", "USER")                                         \
	X(UNIT, "unit", "UNIT")                                         \
	X(CONTAINER, "container", "CONTAINER")                          \
	X(NAME, "name", "NAME")                                         \
	X(ADDRESS, "address", "ADDRESS")                                \
	X(HOST, "host", "HOST") /* who opened it: the source address */ \
	X(PROTOCOL, "protocol", "PROTOCOL")

enum rollup_key {
#define X(id, word, title) ROLLUP_##id,
	ROLLUP_KEYS(X)
#undef X
		ROLLUP_KEY_COUNT
};

struct rollup_row {
	struct str label; /* owned by the rollup */
	uint64_t flows, up_bytes, down_bytes, up_packets, down_packets;
	double up_rate,
		down_rate; /* bytes per second over the last interval; 0 before the second one */
	uint64_t last_ns;
};

int rollup_new(struct rollup **ret, enum rollup_key key, size_t max_groups);
struct rollup *rollup_free(struct rollup *r);

/* One flow's totals so far. Living flows are given again each interval (rates are the difference); ended ones once. */
void rollup_begin(struct rollup *r,
		  uint64_t now_ns); /* a new interval: living flows are counted afresh */
void rollup_flow(struct rollup *r, const struct flow *f, bool ended);
/* Rows sorted by `sort` ("rate", "up", "down", "bytes", "flows", "label"), most first; borrowed until the next call. */
const struct rollup_row *rollup_rows(struct rollup *r, const char *sort, size_t *ret_n);

/* What a flow is summed under; may point into `text`. */
struct str rollup_label(enum rollup_key key, const struct flow *f, char text[ADDR_TEXT_MAX]);

const char *rollup_key_word(enum rollup_key k);
const char *rollup_key_title(enum rollup_key k);
int rollup_key_parse(struct str word,
		     enum rollup_key *ret); /* "app" is "program", as in a policy; -EINVAL */
