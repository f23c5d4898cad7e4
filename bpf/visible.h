/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The name that a hello or a request shows, as policy takes it: lower case, letters, digits, '-' and '_', labels of 1 to 63
 * octets, 253 in all. One dot at the end is dropped, as servers do; an address written out is no name. Walked from the last
 * octet to the first, which is how names are hashed. Pure, see flight.h.
 */
#pragma once

#include "flight.h"

#define EG_HOST_MAX 253

struct eg_visible_walk {
	struct eg_first *w;
	struct eg_seen *seen;
};

static __always_inline int eg_is_digit(__u8 c)
{
	return c >= '0' && c <= '9';
}

static __always_inline int eg_is_alpha(__u8 c)
{
	c |= 0x20;
	return c >= 'a' && c <= 'z';
}

/* The label that ended here gives the hash of a parent; those too deep for the table only count in the whole name's. */
static __always_inline void eg_visible_parent(struct eg_parse *n)
{
	n->count++;
	n->label = 0;
}

static int eg_visible_step(__u32 i, struct eg_visible_walk *walk)
{
	struct eg_first *w = walk->w;
	struct eg_seen *seen = walk->seen;
	struct eg_parse *n = &w->names;
	__u32 left = n->end - 1 - i;
	__u8 c = EG_AT(w, n->at + left);

	if (c >= 'A' && c <= 'Z')
		c |= 0x20;
	if (c == '.') {
		if (!n->label) {
			n->bad = 1;
			return 1;
		}
		/* parents from the top: place 15 is the top level's, for the time being */
		if (n->count < EG_LABELS_MAX - 1)
			seen->hash[(EG_LABELS_MAX - 1 - n->count) & (EG_LABELS_MAX - 1)] = n->hash;
		if (!n->count && n->flag)
			n->names = 1; /* all digits at the top: an address */
		eg_visible_parent(n);
	} else {
		if (!(c >= 'a' && c <= 'z') && !eg_is_digit(c) && c != '-' && c != '_') {
			n->bad = 1;
			return 1;
		}
		if (!n->count && !eg_is_digit(c))
			n->flag = 0;
		if (++n->label > 63) {
			n->bad = 1;
			return 1;
		}
	}
	n->hash = eg_name_hash_byte(n->hash, EG_NAME_KEY, c);
	seen->name[left & (EG_NAME_MAX - 1)] = c;
	return 0;
}

static int eg_literal_step(__u32 i, struct eg_first **ctx)
{
	struct eg_parse *n = &(*ctx)->names;
	__u8 c = EG_AT(*ctx, n->at + i), l = c | 0x20;

	n->count += c == ':';
	n->bad = !eg_is_digit(c) && !(l >= 'a' && l <= 'f') && c != ':' && c != '.' &&
		 !(c == '[' && !i) && !(c == ']' && i == n->end - 1);
	return n->bad != 0;
}

/* "[::1]", "::1": nothing but hexadecimal digits, colons and dots, with more than one colon. */
static __always_inline int eg_is_literal6(struct eg_first *w, __u32 at, __u32 len)
{
	struct eg_parse *n = &w->names;

	if (len < 2 || len > 48)
		return 0;
	n->at = at;
	n->end = len;
	n->count = n->bad = 0;
	EG_LOOP(len, eg_literal_step, &w);
	return !n->bad && n->count > 1;
}

/* What bytes [at, at + len) name. Sets visible, name, len and hashes. */
EG_ONCE int eg_visible_name(struct eg_first *w, __u32 at, __u32 len, struct eg_seen *seen)
{
	struct eg_visible_walk walk = { w, seen };
	struct eg_parse *n;
	__u32 i, count;

	if (!w || !seen)
		return 0;
	seen->visible = EG_VISIBLE_UNREADABLE;
	seen->len = 0;
	seen->n_hash = 0;
	if (len && len <= EG_HOST_MAX + 1 && EG_AT(w, at + len - 1) == '.')
		len--;
	if (!len || len > EG_HOST_MAX)
		return 0;
	if (eg_is_literal6(w, at, len)) {
		seen->visible = EG_VISIBLE_NONE;
		return 0;
	}
	n = &w->names;
	n->at = at;
	n->end = len;
	n->label = n->count = 0;
	n->hash = 0;
	n->bad = n->names = 0;
	n->flag = 1;
	EG_LOOP(len, eg_visible_step, &walk);
	if (n->bad || !n->label)
		return 0;
	if (n->names || (!n->count && n->flag)) {
		seen->visible = EG_VISIBLE_NONE;
		return 0;
	}
	/* the whole name first, then its parents down to the top level */
	count = n->count;
	if (count > EG_LABELS_MAX - 1)
		count = EG_LABELS_MAX - 1;
	seen->hash[0] = n->hash;
	for (i = 1; i < EG_LABELS_MAX; i++)
		if (i <= count)
			seen->hash[i] =
				seen->hash[(EG_LABELS_MAX - 1 - count + i) & (EG_LABELS_MAX - 1)];
	seen->n_hash = count + 1;
	seen->len = len;
	seen->name[len & (EG_NAME_MAX - 1)] = 0;
	seen->visible = EG_VISIBLE_NAME;
	return 0;
}
