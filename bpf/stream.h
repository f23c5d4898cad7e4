/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The beginning of a TCP stream: what protocol, what name. Bytes are in the workspace as far as they are there without a
 * hole. Pure, see flight.h.
 */
#pragma once

#include "hello.h"
#include "recognise_tcp.h"
#include "request.h"

/* "GET" and the like: one of the methods that every server knows. */
static __always_inline int eg_http_method(struct eg_first *w, __u32 at)
{
	__u32 x = eg_at32(w, at);

	return x >> 8 == 0x474554 /* GET */ || x == 0x504f5354 /* POST */ ||
	       x == 0x48454144 /* HEAD */ || x >> 8 == 0x505554 /* PUT */ ||
	       x == 0x434f4e4e /* CONNECT */ || x == 0x4f505449 /* OPTIONS */ ||
	       x == 0x44454c45 /* DELETE */ || x == 0x50415443 /* PATCH */ ||
	       x == 0x54524143 /* TRACE */;
}

/* The line in w->head is another protocol's that uses HTTP's methods: its version says so. */
static __always_inline int eg_is_sip(struct eg_first *w, __u32 n)
{
	__u32 end = w->head.target_at + w->head.target_len;

	return w->head.target_len >= 8 && (eg_at32(w, end - 7) == 0x5349502f /* SIP/ */ ||
					   eg_at32(w, end - 8) == 0x52545350 /* RTSP */);
}

/* A whole request line, or one that no other protocol begins like: 1; not known yet: 0; another protocol: -1. */
static __always_inline int eg_is_request(struct eg_first *w)
{
	struct eg_head *h = &w->head;

	if (h->phase > EG_HEAD_VERSION || h->done)
		return 1;
	if (h->bad)
		return -1;
	if (h->phase >= EG_HEAD_TARGET && h->at > h->target_at && EG_AT(w, h->target_at) == '/')
		return 1;
	return 0;
}

static __always_inline void eg_stream_text(struct eg_first *w, __u32 n, int last,
					   struct eg_seen *seen)
{
	int is;

	eg_head_parse(w, 0, n);
	is = eg_is_request(w);
	if (is > 0) {
		seen->app = EG_APP_HTTP;
		eg_request(w, n, last, seen);
		return;
	}
	seen->app = eg_recognise_tcp(w, n);
	if (is < 0 && eg_http_method(w, 0) && !eg_is_sip(w, n))
		seen->visible = EG_VISIBLE_UNREADABLE; /* some server may make sense of it */
	else if (is < 0 || seen->app > EG_APP_UNKNOWN)
		seen->visible = EG_VISIBLE_NONE;
	else
		seen->app = EG_APP_UNDECIDED;
	if (seen->app == EG_APP_HTTP2)
		seen->visible = EG_VISIBLE_UNREADABLE; /* :authority lies in HPACK */
}

static __always_inline void eg_stream_tls(struct eg_first *w, __u32 n, struct eg_seen *seen)
{
	w->parse.dot = 0;
	eg_hello_stream(w, n, seen);
	if (n >= 6 && seen->visible)
		seen->app = eg_recognise_tcp(w, n);
	if (seen->app == EG_APP_TLS && (w->parse.dot || w->port == 853))
		seen->app = EG_APP_DOT;
}

/*
 * The first n bytes of what the opener sends. `last`: no more will be looked at, because they fill the room there is, or
 * came in too many pieces. Sets visible and app; UNKNOWN and UNDECIDED when more bytes are needed.
 */
static __always_inline int eg_stream_look(struct eg_first *w, __u32 n, int last,
					  struct eg_seen *seen)
{
	__u8 c = EG_AT(w, 0);

	if (!n)
		return 0;
	if (eg_is_hello(w, n)) {
		eg_stream_tls(w, n, seen);
	} else if (c == 22 && n < 6) {
		seen->visible = EG_VISIBLE_UNKNOWN;
	} else if ((c >= 'A' && c <= 'Z') || c == '\r' || c == '\n') {
		eg_stream_text(w, n, last, seen);
	} else {
		seen->app = eg_recognise_tcp(w, n);
		if (seen->app != EG_APP_UNDECIDED || last)
			seen->visible = EG_VISIBLE_NONE;
		/* records of a session that nobody saw begin */
		if (seen->app == EG_APP_TLS && c < 0x80)
			seen->visible = EG_VISIBLE_UNREADABLE;
	}
	if (last && seen->visible == EG_VISIBLE_UNKNOWN)
		seen->visible = EG_VISIBLE_UNREADABLE;
	if (last && seen->app == EG_APP_UNDECIDED)
		seen->app = EG_APP_UNKNOWN;
	return 0;
}
