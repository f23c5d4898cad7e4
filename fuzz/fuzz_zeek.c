/* SPDX-License-Identifier: Apache-2.0 */
/* Zeek logs, TSV and JSON lines. */
#include "replay_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	replay_bytes(data, size);
	return 0;
}
