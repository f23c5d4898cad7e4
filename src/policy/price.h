/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bytes cost, by the `price` statements of a policy. As clouds bill it: only what leaves is priced ("up" bytes of IP
 * packets), a price's tiers and free allowance are over all bytes to its destinations in one calendar month of UTC, and the
 * first price whose destinations take in a flow is the flow's price, as with rules.
 *
 * Amounts are whole numbers of 10^-9 of a unit of currency. price_total() rounds down at each tier, and all else is a
 * difference of totals, so that the costs of the parts of a month add up to the month's exactly, however it is cut. Amounts
 * of different currencies are never added. Pure functions; no floating point.
 */
#pragma once

#include <stdint.h>

#include "base/addr.h"
#include "policy/policy.h"

#define PRICE_NONE UINT32_MAX          /* no price is for it */
#define PRICE_UNKNOWN (UINT32_MAX - 1) /* only its address, which is not known, would tell */
#define PRICE_TEXT_MAX 24

/* Where the lists that prices name are read from, and who is told of those that give nothing: a line each. */
struct price_lists {
	const char *cache; /* folder of downloads; NULL: none */
	int64_t now_s;
	struct buf *notes;
};

struct price_table;
/* p is borrowed; without `lists` they are the destination of no price. */
int price_table_new(struct price_table **ret, const struct policy *p,
		    const struct price_lists *lists);
struct price_table *price_table_free(struct price_table *t);
size_t price_count(const struct price_table *t);
const struct policy_price *price_at(const struct price_table *t, uint32_t price);
/* Some prices are for addresses: a sum that knows no more than a name is PRICE_UNKNOWN to them. */
bool price_needs_addresses(const struct price_table *t);

/* Warns of prices that go by what no database here tells. */
int price_check(const struct policy *p, bool countries, bool systems, struct buf *messages);

/* The other side of a flow or of a sum; what is not known is NULL, empty, 0, and then not the destination of a price. */
struct price_dest {
	const struct addr *addr;
	struct str name;     /* the best one, lower case: it alone decides for prices of names */
	struct str segment;  /* as in records: of the policy, or "internet", "private" … */
	const char *country; /* two capitals */
	uint32_t asn;
};
/* Its price, by its place in the policy from 0; PRICE_NONE, PRICE_UNKNOWN. */
uint32_t price_find(const struct price_table *t, const struct price_dest *d);

/* For the first `bytes` of a month; at most UINT64_MAX. */
uint64_t price_total(const struct policy_price *p, uint64_t bytes);
/* For `bytes` more after `before` of that month. */
uint64_t price_cost(const struct policy_price *p, uint64_t before, uint64_t bytes);
/*
 * Of `cost`, for `whole` bytes, what falls on [before, before + bytes) of them, evenly: for splitting a month's cost over
 * programs. The shares of consecutive parts add up to the cost exactly.
 */
uint64_t price_share(uint64_t cost, uint64_t before, uint64_t bytes, uint64_t whole);

/* Whether what is paid at this price counts for the budget. */
bool price_is_of_budget(const struct policy_price *p, const struct policy_budget *b);

/* The calendar month of UTC around a time of the years 1970 to 9999: [*ret_from_s, *ret_to_s). */
void price_month(int64_t unix_s, int64_t *ret_from_s, int64_t *ret_to_s);

/* "0.0021": decimal, no more digits than needed, a valid JSON number; returns `text`. */
char *price_format(uint64_t cost, char text[PRICE_TEXT_MAX]);
