/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host that an HTTP/1 request is for (RFC 9112): of the target when that names one, else of the Host field. Strict where
 * servers are not of one mind: two Host fields, a target and a field that differ, folded lines, blanks before a colon are
 * unreadable. Bytes are taken eight at a time where nothing in them can matter. Pure, see flight.h.
 */
#pragma once

#include "visible.h"

#define EG_HEADS_MAX 8 /* requests of one packet that are looked at */

enum { EG_HEAD_METHOD, EG_HEAD_TARGET, EG_HEAD_VERSION, EG_HEAD_LINE, EG_HEAD_NAME, EG_HEAD_VALUE };

#define EG_EACH8(byte) (0x0101010101010101ULL * (byte))
#define EG_HAS_ZERO(x) (((x)-EG_EACH8(1)) & ~(x)&EG_EACH8(0x80))

/* Are there eight bytes from here on, none of them below `least`, DEL or `also`? */
static __always_inline int eg_head_eight(struct eg_first *w, __u8 least, __u8 also)
{
	struct eg_head *h = &w->head;
	__u64 x;

	if (h->at + 8 > h->end)
		return 0;
	x = EG_GET8(&EG_AT(w, h->at));
	return !(((x - EG_EACH8(least)) & ~x & EG_EACH8(0x80)) | EG_HAS_ZERO(x ^ EG_EACH8(0x7f)) |
		 EG_HAS_ZERO(x ^ EG_EACH8(also)));
}

static __always_inline int eg_head_bad(struct eg_head *h)
{
	h->bad = 1;
	return 1;
}

/* A line's end at h->at, as CRLF or LF: 1 and behind it. */
static __always_inline int eg_head_eol(struct eg_first *w, __u8 c)
{
	struct eg_head *h = &w->head;

	if (c == '\r') {
		if (h->at + 1 >= h->end || EG_AT(w, h->at + 1) != '\n')
			return 0;
		h->at++;
	} else if (c != '\n') {
		return 0;
	}
	h->at++;
	return 1;
}

/* The target, which may hold blanks when a client is careless: the version is what stands behind the last one. */
static __always_inline int eg_head_target(struct eg_first *w, __u8 c)
{
	struct eg_head *h = &w->head;

	if (eg_head_eight(w, 0x21, 0x7f)) {
		h->at += 8;
		return 0;
	}
	if (c == ' ') {
		if (h->at == h->target_at) {
			h->at++;
			h->target_at++;
			return 0;
		}
		h->target_len = h->at - h->target_at;
		h->phase = EG_HEAD_VERSION;
		h->n = 0;
		h->at++;
		return 0;
	}
	if (c == '\r' || c == '\n') { /* HTTP/0.9 has no version */
		h->done = !h->target_len && EG_AT(w, h->target_at) == '/';
		h->bad = !h->done;
		h->target_len = h->at - h->target_at;
		h->at = h->end;
		return 1;
	}
	h->at++;
	return c < 0x20 || c == 0x7f ? eg_head_bad(h) : 0;
}

static __always_inline int eg_head_request_line(struct eg_first *w, __u8 c)
{
	struct eg_head *h = &w->head;

	switch (h->phase) {
	case EG_HEAD_METHOD:
		h->at++;
		if (!h->n && (c == '\r' || c == '\n')) /* servers skip empty lines */
			return 0;
		if (c == ' ' && h->n) {
			h->is_connect = h->n == 7 && EG_AT(w, h->at - 8) == 'C' &&
					EG_AT(w, h->at - 7) == 'O' && EG_AT(w, h->at - 6) == 'N';
			h->target_at = h->at;
			h->phase = EG_HEAD_TARGET;
			return 0;
		}
		h->n++;
		return (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ? 0 : eg_head_bad(h);
	case EG_HEAD_TARGET:
		return eg_head_target(w, c);
	default: /* "HTTP/1.x" */
		if (h->n == 8) {
			if (c == '\r' && h->at + 1 >= h->end)
				return 1;
			if (eg_head_eol(w, c)) {
				h->phase = EG_HEAD_LINE;
				return 0;
			}
		} else if (h->n == 7
				   ? eg_is_digit(c)
				   : c == (0x2e312f5054544800ULL >> ((h->n + 1) & 7) * 8 & 0xff)) {
			h->n++;
			h->at++;
			return 0;
		}
		h->phase = EG_HEAD_TARGET;
		return 0;
	}
}

/* One step; 1 ends the walk: done, bad, or at the end of the bytes. */
static int eg_head_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_head *h = &w->head;
	__u8 c;

	if (h->at >= h->end)
		return 1;
	c = EG_AT(w, h->at);
	if (h->phase <= EG_HEAD_VERSION)
		return eg_head_request_line(w, c);
	if (c == '\r' && h->at + 1 >= h->end)
		return 1;
	switch (h->phase) {
	case EG_HEAD_LINE:
		if (eg_head_eol(w, c)) {
			h->done = 1;
			return 1;
		}
		h->phase = EG_HEAD_NAME;
		h->n = 0;
		h->is_host = 1;
		return 0;
	case EG_HEAD_NAME:
		if (!h->is_host && eg_head_eight(w, 0x21, ':')) {
			h->at += 8;
			return 0;
		}
		h->at++;
		if (c == ':') {
			h->is_host &= h->n == 4;
			h->phase = EG_HEAD_VALUE;
			if (h->is_host) {
				h->hosts += h->hosts < 2;
				h->host_at = h->at;
			}
			return h->n ? 0 : eg_head_bad(h);
		}
		/* a blank: a folded line, or one before the colon */
		if (c <= ' ' || c == 0x7f)
			return eg_head_bad(h);
		if (h->n >= 4 || (c | 0x20) != (0x74736f68U >> (h->n & 3) * 8 & 0xff))
			h->is_host = 0;
		h->n += h->n < 5;
		return 0;
	default:
		if (eg_head_eight(w, 0x20, 0x7f)) {
			h->at += 8;
			return 0;
		}
		if (h->is_host && (c == '\r' || c == '\n'))
			h->host_len = h->at - h->host_at;
		if (eg_head_eol(w, c)) {
			h->phase = EG_HEAD_LINE;
			return 0;
		}
		h->at++;
		return (c < ' ' && c != '\t') || c == 0x7f ? eg_head_bad(h) : 0;
	}
}

/* The head that begins at `at`, of which there is what lies before `end`. */
EG_ONCE int eg_head_parse(struct eg_first *w, __u32 at, __u32 end)
{
	if (!w)
		return 0;
	__builtin_memset(&w->head, 0, sizeof(w->head));
	w->head.at = at;
	w->head.end = end;
	EG_LOOP(EG_FIRST_MAX + 16, eg_head_step, &w);
	return 0;
}

/* --- the host --------------------------------------------------------------------------------------------------- */

static int eg_trim_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_head *h = &w->head;
	__u8 first = EG_AT(w, h->host_at), last = EG_AT(w, h->host_at + h->host_len - 1);

	if (!h->host_len)
		return 1;
	if (last == ' ' || last == '\t') {
		h->host_len--;
		return 0;
	}
	if (first != ' ' && first != '\t')
		return 1;
	h->host_at++;
	h->host_len--;
	return 0;
}

/* The port off the end of host_at, host_len. More than one colon: an address, which is told later. */
static int eg_port_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_head *h = &w->head;
	__u8 c;

	if (i >= h->host_len)
		return 1;
	c = EG_AT(w, h->host_at + h->host_len - 1 - i);
	if (c == ':') {
		h->host_len -= i + 1;
		return 1;
	}
	return !eg_is_digit(c);
}

/* Where the authority of an absolute target begins: behind "scheme://", and it ends before '/', '?' or '#'. */
static int eg_authority_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *t = &w->parse;
	__u8 c = EG_AT(w, t->at);

	if (t->at >= t->end)
		return 1;
	if (!t->name_at) {
		if (c == ':') {
			if (!t->count || EG_AT(w, t->at + 1) != '/' || EG_AT(w, t->at + 2) != '/')
				t->bad = 1;
			t->at += 3;
			t->name_at = t->at;
			return t->bad != 0;
		}
		t->count++;
		t->at++;
		if (eg_is_alpha(c) || eg_is_digit(c) || c == '+' || c == '-' || c == '.')
			return 0;
		t->bad = 1;
		return 1;
	}
	if (c == '/' || c == '?' || c == '#')
		return 1;
	t->at++;
	return 0;
}

static int eg_same_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *t = &w->parse;
	__u8 a = EG_AT(w, t->name_at + i), b = EG_AT(w, w->head.host_at + i);

	if (i >= t->name_len)
		return 1;
	if (a >= 'A' && a <= 'Z')
		a |= 0x20;
	if (b >= 'A' && b <= 'Z')
		b |= 0x20;
	t->bad |= a != b;
	return t->bad != 0;
}

/* Is the text at parse.name_at the one at head.host_at? */
static __always_inline int eg_same_host(struct eg_first *w)
{
	w->parse.bad = w->parse.name_len != w->head.host_len;
	if (!w->parse.bad)
		EG_LOOP(w->parse.name_len, eg_same_step, &w);
	return !w->parse.bad;
}

/* Leaves what stands before the port in head.host_at, host_len. */
EG_ONCE int eg_host_cut(struct eg_first *w)
{
	struct eg_head *h;

	if (!w)
		return 0;
	h = &w->head;
	EG_LOOP(EG_FIRST_MAX, eg_trim_step, &w);
	if (h->host_len > EG_HOST_MAX + 1 + 6)
		h->bad = 1;
	else if (!eg_is_literal6(w, h->host_at, h->host_len))
		EG_LOOP(6, eg_port_step, &w);
	return 0;
}

/* The host of the head in w->head, in its host_at and host_len (0: none). 0: unreadable. */
EG_ONCE int eg_head_host(struct eg_first *w)
{
	struct eg_head *h;
	struct eg_parse *t;
	__u8 c;

	if (!w)
		return 0;
	h = &w->head;
	t = &w->parse;
	if (h->bad || h->hosts > 1)
		return 0;
	eg_host_cut(w);
	if (h->bad)
		return 0;
	c = EG_AT(w, h->target_at);
	if (c == '/' || (c == '*' && h->target_len == 1))
		return !h->is_connect;
	t->at = h->target_at;
	t->end = h->target_at + h->target_len;
	t->name_at = h->is_connect ? t->at : 0;
	t->bad = 0;
	t->count = 0;
	EG_LOOP(EG_FIRST_MAX, eg_authority_step, &w);
	if (t->bad || !t->name_at || t->at <= t->name_at)
		return 0;
	/* the target wins; what the field says must be the same */
	t->at = t->at - t->name_at;
	t->end = h->host_at;
	t->count = h->host_len;
	h->host_at = t->name_at;
	h->host_len = t->at;
	eg_host_cut(w);
	if (h->bad || !h->host_len)
		return 0;
	t->name_at = t->end;
	t->name_len = t->count;
	return !t->count || eg_same_host(w);
}

/*
 * The requests in the first n bytes, of which the first head was parsed. Leaves visible UNKNOWN while the first head is not whole; `last`: no more
 * bytes will be looked at, a host that was found in them is the answer. Requests behind it must be for the same host.
 */
EG_ONCE int eg_request(struct eg_first *w, __u32 n, int last, struct eg_seen *seen)
{
	__u32 host_at = 0, host_len = 0, at, i;
	struct eg_head *h;

	if (!w || !seen)
		return 0;
	h = &w->head;
	for (i = 0; i < EG_HEADS_MAX; i++) {
		if (i)
			eg_head_parse(w, at, n);
		if (!h->bad && !h->done && (i || !last || !h->hosts || !h->host_len)) {
			if (i)
				break;
			seen->visible = last ? EG_VISIBLE_UNREADABLE : EG_VISIBLE_UNKNOWN;
			return 0;
		}
		at = h->at;
		if (i && h->phase <= EG_HEAD_VERSION)
			break; /* a body */
		if (!eg_head_host(w)) {
			seen->visible = EG_VISIBLE_UNREADABLE;
			return 0;
		}
		if (!i) {
			host_at = h->host_at;
			host_len = h->host_len;
		} else {
			w->parse.name_at = host_at;
			w->parse.name_len = host_len;
			if (!eg_same_host(w)) {
				seen->visible = EG_VISIBLE_UNREADABLE;
				return 0;
			}
		}
		if (at >= n || !h->done)
			break;
	}
	if (host_len)
		eg_visible_name(w, host_at, host_len, seen);
	else
		seen->visible = EG_VISIBLE_NONE;
	return 0;
}
