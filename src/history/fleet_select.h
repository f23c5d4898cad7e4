/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to history/: a question of sums as statements of ClickHouse, one a table. Each has the same columns, so that they can be put
 * together. Pure.
 */
#pragma once

#include "history/fleet_sql.h"
#include "history/scan.h"

struct fleet_select {
	const struct scan *scan;
	const struct history_question *question;
	bool wanted[COLUMN_COUNT];
	bool whole_key; /* both ends as they are, not only the peer where it has no name */
};

void fleet_select_for(struct fleet_select *ret, const struct scan *scan,
		      const struct history_question *q);
/* Bits of the tables of sums that know all that is asked for; of pieces alone: 0. */
unsigned fleet_select_sums(const struct fleet_select *s);
/* Of the same span and filter: `part` is answered from sums that have fewer rows than those that `whole` needs. */
bool fleet_reads_less(const struct scan *s, const struct history_question *part,
		      const struct history_question *whole);

/* What a statement's columns are: keys, then sums; and how many. */
size_t fleet_select_columns(const struct fleet_select *s, uint8_t columns[COLUMN_COUNT]);
void fleet_put_select(struct buf *out, const struct fleet_select *s, enum fleet_table table,
		      struct store_span span);
/* Of such statements, joined by UNION ALL: the scan's `top` largest groups of them together. */
void fleet_put_largest(struct buf *out, const struct fleet_select *s, const struct buf *parts);
