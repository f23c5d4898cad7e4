/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one input, unpacked if they were packed, in one buffer that slides over them. read() and not mmap():
 * it measured twice as fast here, works on pipes, and a file that shrinks while it is read is only cut, not a signal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define INPUT_NEED_MAX (1u << 20) /* most that can be asked for at once */

struct input;

/* The front of what is not yet taken. Moves with every input_need() that returns false or has to read. */
struct input_view {
	const uint8_t *p;
	size_t n;
};

/* "-" is standard input. -errno; -EBADMSG when a compressed stream is broken at its very beginning. */
int input_open(struct input **ret, const char *path);
struct input *input_free(struct input *in);

struct input_view *input_view(struct input *in); /* stays the same for the input's life */

/* Reads until the view has n bytes; false at the end of the input, when it has fewer. */
bool input_fill(struct input *in, size_t n);

/* Takes n bytes off the front, reading over what is not buffered; false when the input ends before. */
bool input_skip(struct input *in, size_t n);

/*
 * Why input_fill() came short: 0 a proper end, -EBADMSG a compressed stream broken or cut, else the -errno of read().
 */
int input_error(const struct input *in);
uint64_t input_done(const struct input *in);  /* bytes read, as stored */
uint64_t input_total(const struct input *in); /* bytes stored; 0: not known */

static inline bool input_need(struct input *in, const struct input_view *v, size_t n)
{
	return v->n >= n || input_fill(in, n);
}

static inline void input_take(struct input_view *v, size_t n)
{
	v->p += n;
	v->n -= n;
}
