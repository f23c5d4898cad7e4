/* SPDX-License-Identifier: Apache-2.0 */
/* Captures of both kinds, plain and packed, with all that comes after them: frames, tunnels, fragments. */
#include "replay_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	replay_bytes(data, size);
	return 0;
}
