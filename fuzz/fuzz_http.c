// SPDX-License-Identifier: Apache-2.0
/* The same bytes as a request and as a response. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size }, name;
	struct http_response p;
	struct http_request q;

	http_is_request(s);
	if (http_request_parse(s, &q) != -EBADMSG) {
		name = http_host_name(q.host);
		if (name.n > 255)
			abort();
	}
	http_response_parse(s, &p);
	http_host_name(s);
	return 0;
}
