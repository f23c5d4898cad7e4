/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t time_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t time_now_boot(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

char *time_format(uint64_t ns, char text[TIME_TEXT_MAX])
{
	static _Thread_local time_t last_sec = -1;
	static _Thread_local char last_text[24];
	time_t sec = (time_t)(ns / NSEC_PER_SEC);
	unsigned us = (unsigned)(ns % NSEC_PER_SEC / NSEC_PER_USEC);

	/* Records come in order of time: the calendar part is mostly that of the record before. */
	if (sec != last_sec) {
		struct tm tm;

		if (!gmtime_r(&sec, &tm) ||
		    !strftime(last_text, sizeof(last_text), "%Y-%m-%dT%H:%M:%S", &tm))
			snprintf(last_text, sizeof(last_text), "1970-01-01T00:00:00");
		last_sec = sec;
	}
	snprintf(text, TIME_TEXT_MAX, "%s.%06u+0000", last_text, us);
	return text;
}

int duration_parse(struct str s, uint64_t *ret_ns)
{
	static const struct {
		struct str unit;
		uint64_t ns;
	} units[] = {
		{ STR("ms"), NSEC_PER_MSEC },       { STR("s"), NSEC_PER_SEC },
		{ STR("m"), 60 * NSEC_PER_SEC },    { STR("h"), 3600 * NSEC_PER_SEC },
		{ STR("d"), 86400 * NSEC_PER_SEC }, { STR("w"), 7 * 86400 * NSEC_PER_SEC },
	};
	size_t digits = 0;
	uint64_t v;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	if (str_parse_u64(str_sub(s, 0, digits), &v) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (str_eq(str_sub(s, digits, s.n), units[i].unit))
			return __builtin_mul_overflow(v, units[i].ns, ret_ns) ? -EINVAL : 0;
	return -EINVAL;
}

char *duration_format(uint64_t ns, char text[TIME_TEXT_MAX])
{
	uint64_t s = ns / NSEC_PER_SEC;

	if (ns < NSEC_PER_SEC)
		snprintf(text, TIME_TEXT_MAX, "%u ms", (unsigned)(ns / NSEC_PER_MSEC));
	else if (s < 60)
		snprintf(text, TIME_TEXT_MAX, "%.1f s", (double)ns / 1e9);
	else if (s < 3600)
		snprintf(text, TIME_TEXT_MAX, "%u m %u s", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(text, TIME_TEXT_MAX, "%u h %u m", (unsigned)(s / 3600),
			 (unsigned)(s % 3600 / 60));
	else
		snprintf(text, TIME_TEXT_MAX, "%u d %u h", (unsigned)(s / 86400),
			 (unsigned)(s % 86400 / 3600));
	return text;
}
