/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fleet_cover.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"

#define HOUR_NS (3600 * NSEC_PER_SEC)

struct fleet_cover {
	struct store_span span, hours; /* as asked, and widened */
	const uint8_t *order;
	size_t n;
	uint8_t whole[]; /* by hour: bits of tables */
};
_Static_assert(FLEET_SUMS <= 8, "a bit each");

int fleet_cover_new(struct fleet_cover **ret, struct store_span span,
		    const uint8_t order[static FLEET_N_SUMS])
{
	/* seconds of ClickHouse's DateTime */
	uint64_t end = MIN(span.to_ns, UINT32_MAX * NSEC_PER_SEC);
	struct store_span hours = { span.from_ns - span.from_ns % HOUR_NS,
				    (end + HOUR_NS - 1) / HOUR_NS * HOUR_NS };
	size_t n = hours.from_ns < hours.to_ns ? (hours.to_ns - hours.from_ns) / HOUR_NS : 0;
	struct fleet_cover *c = calloc(1, sizeof(*c) + n);

	if (!c)
		return -ENOMEM;
	c->span = (struct store_span){ span.from_ns, end };
	c->hours = hours;
	c->order = order;
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
		c->whole[(at - c->hours.from_ns) / HOUR_NS] |= (uint8_t)(1U << sums);
}

static enum fleet_table table_at(const struct fleet_cover *c, size_t hour)
{
	for (size_t i = 0; i < FLEET_N_SUMS; i++)
		if (c->whole[hour] & 1U << c->order[i])
			return (enum fleet_table)c->order[i];
	return FLEET_FLOW;
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
