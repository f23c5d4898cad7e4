/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to history/: which tables of a fleet a span is put together from, as cover.h has it of this machine's files. Each hour comes from
 * the best table of sums of which it is known that it is whole there, and from pieces where that is known of none. Pure.
 */
#pragma once

#include "history/fleet_sql.h"

struct fleet_cover;

struct fleet_part {
	enum fleet_table table; /* FLEET_FLOW: pieces */
	struct store_span span;
};

/* Best is what is in the order of what the filter asks for: of that an index finds little to read. Else it is what has the fewest rows. */
int fleet_cover_new(struct fleet_cover **ret, struct store_span span, const struct filter *filter);
struct fleet_cover *fleet_cover_free(struct fleet_cover *c); /* NULL is fine */

struct store_span fleet_cover_hours(const struct fleet_cover *c); /* the span, widened to hours */

/* What begins then is whole in these sums: an hour of the span, widened to hours; a day that lies in the span. Others are ignored. */
void fleet_cover_mark(struct fleet_cover *c, enum fleet_table sums, uint64_t begin_ns);

/* Part by part, *at being 0 first. Sums are of whole hours and days, pieces of the span alone. False: that was all. */
bool fleet_cover_next(const struct fleet_cover *c, size_t *at, struct fleet_part *ret);
