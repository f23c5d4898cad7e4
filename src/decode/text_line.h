/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of text protocols: ended by LF, a CR before it is not part of the line. */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* Cuts the next whole line off the front of *s; false when no line end is there yet. */
static inline bool text_line(struct str *s, struct str *ret)
{
	const char *end = s->n ? memchr(s->p, '\n', s->n) : NULL;

	if (!end)
		return false;
	*ret = (struct str){ s->p, (size_t)(end - s->p) };
	*s = str_sub(*s, ret->n + 1, s->n);
	if (ret->n && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

/* The part before the first blank; *s is left at the first byte after the blanks. */
static inline struct str text_word(struct str *s)
{
	struct str w = { s->p, 0 };

	while (w.n < s->n && s->p[w.n] != ' ' && s->p[w.n] != '\t')
		w.n++;
	*s = str_sub(*s, w.n, s->n);
	while (s->n && (s->p[0] == ' ' || s->p[0] == '\t'))
		*s = str_sub(*s, 1, s->n);
	return w;
}

/* Only printable ASCII, blanks, and bytes above it (UTF-8 and older sets). */
static inline bool text_is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
			return false;
	}
	return true;
}
