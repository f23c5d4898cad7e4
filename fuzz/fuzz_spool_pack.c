/* SPDX-License-Identifier: Apache-2.0 */
/* A batch's body of any bytes: unpacked within its bound, or refused and nothing appended; and what is packed is there again. */
#include <stdlib.h>

#include "store/spool_pack.h"

#define BOUND (4U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = { (const char *)data, size };
	_cleanup_buf_ struct buf out = BUF_INIT(BOUND), body = BUF_INIT(BOUND),
				 again = BUF_INIT(BOUND);

	if (spool_unpack(&out, input) < 0 && (out.n || out.failed))
		abort();
	if (out.n > BOUND)
		abort();
	if (spool_pack(&body, input) == 0 &&
	    (spool_unpack(&again, buf_str(&body)) < 0 || !str_eq(buf_str(&again), input)))
		abort();
	return 0;
}
