/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times as people write them on the command line, in local time (TZ): a span of history from `--last`, `--from`, `--to` and
 * `--period`. Results are Unix seconds; `from` is part of the span, `to` is not.
 */
#pragma once

#include <time.h>

#include "base/str.h"

#define WHEN_WHY 256

/*
 * One point in time:
 *
 *     now   -2h   -7d                       so long ago
 *     14:00   14:00:30                      today
 *     today   yesterday   monday   mon      when that day began; the last such day, today included
 *     2026-11-03                            when that day began
 *     DAY 14:00                             any of these days, at that time
 *     2026-11-03T14:00:00Z   …+01:00        RFC 3339: with a zone of its own
 *
 * A local time that comes twice, when clocks go back, is the first of both, or the second when `late`. One that never comes is an
 * error, but a day begins with the first second it has. 0; -EINVAL with a sentence in `why`.
 */
int when_parse(struct str word, time_t now, bool late, time_t *ret, char why[WHEN_WHY]);

/* As given; NULL: not given. */
struct when_words {
	const char *
		last; /* "7d": the time up to now; "day", "week", "month": the whole one before this */
	const char *from, *to; /* `from` alone: until now; `to` alone: the 24 h before it */
	const char *
		period; /* "day", "week" (from Monday), "month": of the calendar, the current one */
};

/* Until now: the second that is running is in it. A period ends when it ends, in the future. */
struct when_span {
	time_t from, to;
};

/* Nothing given: the last 24 hours. 0; -EINVAL with a sentence in `why`. */
int when_span(const struct when_words *w, time_t now, struct when_span *ret, char why[WHEN_WHY]);

/* The first second of the local day that is `days` after the one that holds `t`. */
time_t when_day(time_t t, int days);

#define WHEN_TEXT 32
/* "2026-11-03 14:00" in local time; "-" for 0. Returns `text`. */
char *when_format(time_t t, char text[WHEN_TEXT]);
/* "2026-11-03T14:00:00Z", for machines; empty for 0. Returns `text`. */
char *when_format_utc(time_t t, char text[WHEN_TEXT]);
