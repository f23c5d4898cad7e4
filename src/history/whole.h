/* SPDX-License-Identifier: Apache-2.0 */
/* Private to history/: pieces of a flow put together to one row: its counters are those of the span, all else is as of the last piece. */
#pragma once

#include "history/scan.h"

#define WHOLE_FLOWS_MAX 200000 /* flows of several pieces that are put together at once */

/* Every flow of the span of which the hint finds a piece, in no order. -E2BIG: more than can be held. */
int whole_flows(struct scan *s, struct store_span span, const struct store_hint *hint,
		store_row_fn fn, void *ctx);

struct whole;
int whole_new(struct whole **ret);
struct whole *whole_free(struct whole *w);
/* A flow that is complete in one piece needs no putting together. */
static inline bool whole_already(const struct store_row *row)
{
	return !row->flow_id || (!row->seq && row->ends);
}
/* `newest` tells which piece comes first. 1: a flow that was not met before; 0: it was; -errno. */
int whole_add(struct whole *w, const struct store_row *row);
bool whole_has(const struct whole *w,
	       const struct store_row *row); /* a piece of its flow was added */
/* In the place of what was added of these flows: all of their pieces in the span, of this machine's history. */
int whole_complete(struct whole **w, struct scan *s, struct store_span span);
/* In the order in which they were met. */
int whole_each(struct whole *w, store_row_fn fn, void *ctx);
