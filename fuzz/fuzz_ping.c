// SPDX-License-Identifier: Apache-2.0
/* An ICMP message, and its data or any first payload judged by its bytes. First byte of the input: bit 0 IPv6. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode/ping.h"
#include "decode/random_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = { (const char *)data, size };
	struct ping p;

	if (!size)
		return 0;
	if ((first_bytes_class(all) == FIRST_RANDOM) && size < RANDOM_BYTES_MIN)
		abort();
	if (ping_parse(str_sub(all, 1, SIZE_MAX), data[0] & 1, &p) == 0) {
		if (p.data.n + 9 != size || ping_data_class(p.data) >= PING_DATA_COUNT)
			abort();
		if (ping_data_class(p.data) == PING_RANDOM && p.data.n < RANDOM_BYTES_MIN)
			abort();
	}
	return 0;
}
