/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/when.h"

#include <errno.h>
#include <stdio.h>

#include "base/calendar.h"
#include "base/cleanup.h"
#include "base/time.h"

#define DAY 86400

/* --- the calendar ------------------------------------------------------------------------------------------------ */

time_t when_day(time_t t, int days)
{
	struct tm tm = { 0 };

	localtime_r(&t, &tm);
	tm.tm_mday += days;
	return calendar_day(&tm);
}

/* --- one point in time ------------------------------------------------------------------------------------------- */

/* What was read of a word so far. */
struct point {
	struct str rest;
	struct tm tm;
	bool has_day, named_day, has_time, has_zone;
	time_t zone_s;
};

static bool take_digits(struct str *s, size_t n, int *ret)
{
	int v = 0;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		v = v * 10 + s->p[i] - '0';
	}
	*ret = v;
	*s = str_sub(*s, n, s->n);
	return true;
}

static bool take_char(struct str *s, const char *any)
{
	if (!s->n || !*s->p || !strchr(any, *s->p))
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

static bool is_date(const struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = tm->tm_year + 1900;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return year >= 1970 && tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 &&
	       tm->tm_mday <= days[tm->tm_mon] + (leap && tm->tm_mon == 1);
}

/* "2026-11-03"; what does not begin so is left alone. */
static bool take_date(struct point *p)
{
	struct str s = p->rest;
	int year, month, day;

	if (!take_digits(&s, 4, &year) || !take_char(&s, "-") || !take_digits(&s, 2, &month) ||
	    !take_char(&s, "-") || !take_digits(&s, 2, &day))
		return false;
	p->tm.tm_year = year - 1900;
	p->tm.tm_mon = month - 1;
	p->tm.tm_mday = day;
	p->rest = s;
	return true;
}

/* "today", "yesterday", "monday", "mon" */
static bool take_day_word(struct point *p, time_t now)
{
	static const char *const weekdays[] = { "sunday",   "monday", "tuesday", "wednesday",
						"thursday", "friday", "saturday" };
	struct str word, rest = p->rest;
	struct tm today = { 0 };
	int back = -1;

	if (!str_cut(&rest, ' ', &word))
		return false;
	localtime_r(&now, &today);
	if (str_eq_nocase(word, STR("today")))
		back = 0;
	if (str_eq_nocase(word, STR("yesterday")))
		back = 1;
	for (int i = 0; i < 7; i++)
		if (str_eq_nocase(word, str_of(weekdays[i])) ||
		    str_eq_nocase(word, (struct str){ weekdays[i], 3 }))
			back = (today.tm_wday - i + 7) % 7;
	if (back < 0)
		return false;
	p->tm.tm_year = today.tm_year;
	p->tm.tm_mon = today.tm_mon;
	p->tm.tm_mday = today.tm_mday - back;
	p->rest = str_sub(p->rest, word.n, p->rest.n);
	p->named_day = true;
	return true;
}

/* "14:00", "14:00:30", "14:00:30.5"; false: it is none, or out of range. */
static bool take_time(struct point *p)
{
	struct str s = p->rest;
	struct tm *tm = &p->tm;
	int digit;

	if (!take_digits(&s, 2, &tm->tm_hour) || !take_char(&s, ":") ||
	    !take_digits(&s, 2, &tm->tm_min))
		return false;
	if (take_char(&s, ":")) {
		if (!take_digits(&s, 2, &tm->tm_sec))
			return false;
		if (take_char(&s, ".")) {
			if (!take_digits(&s, 1, &digit))
				return false;
			while (take_digits(&s, 1, &digit))
				;
		}
	}
	p->rest = s;
	if (tm->tm_sec == 60) /* RFC 3339 has leap seconds, Unix time has not */
		tm->tm_sec = 59;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

/* "Z", "+01:00", "-0530" */
static bool take_zone(struct point *p)
{
	struct str s = p->rest;
	bool minus = s.n && *s.p == '-';
	int hours, minutes;

	if (take_char(&s, "Zz")) {
		p->rest = s;
		return true;
	}
	if (!take_char(&s, "+-") || !take_digits(&s, 2, &hours))
		return false;
	take_char(&s, ":");
	if (!take_digits(&s, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	p->zone_s = (minus ? -1 : 1) * (hours * 3600L + minutes * 60L);
	p->rest = s;
	return true;
}

/* All of the word into its parts; false: it is nothing we know. */
static bool take_point(struct point *p, time_t now)
{
	p->has_day = take_date(p) || take_day_word(p, now);
	if (p->has_day && !p->rest.n)
		return true;
	if (p->has_day && !take_char(&p->rest, p->named_day ? " " : " Tt"))
		return false;
	p->has_time = take_time(p);
	if (!p->has_time)
		return false;
	if (p->has_day && !p->named_day && p->rest.n)
		p->has_zone = take_zone(p);
	return !p->rest.n;
}

/* The local time of *tm when its clocks show summer time, or winter time; false: they do not show it then. */
static bool local_time(const struct tm *tm, int summer, time_t *ret)
{
	struct tm made = *tm;

	made.tm_isdst = summer;
	*ret = mktime(&made);
	return made.tm_isdst == summer && made.tm_hour == tm->tm_hour && made.tm_min == tm->tm_min;
}

static bool is_local_time(const struct tm *tm, bool late, time_t *ret)
{
	time_t summer, winter;
	bool in_summer = local_time(tm, 1, &summer), in_winter = local_time(tm, 0, &winter);

	if (in_summer && in_winter)
		*ret = late ? MAX(summer, winter) : MIN(summer, winter);
	else
		*ret = in_summer ? summer : winter;
	return in_summer || in_winter;
}

int when_parse(struct str word, time_t now, bool late, time_t *ret, char why[WHEN_WHY])
{
	struct point p = { .rest = str_trim(word) };
	struct tm today = { 0 };
	uint64_t ago_ns;

	tzset();
	if (str_eq_nocase(p.rest, STR("now"))) {
		*ret = now;
		return 0;
	}
	if (p.rest.n && *p.rest.p == '-' &&
	    duration_parse(str_sub(p.rest, 1, p.rest.n), &ago_ns) == 0) {
		*ret = MAX(now - (time_t)(ago_ns / NSEC_PER_SEC), (time_t)0);
		return 0;
	}
	if (!take_point(&p, now)) {
		snprintf(why, WHEN_WHY,
			 "'%.*s' is no time: write 2026-11-03, '2026-11-03 14:00', 14:00, "
			 "yesterday, "
			 "monday or -2h",
			 (int)MIN(word.n, 64U), word.p);
		return -EINVAL;
	}
	if (p.has_day && !p.named_day && !is_date(&p.tm)) {
		snprintf(why, WHEN_WHY, "'%.*s': there is no such day", STR_FMT(word));
		return -EINVAL;
	}
	if (!p.has_day) {
		localtime_r(&now, &today);
		p.tm.tm_year = today.tm_year;
		p.tm.tm_mon = today.tm_mon;
		p.tm.tm_mday = today.tm_mday;
	}
	if (!p.has_time)
		*ret = calendar_day(&p.tm);
	else if (p.has_zone)
		*ret = timegm(&p.tm) - p.zone_s;
	else if (!is_local_time(&p.tm, late, ret)) {
		snprintf(why, WHEN_WHY,
			 "'%.*s' never comes: clocks go forward over it; take a time an hour away",
			 STR_FMT(word));
		return -EINVAL;
	}
	*ret = MAX(*ret, (time_t)0);
	return 0;
}

/* --- spans ------------------------------------------------------------------------------------------------------- */

/* The first second of the period that is `steps` after the one `t` is in; -1: there is no such period. */
static time_t period_begin(const char *period, time_t t, int steps)
{
	struct tm tm = { 0 };

	localtime_r(&t, &tm);
	if (!strcmp(period, "day")) {
		tm.tm_mday += steps;
	} else if (!strcmp(period, "week")) {
		tm.tm_mday += 7 * steps - (tm.tm_wday + 6) % 7;
	} else if (!strcmp(period, "month")) {
		tm.tm_mon += steps;
		tm.tm_mday = 1;
	} else {
		return -1;
	}
	return calendar_day(&tm);
}

static int span_of_period(const char *period, time_t now, int steps, struct when_span *ret)
{
	ret->from = period_begin(period, now, steps);
	ret->to = period_begin(period, now, steps + 1);
	return ret->from < 0 ? -EINVAL : 0;
}

static int span_of_points(const struct when_words *w, time_t now, struct when_span *ret,
			  char why[WHEN_WHY])
{
	char text[WHEN_TEXT];
	int r = 0;

	ret->to = now + 1;
	if (w->to)
		r = when_parse(str_of(w->to), now, true, &ret->to, why);
	ret->from = MAX(ret->to - DAY, (time_t)0);
	if (r == 0 && w->from)
		r = when_parse(str_of(w->from), now, false, &ret->from, why);
	if (r < 0)
		return r;
	if (ret->from >= now)
		snprintf(why, WHEN_WHY, "--from: %s has not come yet",
			 when_format(ret->from, text));
	else if (ret->from >= ret->to)
		snprintf(why, WHEN_WHY,
			 "--to must be after --from; a day without a time is its beginning "
			 "(00:00), so to "
			 "have all of a day end with the next");
	else
		return 0;
	return -EINVAL;
}

int when_span(const struct when_words *w, time_t now, struct when_span *ret, char why[WHEN_WHY])
{
	bool points = w->from || w->to;
	uint64_t ns = DAY * NSEC_PER_SEC;

	tzset();
	if ((w->last != NULL) + (w->period != NULL) + points > 1) {
		snprintf(why, WHEN_WHY,
			 "one of --last, --period, and --from with --to says which time; not two");
		return -EINVAL;
	}
	if (points)
		return span_of_points(w, now, ret, why);
	if (w->period) {
		if (span_of_period(w->period, now, 0, ret) == 0)
			return 0;
		snprintf(why, WHEN_WHY, "--period %.32s: it is day, week or month", w->period);
		return -EINVAL;
	}
	if (w->last && span_of_period(w->last, now, -1, ret) == 0)
		return 0;
	if (w->last && (duration_parse(str_of(w->last), &ns) < 0 || ns < NSEC_PER_SEC)) {
		snprintf(why, WHEN_WHY,
			 "--last %.32s: it is a time like 90m, 24h, 7d or 4w, or a whole day, "
			 "week or month",
			 w->last);
		return -EINVAL;
	}
	ret->to = now + 1;
	ret->from = MAX(ret->to - (time_t)(ns / NSEC_PER_SEC), (time_t)0);
	return 0;
}

/* --- and back ---------------------------------------------------------------------------------------------------- */

char *when_format(time_t t, char text[WHEN_TEXT])
{
	struct tm tm;

	if (t <= 0 || !localtime_r(&t, &tm) || !strftime(text, WHEN_TEXT, "%Y-%m-%d %H:%M", &tm))
		snprintf(text, WHEN_TEXT, "-");
	return text;
}

char *when_format_utc(time_t t, char text[WHEN_TEXT])
{
	struct tm tm;

	if (t <= 0 || !gmtime_r(&t, &tm) || !strftime(text, WHEN_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm))
		*text = 0;
	return text;
}
