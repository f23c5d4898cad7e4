/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to history/: questions in the words of ClickHouse, of its version 18.16 and later. Pure. Texts of a question reach a statement
 * quoted and in no other way.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "store/clickhouse_read.h"
#include "store/read.h"

struct addr;
struct cidr;
struct filter;

/* What is asked; their columns differ. FLEET_WHOLE: pieces put together by flow, of which counters and times are known alone. */
enum fleet_table {
	FLEET_FLOW,
	FLEET_VERDICT,
	/* sums, the fewest rows first */
	FLEET_USAGE_NAME, /* by hour, of all machines together: only what is of the other side */
	FLEET_USAGE_HOST, /* by hour, of each machine: all but the other side's name and place */
	FLEET_USAGE_PROGRAM_DAY, /* by day, of all machines together: programs with the other side */
	FLEET_USAGE_PROGRAM,     /* the same by hour */
	FLEET_USAGE_DAY,         /* by day: what is of the other side, of each machine */
	FLEET_USAGE_PEER, /* the same by hour, and the one that is in order of machines; the others with a name are in order of names */
	FLEET_USAGE_HOUR, /* by hour: all of it */
	FLEET_WHOLE,
	FLEET_KEY /* of `flow`: what is the same in all pieces of a flow */
};
#define FLEET_SUMS (FLEET_USAGE_HOUR + 1)
#define FLEET_BY_DAY (1U << FLEET_USAGE_PROGRAM_DAY | 1U << FLEET_USAGE_DAY)
static inline bool fleet_is_sums(enum fleet_table t)
{
	return t >= FLEET_USAGE_NAME && t < FLEET_SUMS;
}

const char *fleet_table_name(enum fleet_table t); /* up to FLEET_USAGE_HOUR */
/* Of sums: how long one is of, and the column that says when it begins. */
uint64_t fleet_step_s(enum fleet_table sums);
const char *fleet_begin(enum fleet_table sums);

/* 'text', quoted. */
void fleet_put_text(struct buf *out, struct str s);

/*
 * A condition in parentheses, for WHERE (FLEET_WHOLE: HAVING), that all rows meet which the filter lets through; *ret_exact: and no others. What a
 * table cannot tell is no condition there. False: no memory.
 */
bool fleet_put_filter(struct buf *out, const struct filter *f, enum fleet_table table,
		      bool *ret_exact);
/* The table has all that the filter asks of a flow's row, up to its further names and what its container is called besides. */
bool fleet_holds_in_part(const struct filter *f, enum fleet_table table);

void fleet_put_ip(struct buf *out, const struct addr *a); /* its 16 bytes */
void fleet_put_cidr(struct buf *out, const char *what,
		    const struct cidr *c); /* the address in `what` lies in it */
void fleet_put_below(struct buf *out, const char *what,
		     struct str name); /* the name in `what` is it, or below it */

/* "ts >= … AND ts < …", in a way that lets parts and granules be left out. */
void fleet_put_span(struct buf *out, enum fleet_table table, struct store_span span);

/* The rows of `summed` that say what is whole of it. */
void fleet_put_marks(struct buf *out, enum fleet_table sums, struct store_span span);

/* What a column of a row is in this table; NULL: it has none. */
const char *fleet_column(enum clickhouse_column c, enum fleet_table table);
