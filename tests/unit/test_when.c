/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "cli/when.h"
#include "test.h"

/* Sunday, 2026-11-29 02:40:50 UTC; 03:40:50 in Berlin */
#define NOW 1795920050

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static int in_berlin(void **state)
{
	zone("Europe/Berlin");
	return 0;
}

/* What the words say, in UTC; the reason when they say nothing. */
static const char *said(const char *words, time_t now, bool late)
{
	static char text[WHEN_WHY];
	time_t t;

	if (when_parse(str_of(words), now, late, &t, text) == 0)
		when_format_utc(t, text);
	return text;
}

static const char *at(const char *words)
{
	return said(words, NOW, false);
}

static void test_points_in_time(void **state)
{
	assert_string_equal(at("now"), "2026-11-29T02:40:50Z");
	assert_string_equal(at("-2h"), "2026-11-29T00:40:50Z");
	assert_string_equal(at("-7d"), "2026-11-22T02:40:50Z");
	assert_string_equal(at("today"), "2026-11-28T23:00:00Z");
	assert_string_equal(at("Yesterday"), "2026-11-27T23:00:00Z");
	assert_string_equal(at("yesterday 14:00"), "2026-11-28T13:00:00Z");
	assert_string_equal(at("sunday"), "2026-11-28T23:00:00Z");
	assert_string_equal(at("monday"), "2026-11-22T23:00:00Z");
	assert_string_equal(at("sat 09:30:15"), "2026-11-28T08:30:15Z");
	assert_string_equal(at("02:15"), "2026-11-29T01:15:00Z");
	assert_string_equal(at("2026-11-03"), "2026-11-02T23:00:00Z");
	assert_string_equal(at(" 2026-11-03 14:00 "), "2026-11-03T13:00:00Z");
	assert_string_equal(at("2026-07-03 14:00"), "2026-07-03T12:00:00Z");
	assert_string_equal(at("2026-11-03T14:00:07"), "2026-11-03T13:00:07Z");
	assert_string_equal(at("2024-02-29"), "2024-02-28T23:00:00Z");
	assert_string_equal(at("1970-01-01"), "");
}

static void test_rfc_3339(void **state)
{
	assert_string_equal(at("2026-11-03T14:00:00Z"), "2026-11-03T14:00:00Z");
	assert_string_equal(at("2026-11-03t14:00:00.25z"), "2026-11-03T14:00:00Z");
	assert_string_equal(at("2026-11-03T14:00:00+05:30"), "2026-11-03T08:30:00Z");
	assert_string_equal(at("2026-11-03 14:00-0800"), "2026-11-03T22:00:00Z");
	assert_string_equal(at("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59Z");
}

static void test_what_is_no_time_is_told(void **state)
{
	const char *const wrong[] = { "",
				      "7",
				      "7d",
				      "-",
				      "-2x",
				      "noon",
				      "mo",
				      "2026",
				      "2026-11",
				      "2026-11-3",
				      "2026-11-03x",
				      "2026-11-03 ",
				      "2026-11-03 14",
				      "2026-11-03 24:00",
				      "2026-11-03 14:60",
				      "2026-11-03 14:00 Z",
				      "2026-11-03 14:00:00.",
				      "2026-11-03T14:00+1",
				      "2026-11-03T14:00+24:00",
				      "monday T14:00",
				      "todayT14:00",
				      "14:00Z",
				      "-99999999999999w" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		/* A blank at the end is forgiven. */
		if (strcmp(wrong[i], "2026-11-03 ") == 0)
			assert_string_equal(at(wrong[i]), "2026-11-02T23:00:00Z");
		else
			assert_non_null(strstr(at(wrong[i]), "is no time: write 2026-11-03"));
	}
	assert_string_equal(at("2026-02-29"), "'2026-02-29': there is no such day");
	assert_string_equal(at("2026-13-01 10:00"), "'2026-13-01 10:00': there is no such day");
	assert_string_equal(at("2026-00-01"), "'2026-00-01': there is no such day");
	assert_string_equal(at("1969-12-31"), "'1969-12-31': there is no such day");
}

/* Berlin, 2026: forward on 29 March (02:00 is 03:00), back on 25 October (03:00 is 02:00 again). */
static void test_clocks_that_change(void **state)
{
	assert_string_equal(at("2026-03-29"), "2026-03-28T23:00:00Z");
	assert_string_equal(at("2026-03-30"), "2026-03-29T22:00:00Z");
	assert_string_equal(at("2026-03-29 01:59"), "2026-03-29T00:59:00Z");
	assert_non_null(strstr(at("2026-03-29 02:30"), "never comes: clocks go forward"));
	assert_string_equal(at("2026-03-29 03:00"), "2026-03-29T01:00:00Z");
	assert_string_equal(at("2026-10-25 02:30"), "2026-10-25T00:30:00Z");
	assert_string_equal(said("2026-10-25 02:30", NOW, true), "2026-10-25T01:30:00Z");
	assert_string_equal(said("2026-10-25 03:30", NOW, true), "2026-10-25T02:30:00Z");
	/* "yesterday" on the day after is a day of 25 hours, not 24 h ago. */
	assert_string_equal(said("yesterday", 1792969200, false), "2026-10-24T22:00:00Z");
	assert_string_equal(said("today", 1792969200, false), "2026-10-25T23:00:00Z");
}

static void test_days_without_midnight(void **state)
{
	zone("Africa/Cairo"); /* 2026-04-24 begins at 01:00 */
	assert_string_equal(at("2026-04-24"), "2026-04-23T22:00:00Z");
	assert_string_equal(at("2026-04-25"), "2026-04-24T21:00:00Z");
	zone("UTC");
	assert_string_equal(at("2026-11-03 14:00"), "2026-11-03T14:00:00Z");
	zone("America/St_Johns");
	assert_string_equal(at("2026-11-03 14:00"), "2026-11-03T17:30:00Z");
}

static const char *span_at(struct when_words w, time_t now)
{
	static char text[WHEN_WHY];
	char to[WHEN_TEXT], from[WHEN_TEXT];
	struct when_span s;

	if (when_span(&w, now, &s, text) == 0)
		snprintf(text, sizeof(text), "%s %s", when_format_utc(s.from, from),
			 when_format_utc(s.to, to));
	return text;
}

#define SPAN(...) span_at((struct when_words){ __VA_ARGS__ }, NOW)

static void test_spans(void **state)
{
	assert_string_equal(SPAN(.last = NULL), "2026-11-28T02:40:51Z 2026-11-29T02:40:51Z");
	assert_string_equal(SPAN(.last = "7d"), "2026-11-22T02:40:51Z 2026-11-29T02:40:51Z");
	assert_string_equal(SPAN(.last = "9999w"), " 2026-11-29T02:40:51Z");
	assert_string_equal(SPAN(.from = "monday"), "2026-11-22T23:00:00Z 2026-11-29T02:40:51Z");
	assert_string_equal(SPAN(.from = "2026-10-25 02:30", .to = "2026-10-25 02:30"),
			    "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z");
	assert_string_equal(SPAN(.to = "yesterday"), "2026-11-26T23:00:00Z 2026-11-27T23:00:00Z");
	assert_string_equal(SPAN(.from = "-2h", .to = "-1h"),
			    "2026-11-29T00:40:50Z 2026-11-29T01:40:50Z");
}

static void test_periods(void **state)
{
	char text[WHEN_TEXT];

	assert_string_equal(SPAN(.period = "day"), "2026-11-28T23:00:00Z 2026-11-29T23:00:00Z");
	assert_string_equal(SPAN(.period = "week"), "2026-11-22T23:00:00Z 2026-11-29T23:00:00Z");
	assert_string_equal(SPAN(.period = "month"), "2026-10-31T23:00:00Z 2026-11-30T23:00:00Z");
	/* The whole one before. */
	assert_string_equal(SPAN(.last = "day"), "2026-11-27T23:00:00Z 2026-11-28T23:00:00Z");
	assert_string_equal(SPAN(.last = "week"), "2026-11-15T23:00:00Z 2026-11-22T23:00:00Z");
	assert_string_equal(SPAN(.last = "month"), "2026-09-30T22:00:00Z 2026-10-31T23:00:00Z");
	assert_string_equal(span_at((struct when_words){ .last = "month" }, NOW + 40 * 86400),
			    "2026-11-30T23:00:00Z 2026-12-31T23:00:00Z");
	/* From December into the next year; a month in which clocks change. */
	assert_string_equal(span_at((struct when_words){ .period = "month" }, NOW + 10 * 86400),
			    "2026-11-30T23:00:00Z 2026-12-31T23:00:00Z");
	assert_string_equal(span_at((struct when_words){ .period = "month" }, 1772622000),
			    "2026-02-28T23:00:00Z 2026-03-31T22:00:00Z");
	assert_string_equal(when_format_utc(when_day(NOW, -1), text), "2026-11-27T23:00:00Z");
	assert_string_equal(when_format(NOW, text), "2026-11-29 03:40");
	assert_string_equal(when_format(0, text), "-");
}

static void test_spans_that_cannot_be(void **state)
{
	assert_non_null(strstr(SPAN(.last = "7"), "--last 7: it is a time like"));
	assert_non_null(strstr(SPAN(.last = "5ms"), "--last 5ms: it is a time like"));
	assert_non_null(strstr(SPAN(.last = "year"), "or a whole day, week or month"));
	assert_non_null(strstr(SPAN(.last = "month", .period = "month"), "not two"));
	assert_non_null(strstr(SPAN(.period = "year"), "day, week or month"));
	assert_non_null(strstr(SPAN(.last = "7d", .from = "monday"), "not two"));
	assert_non_null(strstr(SPAN(.period = "day", .to = "monday"), "not two"));
	assert_non_null(strstr(SPAN(.from = "2026-11-03", .to = "2026-11-03"), "its beginning"));
	assert_non_null(strstr(SPAN(.from = "14:00"), "2026-11-29 14:00 has not come yet"));
	assert_non_null(strstr(SPAN(.from = "soon"), "'soon' is no time"));
	assert_non_null(strstr(SPAN(.to = "soon"), "'soon' is no time"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_points_in_time, in_berlin),
		cmocka_unit_test_setup(test_rfc_3339, in_berlin),
		cmocka_unit_test_setup(test_what_is_no_time_is_told, in_berlin),
		cmocka_unit_test_setup(test_clocks_that_change, in_berlin),
		cmocka_unit_test_setup(test_days_without_midnight, in_berlin),
		cmocka_unit_test_setup(test_spans, in_berlin),
		cmocka_unit_test_setup(test_periods, in_berlin),
		cmocka_unit_test_setup(test_spans_that_cannot_be, in_berlin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
