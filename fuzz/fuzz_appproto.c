// SPDX-License-Identifier: Apache-2.0
/*
 * First bytes of both sides: one byte of flags, one that picks a port, two of the client's length, then its bytes and
 * the server's. More bytes can only turn "undecided" into an answer, never one protocol's YES with the same bytes
 * into another's, so detection has to give the same twice.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode/appproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t ports[] = { 0,   21,  23,  25,   53,   80,   110,  123,  138, 143,
					  443, 514, 547, 1080, 1900, 3389, 5353, 5355, 9050 };
	struct app_input in = { 0 };
	enum app_proto app, inner;
	struct str s;
	size_t n;

	if (size < 4)
		return 0;
	in.ip_proto = data[0] & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	in.client_more = data[0] & 2;
	in.server_more = data[0] & 4;
	in.dport = ports[data[1] % (sizeof(ports) / sizeof(ports[0]))];
	n = (size_t)data[2] << 8 | data[3];
	s = (struct str){ (const char *)data + 4, size - 4 };
	in.client = str_sub(s, 0, n);
	in.server = str_sub(s, n, s.n);
	app = app_detect(&in);
	if (app >= APP_PROTO_COUNT || app != app_detect(&in))
		abort();
	for (inner = APP_UNKNOWN; inner < APP_PROTO_COUNT; inner++)
		if (app_inner_offset(inner, in.client) > in.client.n)
			abort();
	return 0;
}
