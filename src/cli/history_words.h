/* SPDX-License-Identifier: Apache-2.0 */
/* What answers of the history have in common, in words. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* "2026-11-03 14:00 to 2026-11-10 14:00, from sums by day", and each note in a line of its own. */
void history_put_end(struct buf *out, const json_t *end);
/* "12 flows, 1.2 MB up, 34 MB down, 3 refused, 0.12 USD" of a row or of totals. */
void history_put_totals(struct buf *out, const json_t *totals);
/* "0.12 USD", "0.12 USD + 3.00 EUR"; false: there is no cost. */
bool history_put_cost(struct buf *out, const json_t *cost);
/* A fact of a row as text, made fit for a terminal; "-" when it is not known. */
void history_put_fact(struct buf *out, const json_t *fact);
/* The next word of --by, as answers have it ("app" for "program"); false: that was the last. */
bool history_next_by(struct str *rest, struct str *ret);
uint64_t history_number(const json_t *row, const char *key);
