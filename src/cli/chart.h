/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of values over time as characters: eight heights of block characters, or ".:-=+*#@" where the locale is not UTF-8. Linear,
 * from 0 to the highest value; 0 is a blank, and what is more than 0 is never blank. Below it an axis with local times.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#include "base/buf.h"

/* Steps a chart is cut into; the least with at most `columns` of them over the span, or a day. In seconds. */
unsigned chart_step(time_t from, time_t to, unsigned columns);

/* Adds up `each` neighbours to one, in place; how many there are then. */
size_t chart_fold(uint64_t *values, size_t n, size_t each);

void chart_row(struct buf *out, const uint64_t *values, size_t n, uint64_t highest);

/*
 * Two lines without their ends: "|14:00   |16:00" and the dates below, "|11-03". A label stands for the column below its bar, and says
 * when that begins.
 */
void chart_axis(struct buf *times, struct buf *dates, time_t start, unsigned step, size_t n);
