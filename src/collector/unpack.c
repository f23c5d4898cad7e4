/* SPDX-License-Identifier: Apache-2.0 */
#include "collector/unpack.h"

#include <errno.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16)
#define STEP (256U << 10)

int unpack_batch(struct buf *out, struct str packed)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)packed.p, .avail_in = (uInt)packed.n };
	int r = inflateInit2(&z, GZIP_WINDOW);

	if (r != Z_OK)
		return -ENOMEM;
	while (r == Z_OK) {
		char *at = buf_reserve(out, STEP);

		if (!at)
			break;
		z.next_out = (Bytef *)at;
		z.avail_out = STEP;
		r = inflate(&z, Z_NO_FLUSH);
		out->n += STEP - z.avail_out;
	}
	inflateEnd(&z);
	if (out->failed)
		return -EFBIG;
	return r == Z_STREAM_END && !z.avail_in ? 0 : -EBADMSG;
}
