/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading history, in a process other than the writer's: pieces of flows, sums, findings, each handed to a callback. Read-only; sees
 * what was committed when the call began. A callback that returns other than 0 ends the reading, which then returns that.
 */
#pragma once

#include <stdint.h>

#include "store/row.h"
#include "store/sums.h"

struct store_reader;

/* -ENOENT: there is no history here. Files that cannot be read are skipped and counted. */
int store_reader_open(struct store_reader **ret, const char *dir, char error[256]);
struct store_reader *store_reader_close(struct store_reader *r);
uint64_t
store_reader_skipped(const struct store_reader *r); /* files that could not be read, so far */

struct store_span {
	uint64_t from_ns, to_ns; /* pieces whose end lies in [from, to) */
};
/* When the oldest kept piece, and the oldest kept sum of each step, was; 0: none. */
uint64_t store_oldest_piece(struct store_reader *r);
uint64_t store_oldest_sum(struct store_reader *r, enum store_step step);

/* Indexed ways in. All texts are compared as they are; empty: not asked. Rows are a superset to be filtered by the caller. */
struct store_hint {
	struct str name;         /* any name of the other side is it */
	struct str name_below;   /* or lies below it */
	const struct addr *peer; /* the other side's address; NULL: not asked */
	unsigned peer_bits;      /* of it: a network; 0: all of them */
	struct str exe_name;     /* last part of the executable's path, ASCII case ignored */
	uint64_t flow_id, boot;  /* 0: not asked */
};
typedef int (*store_row_fn)(void *ctx, const struct store_row *row);
/*
 * Newest first when `newest_first`, else oldest first, in the order in which they were kept: a piece can come that much later than its
 * end says, as a flow ends when it has been silent for a while.
 */
#define STORE_DISORDER_NS (600 * NSEC_PER_SEC)
int store_read_pieces(struct store_reader *r, struct store_span span, const struct store_hint *hint,
		      bool newest_first, store_row_fn fn, void *ctx);

/*
 * Sums of one step whose bucket begins in the span, already added up over time when `series` is false (then sum->time_ns is the first
 * bucket and sum->last_ns the last). sum->key lives as long as the reader: pointers can be compared and kept.
 */
typedef int (*store_sum_fn)(void *ctx, const struct store_sum *sum);
int store_read_sums(struct store_reader *r, enum store_step step, struct store_span span,
		    bool series, store_sum_fn fn, void *ctx);

typedef int (*store_finding_fn)(void *ctx, uint64_t time_ns, struct str id, struct str record);
int store_read_findings(struct store_reader *r, struct store_span span, store_finding_fn fn,
			void *ctx);
