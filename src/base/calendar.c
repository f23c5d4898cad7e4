/* SPDX-License-Identifier: Apache-2.0 */
#include "base/calendar.h"

#define HOUR_S 3600

/* Order of local days: grows with the date. */
static int day_number(const struct tm *tm)
{
	return (tm->tm_year * 12 + tm->tm_mon) * 31 + tm->tm_mday;
}

static int day_number_of(time_t t)
{
	struct tm tm = { 0 };

	localtime_r(&t, &tm);
	return day_number(&tm);
}

time_t calendar_day(const struct tm *day)
{
	struct tm noon = { .tm_year = day->tm_year,
			   .tm_mon = day->tm_mon,
			   .tm_mday = day->tm_mday,
			   .tm_hour = 12,
			   .tm_isdst = -1 };
	time_t in = mktime(&noon), before = in - 18 * 3600;
	int wanted = day_number(&noon); /* mktime() put a 32nd right */

	while (in - before > 1) {
		time_t middle = before + (in - before) / 2;

		if (day_number_of(middle) >= wanted)
			in = middle;
		else
			before = middle;
	}
	return in;
}

void calendar_period(char period, int64_t now_s, int64_t *ret_from_s, int64_t *ret_to_s)
{
	time_t now = (time_t)now_s;
	struct tm tm = { 0 }, to;

	localtime_r(&now, &tm);
	*ret_from_s = now_s - tm.tm_min * 60 - tm.tm_sec;
	*ret_to_s = *ret_from_s + HOUR_S;
	if (period == 'h')
		return;
	if (period == 'w')
		tm.tm_mday -= (tm.tm_wday + 6) % 7;
	if (period == 'm')
		tm.tm_mday = 1;
	to = tm;
	to.tm_mday += period == 'w' ? 7 : period == 'd';
	to.tm_mon += period == 'm';
	*ret_from_s = calendar_day(&tm);
	*ret_to_s = calendar_day(&to);
	if (*ret_to_s <= now_s) /* a zone that left out a whole day */
		*ret_to_s = now_s + HOUR_S;
}
