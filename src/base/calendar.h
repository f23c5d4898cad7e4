/* SPDX-License-Identifier: Apache-2.0 */
/* The calendar of the local time zone. Where clocks go forward at midnight a day has no 00:00; it begins all the same. */
#pragma once

#include <stdint.h>
#include <time.h>

/* The first second of the local day of *day (its year, month and day; a 32nd is put right). */
time_t calendar_day(const struct tm *day);

/* The hour, day, week (from Monday) or month ('h' 'd' 'w' 'm') that holds now_s: from its first second up to the next one's. */
void calendar_period(char period, int64_t now_s, int64_t *ret_from_s, int64_t *ret_to_s);
