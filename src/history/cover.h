/* SPDX-License-Identifier: Apache-2.0 */
/* Private to history/: which sums a span is put together from. All buckets are those of UTC. */
#pragma once

#include <stdbool.h>

#include "store/read.h"

#define COVER_PARTS_MAX 5 /* minutes, hours, days, hours, minutes */

struct cover_part {
	enum store_step step;
	struct store_span span;
};

struct cover {
	struct store_span span; /* widened to whole buckets of what is kept there */
	enum store_step finest; /* that was needed */
	struct cover_part parts[COVER_PARTS_MAX];
	size_t n;
};

/* `largest`: none longer than that. What lies behind now is left out. */
void cover_plan(struct cover *ret, struct store_reader *r, struct store_span span, uint64_t now_ns,
		enum store_step largest);

/* Sums of this step reach back to that time, or nothing does. */
bool cover_is_kept(struct store_reader *r, enum store_step step, uint64_t time_ns);

uint64_t cover_step_ns(enum store_step step);
uint64_t cover_day(uint64_t time_ns);       /* the begin of its day */
uint64_t cover_month_end(uint64_t time_ns); /* the begin of the month after its own */
