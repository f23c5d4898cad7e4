/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What traffic cost, by the prices of the policy in force now. A month's price is that of all this host sent under it in the calendar
 * month (UTC), tiers and free allowance included; each byte of the month has an equal share in it (policy/price.h).
 */
#pragma once

#include "base/json.h"
#include "history/groups.h"
#include "history/scan.h"

struct costs;

/* Reads the months of the span. *ret is NULL when the policy has no prices. */
int costs_new(struct costs **ret, struct scan *s);
struct costs *costs_free(struct costs *c);

/* Where a portion's bytes that left are counted. false: no price is for it. */
bool costs_slot(struct costs *c, const struct portion *p, uint32_t *ret);
/* Sorts by it, then: 10^-9 of a unit, whatever the currency. */
void costs_weigh(const struct costs *c, struct group *g);
/* "cost": {"amount":…,"currency":…}, or a list where there are several currencies; nothing without a price. */
void costs_put(const struct costs *c, struct json *j, const struct group_cost *bytes);
/* The same, had each month as much a second until its end: `of` is what was counted of the current one. */
void costs_put_forecast(const struct costs *c, struct json *j, const struct group_cost *bytes,
			double factor);
/* "prices": what of this left under each price of the policy, and what that cost; nothing without prices. */
void costs_put_prices(const struct costs *c, struct json *j, const struct group_cost *bytes);
/*
 * "budgets": how they stood in the last month of the span, with a forecast while it goes on; nothing without budgets. They are over
 * all that left in it, whatever was asked for.
 */
void costs_put_budgets(const struct costs *c, struct json *j, uint64_t now_ns);
/* A line of notes: bytes that only an address would price, of sums that do not know it. */
void costs_note(const struct costs *c, struct scan *s);
