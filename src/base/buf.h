/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer that carries its own maximum from birth. Appending past the maximum, or without
 * memory, sets `failed` and appends nothing more; callers append freely and look once at the end.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/str.h"

struct buf {
	char *p; /* NUL is kept at p[n] once anything was appended */
	size_t n;
	size_t cap;
	size_t max;
	bool failed;
};

#define BUF_INIT(maximum) ((struct buf){ .max = (maximum) })

void buf_clear(struct buf *b); /* empties and keeps the memory; `failed` is reset */
void buf_done(struct buf *b);  /* gives the memory back */

void buf_puts(struct buf *b, const char *c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_drop_front(struct buf *b, size_t n); /* forgets the first n bytes */

char *buf_grow(struct buf *b,
	       size_t n); /* what buf_reserve() does when the memory is not there yet */

/* Room for n more bytes, not yet counted in; NULL: failed. */
static inline char *buf_reserve(struct buf *b, size_t n)
{
	if (!b->failed && n < b->cap - b->n && n <= b->max - b->n)
		return b->p + b->n;
	return buf_grow(b, n);
}

/* `n` bytes stand where buf_reserve() said. */
static inline void buf_took(struct buf *b, size_t n)
{
	b->n += n;
	b->p[b->n] = 0;
}

static inline void buf_put(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, n);

	if (!at)
		return;
	if (n)
		memcpy(at, p, n);
	buf_took(b, n);
}

static inline void buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

static inline void buf_put_str(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}

#define _cleanup_buf_ __attribute__((cleanup(buf_done)))
