// SPDX-License-Identifier: Apache-2.0
/* An SSH peer's first lines. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode/ssh.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_banner b;

	if (ssh_banner_parse((struct str){ (const char *)data, size }, &b) == 0 &&
	    !b.proto_version.n)
		abort();
	return 0;
}
