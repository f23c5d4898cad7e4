/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The name in a ClientHello (RFC 8446, RFC 6066): from TLS records, of which one hello may take several, from bare handshake
 * bytes (QUIC), or from a DTLS record. Strict where servers are not of one mind: two names, two extensions of names, lengths
 * that do not agree are unreadable. With ECH the outer name is the visible one. Pure, see flight.h.
 */
#pragma once

#include "visible.h"

#define EG_EXTENSIONS_MAX 128
#define EG_ALPNS_MAX 32

enum eg_tls_form { EG_TLS_BARE, EG_TLS_DTLS };

/* --- extensions ------------------------------------------------------------------------------------------------ */

/* server_name: a list of one entry, of type host_name, that fills the extension. */
static __always_inline int eg_hello_name(struct eg_first *w, __u32 at, __u32 len)
{
	struct eg_parse *h = &w->parse;

	if (h->names++ || len < 6 || eg_at16(w, at) != len - 2 || EG_AT(w, at + 2) ||
	    eg_at16(w, at + 3) != len - 5)
		return 1;
	h->name_at = at + 5;
	h->name_len = len - 5;
	return 0;
}

static int eg_hello_extension(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *h = &w->parse;
	__u32 type, len;

	if (h->at == h->end)
		return 1;
	if (h->at + 4 > h->end)
		goto bad;
	type = eg_at16(w, h->at);
	len = eg_at16(w, h->at + 2);
	h->at += 4;
	if (h->at + len > h->end)
		goto bad;
	if (type == 0 && eg_hello_name(w, h->at, len))
		goto bad;
	if (type == 16) {
		if (h->alpn_at || len < 2 || eg_at16(w, h->at) != len - 2)
			goto bad;
		h->alpn_at = h->at + 2;
		h->alpn_end = h->at + len;
	}
	h->at += len;
	return 0;
bad:
	h->bad = 1;
	return 1;
}

/* Which application speaks inside: only DNS's is asked for. "doq-i02" and the like were drafts. */
static int eg_hello_alpn(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *h = &w->parse;
	__u32 at = h->alpn_at, len = EG_AT(w, at);

	if (at >= h->alpn_end)
		return 1;
	if (!len || at + 1 + len > h->alpn_end) {
		h->bad = 1;
		return 1;
	}
	if (len == 3 && eg_at24(w, at + 1) == 0x646f74)
		h->dot = 1;
	if (len >= 3 && eg_at24(w, at + 1) == 0x646f71 && (len == 3 || EG_AT(w, at + 4) == '-'))
		h->doq = 1;
	h->alpn_at = at + 1 + len;
	return 0;
}

/*
 * A whole hello's handshake message of `len` bytes. 1: readable; parse.name_len is 0 without a name.
 */
EG_ONCE int eg_hello_parse(struct eg_first *w, __u32 at, __u32 len, int form)
{
	struct eg_parse *h;
	__u32 end = at + len, n;

	if (!w)
		return 0;
	h = &w->parse;
	h->bad = h->names = h->dot = h->doq = 0;
	h->name_at = h->name_len = h->alpn_at = h->alpn_end = 0;
	at += form == EG_TLS_DTLS ? 12 : 4;
	at += 2 + 32;
	n = EG_AT(w, at); /* session id */
	at += 1 + n;
	if (n > 32 || at > end)
		return 0;
	if (form == EG_TLS_DTLS)
		at += 1 + EG_AT(w, at); /* cookie */
	n = eg_at16(w, at);             /* ciphers */
	at += 2 + n;
	if (!n || (n & 1) || at >= end)
		return 0;
	n = EG_AT(w, at); /* compression */
	at += 1 + n;
	if (!n || at > end)
		return 0;
	if (at == end)
		return 1; /* no extensions at all, as before TLS 1.2 */
	n = eg_at16(w, at);
	at += 2;
	if (at + n != end)
		return 0;
	h->at = at;
	h->end = end;
	EG_LOOP(EG_EXTENSIONS_MAX, eg_hello_extension, &w);
	if (h->bad || h->at != h->end)
		return 0;
	if (h->alpn_at)
		EG_LOOP(EG_ALPNS_MAX, eg_hello_alpn, &w);
	return !h->bad && h->alpn_at >= h->alpn_end;
}

/* The hello that was just parsed, told to the flow. */
static __always_inline void eg_hello_tell(struct eg_first *w, int readable, struct eg_seen *seen)
{
	if (!readable)
		seen->visible = EG_VISIBLE_UNREADABLE;
	else if (!w->parse.name_len)
		seen->visible = EG_VISIBLE_NONE;
	else
		eg_visible_name(w, w->parse.name_at, w->parse.name_len, seen);
}

/* --- TLS over TCP ----------------------------------------------------------------------------------------------- */
#define EG_RECORD_MAX (16384 + 2048)

/* One record more: its part of the hello goes behind what there is. 1: the end, or an error (bad), or more is to come. */
static int eg_hello_record(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *h = &w->parse;
	__u32 len, n, to = EG_FIRST_PLACE + (h->count & (EG_FIRST_MAX - 1));

	if (h->at + 5 > h->end)
		return 1;
	len = eg_at16(w, h->at + 3);
	if (EG_AT(w, h->at) != 22 || EG_AT(w, h->at + 1) != 3 || !len || len > EG_RECORD_MAX) {
		h->bad = 1;
		return 1;
	}
	h->at += 5;
	n = h->end - h->at;
	if (n > len)
		n = len;
	if (n > EG_FIRST_MAX - h->count)
		n = EG_FIRST_MAX - h->count;
	if (n && n <= EG_FIRST_MAX)
		EG_COPY(&w->bytes[to], n, &EG_AT(w, h->at));
	h->count += n;
	h->at += len;
	return h->at > h->end || h->count >= h->label;
}

/* From 5 + 4 bytes on: the hello's length is known, and it goes on in further records. */
static __always_inline int eg_hello_join(struct eg_first *w, __u32 n, __u32 need)
{
	struct eg_parse *h = &w->parse;

	h->at = 0;
	h->end = n;
	h->count = 0;
	h->label = need;
	h->bad = 0;
	EG_LOOP(EG_FIRST_MAX / 6, eg_hello_record, &w);
	if (h->bad)
		return -1;
	return h->count >= need;
}

/* Can the bytes be a handshake that begins with a ClientHello? Some servers do not look at a record's version at all. */
static __always_inline int eg_is_hello(struct eg_first *w, __u32 n)
{
	if (!n || EG_AT(w, 0) != 22)
		return 0;
	if (n >= 2 && EG_AT(w, 1) == 3)
		return 1;
	return n >= 6 && EG_AT(w, 1) < 0x10 && EG_AT(w, 5) == 1 && !EG_AT(w, 6) &&
	       eg_at16(w, 3) <= EG_RECORD_MAX;
}

/* The first n bytes of a TLS stream. Leaves visible UNKNOWN when the hello is not whole. */
EG_ONCE int eg_hello_stream(struct eg_first *w, __u32 n, struct eg_seen *seen)
{
	__u32 record, need, at = 5;
	int r;

	if (!w || !seen || n < 5 + 4)
		return 0;
	seen->visible = EG_VISIBLE_UNREADABLE;
	record = eg_at16(w, 3);
	if (!record || record > EG_RECORD_MAX)
		return 0;
	if (record < 4) {
		/* even the handshake header is cut: three bytes of it at the least are in other records */
		r = eg_hello_join(w, n, 4);
		if (r <= 0)
			goto cut;
		at = EG_FIRST_PLACE;
	}
	if (EG_AT(w, at) != 1)
		return 0;
	need = eg_at24(w, at + 1) + 4;
	if (need > EG_FIRST_MAX - 5)
		return 0;
	if (record >= need) {
		at = 5;
		r = n >= 5 + need;
	} else {
		at = EG_FIRST_PLACE;
		r = eg_hello_join(w, n, need);
	}
	if (r <= 0)
		goto cut;
	r = eg_hello_parse(w, at, need, EG_TLS_BARE);
	eg_hello_tell(w, r, seen);
	return 0;
cut:
	if (!r)
		seen->visible = EG_VISIBLE_UNKNOWN;
	return 0;
}

/* --- DTLS ------------------------------------------------------------------------------------------------------- */

/* A datagram of n bytes at `at`. visible is left alone when there is no ClientHello at its front. */
EG_ONCE int eg_hello_dtls(struct eg_first *w, __u32 at, __u32 n, struct eg_seen *seen)
{
	__u32 record, need;
	int r;

	if (!w || !seen || n < 13 + 12 || EG_AT(w, at) != 22 || EG_AT(w, at + 13) != 1)
		return 0;
	seen->visible = EG_VISIBLE_UNREADABLE;
	record = eg_at16(w, at + 11);
	need = eg_at24(w, at + 14) + 12;
	if (13 + record > n || need > record || eg_at24(w, at + 19) ||
	    eg_at24(w, at + 22) + 12 != need)
		return 0; /* a fragment */
	r = eg_hello_parse(w, at + 13, need, EG_TLS_DTLS);
	eg_hello_tell(w, r, seen);
	return 0;
}
