/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times and addresses of a record. snprintf() and inet_ntop() together took longer than the rest of a flow record,
 * which holds up to five of these texts; the forms are those of time_format() and addr_format() (a test compares).
 */
#include "store/eve_parts.h"

#include <arpa/inet.h>
#include <time.h>

#include "base/time.h"

#define CALENDAR_LEN 19 /* 2026-01-02T03:04:05 */
#define CALENDAR_SLOTS 8

/* What json_str() and the like do, for bytes known to need no escapes: one look at the buffer instead of four. */
static void put_raw(struct json *j, const char *key, const char *value, size_t n)
{
	size_t key_n = strlen(key);
	char *p = buf_reserve(j->out, key_n + n + 4);

	if (!p)
		return;
	j->out->n += key_n + n + 3 + j->comma;
	if (j->comma)
		*p++ = ',';
	*p++ = '"';
	memcpy(p, key, key_n);
	p += key_n;
	*p++ = '"';
	*p++ = ':';
	memcpy(p, value, n);
	p[n] = 0;
	j->comma = true;
}

static char *put_digits(char *p, unsigned v, unsigned n)
{
	for (unsigned i = n; i-- > 0; v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + n;
}

/* Times of one record and of neighbouring records fall into few different seconds. */
static const char *calendar(uint64_t sec)
{
	static _Thread_local struct {
		uint64_t sec;
		char text[CALENDAR_LEN + 1];
	} slots[CALENDAR_SLOTS];
	size_t i = sec % CALENDAR_SLOTS;
	time_t t = (time_t)sec;
	struct tm tm;
	char *p;

	if (slots[i].sec == sec && slots[i].text[0])
		return slots[i].text;
	if (!gmtime_r(&t, &tm) || tm.tm_year + 1900 > 9999)
		gmtime_r(&(time_t){ 0 }, &tm);
	slots[i].sec = sec;
	p = put_digits(slots[i].text, (unsigned)tm.tm_year + 1900, 4);
	*p++ = '-';
	p = put_digits(p, (unsigned)tm.tm_mon + 1, 2);
	*p++ = '-';
	p = put_digits(p, (unsigned)tm.tm_mday, 2);
	*p++ = 'T';
	p = put_digits(p, (unsigned)tm.tm_hour, 2);
	*p++ = ':';
	p = put_digits(p, (unsigned)tm.tm_min, 2);
	*p++ = ':';
	put_digits(p, (unsigned)tm.tm_sec, 2);
	return slots[i].text;
}

void eve_put_time(struct json *j, const char *key, uint64_t ns)
{
	char text[TIME_TEXT_MAX], *p = text;

	*p++ = '"';
	memcpy(p, calendar(ns / NSEC_PER_SEC), CALENDAR_LEN);
	p += CALENDAR_LEN;
	*p++ = '.';
	p = put_digits(p, (unsigned)(ns % NSEC_PER_SEC / NSEC_PER_USEC), 6);
	memcpy(p, "+0000\"", 6);
	put_raw(j, key, text, CALENDAR_LEN + 14);
}

static char *put_octet(char *p, uint8_t v)
{
	unsigned n = v < 10 ? 1 : v < 100 ? 2 : 3;

	return put_digits(p, v, n);
}

void eve_put_addr(struct json *j, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_MAX + 2], *p = text;

	if (!addr_is_v4(a)) {
		json_text(j, key, addr_format(a, text));
		return;
	}
	*p++ = '"';
	for (int i = 12; i < 16; i++) {
		p = put_octet(p, a->b[i]);
		*p++ = i < 15 ? '.' : '"';
	}
	put_raw(j, key, text, (size_t)(p - text));
}

void eve_put_ratio(struct json *j, const char *key, uint64_t up, uint64_t down)
{
	double ratio = ((double)up - (double)down) / ((double)up + (double)down);
	unsigned v = (unsigned)((ratio < 0 ? -ratio : ratio) * 10000 + 0.5);
	char text[8], *p = text;

	if (ratio < 0 && v)
		*p++ = '-';
	p = put_digits(p, v / 10000, 1);
	*p++ = '.';
	p = put_digits(p, v % 10000, 4);
	put_raw(j, key, text, (size_t)(p - text));
}
