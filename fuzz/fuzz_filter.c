/* SPDX-License-Identifier: Apache-2.0 */
/* Filter text is typed by users and sent over the control socket: any bytes must parse or fail, and match safely. */
#include <stdlib.h>

#include "flow/filter.h"
#include "flow/flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flow flow = { .key = { .proto = 6, .dport = 443 }, .rtt_us = 5 };
	struct filter_error error = { 0 };
	struct filter *f = NULL;

	if (filter_parse((struct str){ (const char *)data, size }, &f, &error) < 0) {
		if (!error.message[0] && error.column)
			abort(); /* a mistake without a word */
		return 0;
	}
	filter_match(f, &flow, 1);
	filter_free(f);
	return 0;
}
