// SPDX-License-Identifier: Apache-2.0
/* Values that several formats write: times, and text in Base64. */
#include <errno.h>
#include <time.h>

#include "base/cleanup.h"
#include "policy/list_format.h"

#define YEAR_FIRST \
	1990 /* before that nobody published a list: a mistake, or a number of something else */
#define YEAR_LAST 2100

static bool number(struct str s, size_t at, size_t n, uint64_t most, int *ret)
{
	uint64_t v;

	if (s.n < at + n || str_parse_u64(str_sub(s, at, n), &v) < 0 || v > most)
		return false;
	*ret = (int)v;
	return true;
}

/* Unix seconds, as long as those of our days are. */
static int64_t unix_time(struct str s)
{
	uint64_t v;

	return s.n >= 9 && s.n <= 10 && str_parse_u64(s, &v) == 0 ? (int64_t)v : 0;
}

int64_t list_time(struct str s)
{
	struct tm tm = { 0 };
	time_t at;

	s = str_trim(s);
	if (!number(s, 0, 4, YEAR_LAST, &tm.tm_year) || tm.tm_year < YEAR_FIRST || s.n < 10 ||
	    s.p[4] != '-' || s.p[7] != '-')
		return unix_time(s);
	if (!number(s, 5, 2, 12, &tm.tm_mon) || !number(s, 8, 2, 31, &tm.tm_mday) || !tm.tm_mon ||
	    !tm.tm_mday)
		return 0;
	if (s.n >= 19 && (s.p[10] == ' ' || s.p[10] == 'T') &&
	    (!number(s, 11, 2, 24, &tm.tm_hour) || !number(s, 14, 2, 59, &tm.tm_min) ||
	     !number(s, 17, 2, 60, &tm.tm_sec)))
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	at = timegm(&tm);
	return at > 0 ? at : 0;
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int list_base64(struct str raw, char text[LIST_NAME_MAX], struct str *ret)
{
	char room[LIST_NAME_MAX];
	uint32_t bits = 0;
	struct str name;
	size_t n = 0;

	if (raw.n < 8 || raw.n % 4 || raw.n / 4 * 3 >= LIST_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < 2 && raw.p[raw.n - 1] == '='; i++)
		raw.n--;
	for (size_t i = 0; i < raw.n; i++) {
		int d = digit(raw.p[i]);

		if (d < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)d;
		if (i % 4 && (text[n++] = (char)(bits >> (6 - 2 * (i % 4)) & 255)) <= ' ')
			return -EINVAL;
	}
	*ret = (struct str){ text, n };
	/* any word of letters is Base64 of something: only what it says tells */
	if (list_name(*ret, 2, room, &name) == 0 || str_has_prefix(*ret, STR("http://")) ||
	    str_has_prefix(*ret, STR("https://")))
		return 0;
	return -EINVAL;
}
