/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a client asks over HTTP to the members of a request to the control socket. Pure: bytes in, bytes out; fuzzed
 * (fuzz/fuzz_web.c). Whatever is not known, not of its kind or said twice is refused with words.
 */
#pragma once

#include "base/buf.h"
#include "web/route.h"

#define ASK_QUERY_MAX 4096
#define ASK_BODY_MAX (256U << 10)
#define ASK_MEMBERS_MAX 7800 /* leaves room in a request of 8 KiB for who asks */
#define ASK_ERROR_MAX 256

/*
 * `query` is what stands behind the '?', still encoded. Appends ,"name":value for each parameter. 0; -EINVAL with words in
 * `error`; -E2BIG: so long is no request.
 */
int ask_from_query(const struct web_route *route, struct str query, struct buf *members,
		   char error[ASK_ERROR_MAX]);
/* The same from a body: a JSON object, or nothing. A WEB_FILE goes to `file`, in the form of guard/bundle.h. */
int ask_from_body(const struct web_route *route, struct str body, struct buf *members,
		  struct buf *file, char error[ASK_ERROR_MAX]);
/*
 * A request line of the control socket as it is (a route of WEB_LINES): its members without the braces. Refused is what changes
 * something, what never ends, and whoever says himself who he is.
 */
int ask_from_line(struct str line, struct buf *members, char error[ASK_ERROR_MAX]);
/* Unix seconds, or RFC 3339 section 5.6 ("2026-01-02T03:04:05Z", "…+01:00"). 0; -EINVAL. */
int ask_parse_time(struct str s, uint64_t *ret_s);
