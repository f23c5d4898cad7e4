/* SPDX-License-Identifier: Apache-2.0 */
/* LEB128 in what is packed into one value of a table. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define LEB_MAX 10

static inline size_t leb_put(char *p, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (char)(v | 0x80);
	p[n++] = (char)v;
	return n;
}

/* Takes one off the front; false: there is none. */
static inline bool leb_take(struct str *s, uint64_t *ret)
{
	const uint8_t *p = (const uint8_t *)s->p;
	uint64_t v = 0;

	if (s->n && p[0] < 0x80) {
		*ret = p[0];
		s->p++;
		s->n--;
		return true;
	}
	for (size_t i = 0; i < s->n && i < LEB_MAX; i++) {
		v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (p[i] < 0x80) {
			*ret = v;
			s->p += i + 1;
			s->n -= i + 1;
			return true;
		}
	}
	return false;
}
