/* SPDX-License-Identifier: Apache-2.0 */
/* Times are Unix nanoseconds in a uint64_t, durations nanoseconds. Stages get time from events, never from here. */
#pragma once

#include <stdint.h>

#include "base/str.h"

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL

#define TIME_TEXT_MAX 40

uint64_t time_now(void);      /* CLOCK_REALTIME */
uint64_t time_now_boot(void); /* CLOCK_BOOTTIME */

/* "2026-01-02T03:04:05.678901+0000", the form of EVE records. Returns `text`. */
char *time_format(uint64_t ns, char text[TIME_TEXT_MAX]);

/* That form back, to the microsecond. 0 or -EINVAL. */
int time_parse(struct str s, uint64_t *ret_ns);

/* "30s", "5m", "2h", "7d", "4w", "250ms"; 0 or -EINVAL. */
int duration_parse(struct str s, uint64_t *ret_ns);
/* A short form for people: "840 ms", "12.4 s", "3 m 20 s", "2 h 5 m", "3 d 4 h". Returns `text`. */
char *duration_format(uint64_t ns, char text[TIME_TEXT_MAX]);
