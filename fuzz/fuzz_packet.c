/* SPDX-License-Identifier: Apache-2.0 */
/* A frame after two bytes of link type; read whole, and as if the wire had more. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(uint16_t link, struct str frame, uint32_t wire)
{
	struct packet k;

	if (packet_parse(link, frame, wire, &k) != PACKET_OK)
		return;
	if (k.payload.n && (k.payload.p < frame.p || k.payload.p + k.payload.n > frame.p + frame.n))
		abort();
	if (k.payload.n > k.payload_bytes || k.tunnel_depth > PACKET_MAX_DEPTH)
		abort();
	if (k.fragment) {
		struct str rest = k.payload;

		packet_parse_transport(&k, k.frag_proto, rest);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str frame;
	uint16_t link;

	if (size < 2)
		return 0;
	link = (uint16_t)(data[0] << 8 | data[1]);
	frame = (struct str){ (const char *)data + 2, size - 2 };
	check(link, frame, (uint32_t)frame.n);
	check(link, frame, (uint32_t)frame.n + 1500);
	return 0;
}
