/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One copy of each text, counted. Flows, names and processes repeat the same few thousand texts; they hold a
 * reference to an entry here instead of a copy. Bounded: past `max` live texts intern() gives NULL, and the
 * caller counts what it could not keep.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct intern;

struct text {
	uint32_t refs;
	uint32_t n;
	uint64_t hash;
	struct text *next; /* of the same bucket */
	char p[];          /* NUL-terminated for convenience; may hold NULs itself */
};

int intern_new(struct intern **ret, size_t max);
struct intern *
intern_free(struct intern *in); /* every text goes, referenced or not; returns NULL */

struct text *intern_get(struct intern *in,
			struct str s);              /* a reference of the caller's own, or NULL */
struct text *text_ref(struct text *t);              /* NULL stays NULL */
void intern_put(struct intern *in, struct text *t); /* gives a reference back; NULL is fine */
size_t intern_count(const struct intern *in);
size_t intern_bytes(const struct intern *in);

static inline struct str text_str(const struct text *t)
{
	return t ? (struct str){ t->p, t->n } : STR_NONE;
}
