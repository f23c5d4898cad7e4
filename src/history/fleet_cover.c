/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fleet_cover.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"

#define HOUR_NS (3600 * NSEC_PER_SEC)
#define HOURS_A_DAY 24
#define N_SUMS (FLEET_SUMS - FLEET_USAGE_NAME)

struct fleet_cover {
	struct store_span span, hours; /* as asked, and widened */
	const uint8_t *order;
	size_t n;
	uint16_t whole[]; /* by hour: bits of tables */
};
_Static_assert(FLEET_SUMS <= 16, "a bit each");

static const uint8_t *order_for(const struct filter *f)
{
	static const uint8_t by_size[N_SUMS] = { FLEET_USAGE_PROGRAM_DAY, FLEET_USAGE_NAME,
						 FLEET_USAGE_HOST,        FLEET_USAGE_PROGRAM,
						 FLEET_USAGE_DAY,         FLEET_USAGE_PEER,
						 FLEET_USAGE_HOUR },
			     by_host[N_SUMS] = { FLEET_USAGE_PROGRAM_DAY, FLEET_USAGE_NAME,
						 FLEET_USAGE_HOST,        FLEET_USAGE_PROGRAM,
						 FLEET_USAGE_PEER,        FLEET_USAGE_DAY,
						 FLEET_USAGE_HOUR },
			     by_name[N_SUMS] = { FLEET_USAGE_PROGRAM_DAY, FLEET_USAGE_NAME,
						 FLEET_USAGE_HOST,        FLEET_USAGE_PROGRAM,
						 FLEET_USAGE_DAY,         FLEET_USAGE_HOUR,
						 FLEET_USAGE_PEER };

	return filter_requires(f, "host").n   ? by_host
	       : filter_requires(f, "name").n ? by_name
					      : by_size;
}

int fleet_cover_new(struct fleet_cover **ret, struct store_span span, const struct filter *filter)
{
	/* seconds of ClickHouse's DateTime */
	uint64_t end = MIN(span.to_ns, UINT32_MAX * NSEC_PER_SEC);
	struct store_span hours = { span.from_ns - span.from_ns % HOUR_NS,
				    (end + HOUR_NS - 1) / HOUR_NS * HOUR_NS };
	size_t n = hours.from_ns < hours.to_ns ? (hours.to_ns - hours.from_ns) / HOUR_NS : 0;
	struct fleet_cover *c = calloc(1, sizeof(*c) + n * sizeof(c->whole[0]));

	if (!c)
		return -ENOMEM;
	c->span = (struct store_span){ span.from_ns, end };
	c->hours = hours;
	c->order = order_for(filter);
	c->n = n;
	*ret = c;
	return 0;
}

struct fleet_cover *fleet_cover_free(struct fleet_cover *c)
{
	free(c);
	return NULL;
}

struct store_span fleet_cover_hours(const struct fleet_cover *c)
{
	return c->hours;
}

void fleet_cover_mark(struct fleet_cover *c, enum fleet_table sums, uint64_t begin_ns)
{
	uint64_t step_ns = fleet_step_s(sums) * NSEC_PER_SEC;
	struct store_span in = step_ns > HOUR_NS ? c->span : c->hours;

	if (begin_ns % step_ns || begin_ns < in.from_ns || begin_ns + step_ns > in.to_ns)
		return;
	for (uint64_t at = begin_ns; at < begin_ns + step_ns; at += HOUR_NS)
		c->whole[(at - c->hours.from_ns) / HOUR_NS] |= (uint16_t)(1U << sums);
}

/* The first in the order of those that `bits` are of; N_SUMS: none. */
static size_t best_of(const struct fleet_cover *c, unsigned bits)
{
	size_t i = 0;

	while (i < N_SUMS && !(bits & 1U << c->order[i]))
		i++;
	return i;
}

/* A sum by day is of all its hours: it counts where none of them comes from what stands before it. */
static enum fleet_table table_at(const struct fleet_cover *c, size_t hour)
{
	size_t first = hour - (c->hours.from_ns / HOUR_NS + hour) % HOURS_A_DAY, best;
	unsigned bits = c->whole[hour], of_day = 0;

	if (bits & FLEET_BY_DAY) {
		for (size_t i = 0; i < HOURS_A_DAY; i++)
			of_day |= c->whole[first + i];
		bits &= ~FLEET_BY_DAY | 1U << c->order[best_of(c, of_day)];
	}
	best = best_of(c, bits);
	return best < N_SUMS ? (enum fleet_table)c->order[best] : FLEET_FLOW;
}

bool fleet_cover_next(const struct fleet_cover *c, size_t *at, struct fleet_part *ret)
{
	size_t from = *at;

	if (from == c->n)
		return false;
	ret->table = table_at(c, from);
	while (*at < c->n && table_at(c, *at) == ret->table)
		(*at)++;
	ret->span = (struct store_span){ c->hours.from_ns + from * HOUR_NS,
					 c->hours.from_ns + *at * HOUR_NS };
	if (ret->table == FLEET_FLOW) {
		ret->span.from_ns = MAX(ret->span.from_ns, c->span.from_ns);
		ret->span.to_ns = MIN(ret->span.to_ns, c->span.to_ns);
	}
	return true;
}
