/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP/1.x requests and responses (RFC 9112), read leniently: what is there is reported. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct http_request {
	struct str method, url, host, user_agent; /* point into the bytes; empty when absent */
	uint8_t minor;                            /* HTTP/1.minor */
	bool complete;                            /* the empty line was seen */
};

struct http_response {
	uint16_t status;
	uint8_t minor;
	bool has_length, complete;
	uint64_t length; /* Content-Length */
	struct str content_type;
};

bool http_is_request(struct str bytes);  /* begins with a method and a space */
bool http_is_response(struct str bytes); /* begins with "HTTP/1." */
int http_request_parse(struct str bytes,
		       struct http_request *ret); /* 0, -EAGAIN (head goes on), -EBADMSG */
int http_response_parse(struct str bytes, struct http_response *ret); /* likewise */

/* "Host" without port, brackets or trailing dot, for use as a name; empty when it is an address. */
struct str http_host_name(struct str host);
