/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool str_has_prefix_nocase(struct str s, struct str prefix)
{
	if (s.n < prefix.n)
		return false;
	for (size_t i = 0; i < prefix.n; i++)
		if (lower((unsigned char)s.p[i]) != lower((unsigned char)prefix.p[i]))
			return false;
	return true;
}

bool str_eq_nocase(struct str a, struct str b)
{
	return a.n == b.n && str_has_prefix_nocase(a, b);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n && is_blank(s.p[0]))
		s = str_sub(s, 1, s.n);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool str_cut(struct str *s, char sep, struct str *ret_part)
{
	const char *at;

	if (!s->p || !s->n)
		return false;
	at = memchr(s->p, sep, s->n);
	*ret_part = (struct str){ s->p, at ? (size_t)(at - s->p) : s->n };
	*s = str_sub(*s, ret_part->n + (at ? 1 : 0), s->n);
	return true;
}

int str_parse_u64(struct str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s.n)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

bool str_glob(struct str pattern, struct str s)
{
	size_t i = 0, j = 0, star = SIZE_MAX, mark = 0;

	/* On a mismatch only the last '*' is tried again, one byte further: O(n*m) at worst. */
	while (j < s.n) {
		if (i < pattern.n && pattern.p[i] == '*') {
			star = i++;
			mark = j;
		} else if (i < pattern.n &&
			   (pattern.p[i] == '?' ||
			    lower((unsigned char)pattern.p[i]) == lower((unsigned char)s.p[j]))) {
			i++;
			j++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			j = ++mark;
		} else {
			return false;
		}
	}
	while (i < pattern.n && pattern.p[i] == '*')
		i++;
	return i == pattern.n;
}

char *str_hex(const void *bytes, size_t n, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 15];
	}
	text[2 * n] = 0;
	return text;
}
