/* SPDX-License-Identifier: Apache-2.0 */
/* Request lines of the control socket, each line of the input as one. */
#include <stddef.h>
#include <stdint.h>

#include "serve/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str rest = { (const char *)bytes, n }, line;

	while (str_cut(&rest, '\n', &line)) {
		char error[REQUEST_ERROR_MAX] = "";
		struct request q;

		line = str_sub(line, 0, REQUEST_MAX);
		if (request_parse(line, &q, error) == 0)
			request_done(&q);
		else if (!error[0])
			__builtin_trap(); /* a refusal without a reason */
	}
	return 0;
}
