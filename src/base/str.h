/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A borrowed run of bytes: how everything that came from a packet, a file or a socket travels. Never
 * NUL-terminated, may hold any byte, owns nothing: it lives as long as the buffer it points into.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){ (lit), sizeof(lit) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
#define STR_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct str str_of(const char *c)
{
	return (struct str){ c, c ? strlen(c) : 0 };
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

static inline bool str_has_prefix(struct str s, struct str prefix)
{
	return !prefix.n || (s.n >= prefix.n && !memcmp(s.p, prefix.p, prefix.n));
}

/* [from, from+n) of s, cut to what s holds. */
static inline struct str str_sub(struct str s, size_t from, size_t n)
{
	if (!s.p)
		return s;
	if (from > s.n)
		from = s.n;
	if (n > s.n - from)
		n = s.n - from;
	return (struct str){ s.p + from, n };
}

/* ASCII only, locale-free: names and header fields are compared this way (RFC 4343, RFC 9110). */
bool str_eq_nocase(struct str a, struct str b);
bool str_has_prefix_nocase(struct str s, struct str prefix);
struct str str_trim(struct str s); /* blanks and line ends off both sides */

/* Cuts the part before `sep` off the front of *s; false when *s is empty. The last part has no separator. */
bool str_cut(struct str *s, char sep, struct str *ret_part);

/* Lower-case hexadecimal of n bytes, NUL-terminated, into 2 n + 1 bytes; returns `text`. */
char *str_hex(const void *bytes, size_t n, char *text);

/* Decimal, whole string; 0, -EINVAL or -ERANGE. */
int str_parse_u64(struct str s, uint64_t *ret);

/* '*' and '?' as in a shell, ASCII case ignored. Linear in time: no exponential patterns. */
bool str_glob(struct str pattern, struct str s);
