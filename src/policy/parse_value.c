/* SPDX-License-Identifier: Apache-2.0 */
/* Values with units: rates, sizes, durations, dates. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "policy/parse.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{ "kb", 1000 },          { "mb", 1000000 },     { "gb", 1000000000 },
	{ "tb", 1000000000000 }, { "kib", 1U << 10 },   { "mib", 1U << 20 },
	{ "gib", 1U << 30 },     { "tib", 1ULL << 40 }, { NULL, 0 },
};
static const struct unit rates[] = {
	{ "kbit", 1000 },
	{ "mbit", 1000000 },
	{ "gbit", 1000000000 },
	{ NULL, 0 },
};
static const struct unit durations[] = {
	{ "s", NSEC_PER_SEC },         { "m", 60 * NSEC_PER_SEC },     { "h", 3600 * NSEC_PER_SEC },
	{ "d", 86400 * NSEC_PER_SEC }, { "w", 604800 * NSEC_PER_SEC }, { NULL, 0 },
};

/* "12mb", "1.5gb": up to three decimals. The unit may be in capitals. */
static bool parse_united(struct str s, const struct unit *units, uint64_t *ret)
{
	uint64_t whole = 0, part = 0, scale = 1;
	size_t n = 0, dot;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	if (!n || str_parse_u64(str_sub(s, 0, n), &whole) < 0)
		return false;
	if (n < s.n && s.p[n] == '.') {
		for (dot = ++n; n < s.n && s.p[n] >= '0' && s.p[n] <= '9' && n - dot < 3; n++)
			scale *= 10;
		if (n == dot || str_parse_u64(str_sub(s, dot, n - dot), &part) < 0)
			return false;
	}
	for (; units->name; units++) {
		if (!str_eq_nocase(str_sub(s, n, s.n), str_of(units->name)))
			continue;
		return !__builtin_mul_overflow(whole, units->factor, ret) &&
		       !__builtin_add_overflow(*ret, units->factor / scale * part, ret) && *ret &&
		       *ret <= INT64_MAX;
	}
	return false;
}

bool parse_size(struct str s, uint64_t *ret_bytes)
{
	return parse_united(s, sizes, ret_bytes);
}

static bool take_united(struct parser *p, const struct unit *units, const char *what,
			const char *examples, uint64_t *ret)
{
	bool ok = p->tok.kind == LEX_WORD && parse_united(p->tok.text, units, ret);

	if (!ok && p->tok.kind == LEX_WORD)
		mistake(p, &p->tok, "%s is expected here, not '%.*s'\n%s", what,
			QUOTED(p->tok.text), examples);
	else if (!ok)
		mistake(p, &p->tok, "%s is expected here\n%s", what, examples);
	if (!at_end(&p->tok))
		next(p);
	return ok;
}

bool take_rate(struct parser *p, uint64_t *ret_bits)
{
	return take_united(p, rates, "a rate", "as 500kbit, 50mbit or 1gbit, for each second",
			   ret_bits);
}

bool take_size(struct parser *p, uint64_t *ret_bytes)
{
	return take_united(p, sizes, "a size", "as 500mb, 200gb or 64mib", ret_bytes);
}

bool take_duration(struct parser *p, uint64_t *ret_ns)
{
	return take_united(p, durations, "a duration", "as 30s, 5m, 2h, 7d or 4w", ret_ns);
}

/* --- dates ------------------------------------------------------------------------------------------------------- */

/* Exactly n digits, which are passed. */
static bool cut_digits(struct str *s, size_t n, int *ret)
{
	uint64_t v;

	if (str_parse_u64(str_sub(*s, 0, n), &v) < 0 || s->n < n)
		return false;
	*ret = (int)v;
	*s = str_sub(*s, n, s->n);
	return true;
}

static bool cut_char(struct str *s, char c)
{
	if (!s->n || s->p[0] != c)
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

/* What follows the day: "T18:00", ":30", "Z". */
static bool parse_clock(struct str s, struct tm *tm, bool *ret_utc)
{
	if (!cut_char(&s, 'T') || !cut_digits(&s, 2, &tm->tm_hour) || !cut_char(&s, ':') ||
	    !cut_digits(&s, 2, &tm->tm_min))
		return false;
	if (cut_char(&s, ':') && !cut_digits(&s, 2, &tm->tm_sec))
		return false;
	*ret_utc = cut_char(&s, 'Z');
	return !s.n && tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

/* 1; 0: not in this form; -1: there is no such day. */
static int parse_date(struct str s, bool end, int64_t *ret_s)
{
	struct tm tm = { .tm_isdst = -1 }, seen;
	bool utc = false;
	uint64_t unix_s;
	int year, month, day;

	if (s.n > 1 && s.p[0] == '@' && str_parse_u64(str_sub(s, 1, s.n), &unix_s) == 0 && unix_s &&
	    unix_s < 1ULL << 40) {
		*ret_s = (int64_t)unix_s;
		return 1;
	}
	if (!cut_digits(&s, 4, &year) || !cut_char(&s, '-') || !cut_digits(&s, 2, &month) ||
	    !cut_char(&s, '-') || !cut_digits(&s, 2, &day))
		return 0;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	seen = tm;
	if (!month || month > 12 || !day || day > 31 || year < 1970)
		return -1;
	timegm(&seen); /* 30 February becomes 2 March */
	if (seen.tm_mday != day)
		return -1;
	if (!s.n)
		tm.tm_mday += end;
	else if (!parse_clock(s, &tm, &utc))
		return 0;
	*ret_s = utc ? timegm(&tm) : mktime(&tm);
	return *ret_s > 0 ? 1 : -1;
}

bool policy_time_parse(struct str s, bool end, int64_t *ret_s)
{
	return parse_date(s, end, ret_s) > 0;
}

/* "31.01.2027", "31/1/2027", "2027/01/31": the day in the form it should have; false when it is none of these. */
static bool other_date(struct str s, char text[16])
{
	char sep = s.n && memchr(s.p, '.', s.n) ? '.' : '/';
	struct str part;
	uint64_t v[3];

	for (int i = 0; i < 3; i++)
		if (!str_cut(&s, sep, &part) || str_parse_u64(part, &v[i]) < 0 || v[i] > 9999)
			return false;
	if (s.n)
		return false;
	if (v[0] > 31)
		snprintf(text, 16, "%04u-%02u-%02u", (unsigned)v[0], (unsigned)v[1],
			 (unsigned)v[2]);
	else if (sep == '.' || v[0] > 12)
		snprintf(text, 16, "%04u-%02u-%02u", (unsigned)v[2], (unsigned)v[1],
			 (unsigned)v[0]);
	else
		snprintf(text, 16, "YYYY-MM-DD");
	return true;
}

bool take_date(struct parser *p, int64_t *ret_s)
{
	int r = p->tok.kind == LEX_WORD ? parse_date(p->tok.text, true, ret_s) : 0;
	char text[16];

	if (r < 0)
		mistake(p, &p->tok, "there is no such day as %.*s", QUOTED(p->tok.text));
	else if (!r && p->tok.kind == LEX_WORD && other_date(p->tok.text, text))
		mistake(p, &p->tok, "a date has the form YYYY-MM-DD\nwrite %s", text);
	else if (!r)
		mistake(p, &p->tok, "a date is expected here\nas 2027-01-31 or 2027-01-31T18:00");
	if (!at_end(&p->tok))
		next(p);
	return r > 0;
}
