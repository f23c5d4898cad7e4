/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this a request that a browser sends for our own page? Pure. A page of somebody else must neither read (DNS rebinding: its
 * name leads to our address, so the Host header is looked at) nor make a browser change something (CSRF: Origin and
 * Sec-Fetch-Site are looked at, and a change takes a header that no form can send).
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct check_place {
	bool tls;            /* certificates tell names apart: Host may be any */
	bool local;          /* a Unix socket: no browser comes here */
	struct str listened; /* the address that is listened on, as "127.0.0.1" or "[::1]" */
};

/* Headers that are absent are STR_NONE. NULL: fine; else what is wrong, in words. */
const char *check_host(const struct check_place *p, struct str host);
const char *check_site(const struct check_place *p, struct str host, struct str origin,
		       struct str fetch_site);
const char *check_change(struct str content_type, struct str x_egret);
/* The value of a cookie, or STR_NONE (RFC 6265 section 5.4). */
struct str check_cookie(struct str cookies, struct str name);
/* What follows "Bearer " (RFC 6750 section 2.1), or STR_NONE. */
struct str check_bearer(struct str authorization);
