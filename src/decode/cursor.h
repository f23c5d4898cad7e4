/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader over hostile bytes, big-endian. Reading past the end gives zeros, leaves the cursor empty and sets `bad`,
 * so a parser reads a whole structure and looks once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct cursor {
	const uint8_t *p;
	size_t n; /* bytes left */
	bool bad;
};

static inline struct cursor cursor_of(struct str s)
{
	return (struct cursor){ (const uint8_t *)s.p, s.n, false };
}

/* The next n bytes, or NULL. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t n)
{
	const uint8_t *at = c->p;

	if (n > c->n) {
		c->bad = true;
		c->n = 0;
		return NULL;
	}
	if (n)
		c->p += n;
	c->n -= n;
	return at;
}

static inline struct str cursor_str(struct cursor *c, size_t n)
{
	const uint8_t *at = cursor_take(c, n);

	return at ? (struct str){ (const char *)at, n } : (struct str){ (const char *)c->p, 0 };
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *b = cursor_take(c, 1);

	return b ? b[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	const uint8_t *b = cursor_take(c, 2);

	return b ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}

static inline uint32_t cursor_u24(struct cursor *c)
{
	const uint8_t *b = cursor_take(c, 3);

	return b ? (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2] : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	const uint8_t *b = cursor_take(c, 4);

	return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

/* A cursor over the next n bytes; the outer one is left after them. */
static inline struct cursor cursor_sub(struct cursor *c, size_t n)
{
	struct str s = cursor_str(c, n);

	return (struct cursor){ (const uint8_t *)s.p, s.n, c->bad };
}
