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

static bool digits(struct str s, size_t from, size_t n, int *ret)
{
	*ret = 0;
	for (size_t i = from; i < from + n; i++) {
		if (i >= s.n || s.p[i] < '0' || s.p[i] > '9')
			return false;
		*ret = *ret * 10 + s.p[i] - '0';
	}
	return true;
}

int time_parse(struct str s, uint64_t *ret_ns)
{
	int year, month, day, hour, minute, second, micro, y;
	int64_t days;

	if (s.n < 26 || !digits(s, 0, 4, &year) || !digits(s, 5, 2, &month) ||
	    !digits(s, 8, 2, &day) || !digits(s, 11, 2, &hour) || !digits(s, 14, 2, &minute) ||
	    !digits(s, 17, 2, &second) || !digits(s, 20, 6, &micro) || year < 1970 || month < 1 ||
	    month > 12)
		return -EINVAL;
	/* Days since 1970 of a Gregorian date whose years begin in March. */
	y = month <= 2 ? year - 1 : year;
	days = 365LL * y + y / 4 - y / 100 + y / 400 +
	       (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1 - 719468;
	*ret_ns = (uint64_t)(((days * 24 + hour) * 60 + minute) * 60 + second) * 1000000000 +
		  (uint64_t)micro * 1000;
	return 0;
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
