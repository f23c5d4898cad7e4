/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of many small fields, written in two passes over one list of them: how many bytes it may have at most, and then the bytes,
 * without asking for room at each field. Both passes have to be inlined with a pen of their own, which then lives in registers.
 */
#pragma once

#include "store/leb.h"

#define PEN static inline __attribute__((always_inline))

struct pen {
	char *at;
	size_t most;
	bool counts; /* the first pass */
};

PEN void pen_bytes(struct pen *pen, const void *p, size_t n)
{
	if (pen->counts) {
		pen->most += n;
	} else if (n) {
		memcpy(pen->at, p, n);
		pen->at += n;
	}
}

PEN void pen_number(struct pen *pen, uint64_t v)
{
	if (pen->counts)
		pen->most += LEB_MAX;
	else
		pen->at += leb_put(pen->at, v);
}

PEN void pen_text(struct pen *pen, struct str s)
{
	pen_number(pen, s.n);
	pen_bytes(pen, s.p, s.n);
}

/* Between the passes. false: there is no room, and out->failed. */
PEN bool pen_begin(struct pen *pen, struct buf *out, const struct pen *counted)
{
	*pen = (struct pen){ .at = buf_reserve(out, counted->most) };
	return pen->at;
}

PEN void pen_end(const struct pen *pen, struct buf *out)
{
	buf_took(out, (size_t)(pen->at - out->p) - out->n);
}
