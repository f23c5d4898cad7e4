/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/chart.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cells.h"

#define DAY 86400
#define LABEL 6 /* "|14:00", "|11-03" */
#define LEVELS 8

static const unsigned steps[] = {
	60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY
};

unsigned chart_step(time_t from, time_t to, unsigned columns)
{
	/* Steps begin at whole multiples: a span may touch one more than fit into it. */
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if ((to - 1) / steps[i] - from / steps[i] < columns)
			return steps[i];
	return DAY;
}

size_t chart_fold(uint64_t *values, size_t n, size_t each)
{
	size_t folded = (n + each - 1) / each;

	for (size_t i = 0; i < folded; i++) {
		uint64_t sum = 0;

		for (size_t at = i * each; at < MIN((i + 1) * each, n); at++)
			sum += values[at];
		values[i] = sum;
	}
	return folded;
}

void chart_row(struct buf *out, const uint64_t *values, size_t n, uint64_t highest)
{
	static const char *const blocks[LEVELS] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char ascii[] = ".:-=+*#@";
	bool utf8 = cells_are_utf8();

	for (size_t i = 0; i < n; i++) {
		double height = highest ? (double)values[i] / (double)highest : 0;
		int level = MIN((int)(height * LEVELS), LEVELS - 1);

		if (!values[i])
			buf_putc(out, ' ');
		else if (utf8)
			buf_puts(out, blocks[level]);
		else
			buf_putc(out, ascii[level]);
	}
}

/* Seconds since some midnight of local clocks: hours and days begin at whole multiples, whatever the zone. */
static int64_t local_seconds(time_t t, struct tm *tm)
{
	localtime_r(&t, tm);
	return (int64_t)t + tm->tm_gmtoff;
}

static void put_label(struct buf *line, size_t column, const char *form, const struct tm *tm)
{
	char text[LABEL + 1];

	while (line->n < column)
		buf_putc(line, ' ');
	if (line->n == column && strftime(text, sizeof(text), form, tm))
		buf_puts(line, text);
}

/* The least distance between labels that leaves them room. */
static int64_t label_every(unsigned step)
{
	static const int64_t every[] = { 300,   600,   900, 1800,    3600,    7200,     10800,
					 21600, 43200, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY };

	for (size_t i = 0; i < ARRAY_SIZE(every); i++)
		if (every[i] >= (LABEL + 2) * (int64_t)step)
			return every[i];
	return 56LL * DAY;
}

void chart_axis(struct buf *times, struct buf *dates, time_t start, unsigned step, size_t n)
{
	int64_t every = label_every(step), before = 0;
	int day = -1;

	for (size_t i = 0; i < n; i++) {
		struct tm tm = { 0 };
		int64_t local = local_seconds(start + (time_t)(i * step), &tm);
		/* The first column has one, unless the next would run into it. */
		bool first = !i && every - local % every >= (LABEL + 1) * (int64_t)step;

		if (first || (i && local / every != before / every)) {
			if (every < DAY)
				put_label(times, i, "|%H:%M", &tm);
			if (tm.tm_yday != day || every >= DAY)
				put_label(dates, i, "|%m-%d", &tm);
			day = tm.tm_yday;
		}
		before = local;
	}
}
