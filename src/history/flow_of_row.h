/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of history as flows, so that the filter language, EVE records and policy read them as they read a live flow. What is made is
 * valid until the next is made.
 */
#pragma once

#include "store/row.h"
#include "store/sums.h"

struct flow;
struct flow_maker;

int flow_maker_new(struct flow_maker **ret);
struct flow_maker *flow_maker_free(struct flow_maker *m);

/* Counters are those of the row. NULL: no memory. */
const struct flow *flow_of_row(struct flow_maker *m, const struct store_row *row);
/* A flow of which only the dimensions of a sum are known. */
const struct flow *flow_of_key(struct flow_maker *m, const struct store_key *key);
