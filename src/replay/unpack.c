/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"

/* 128 MiB, as far as the zstd program itself goes unless told otherwise. A frame that asks for more is refused. */
#define ZSTD_WINDOW_LOG_MAX 27

struct unpack {
	bool gzip;
	bool at_end; /* between members or frames */
	bool trailing; /* what follows the last gzip member is no gzip; ignored, as gzip itself does */
	z_stream z;
	ZSTD_DStream *zstd;
};

DEFINE_CLEANUP(struct unpack, unpack_free);

static int start_gzip(struct unpack *u)
{
	if (inflateInit2(&u->z, 15 + 16) != Z_OK)
		return -ENOMEM;
	u->gzip = true;
	return 0;
}

static int start_zstd(struct unpack *u)
{
	u->zstd = ZSTD_createDStream();
	if (!u->zstd)
		return -ENOMEM;
	if (ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
		return -EINVAL;
	return 0;
}

int unpack_new(struct unpack **ret, struct str head)
{
	_cleanup_(unpack_freep) struct unpack *u = NULL;
	bool skippable = head.n >= 4 && ((uint8_t)head.p[0] & 0xf0) == 0x50 &&
			 !memcmp(head.p + 1, "\x2a\x4d\x18", 3);
	int r;

	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	if (str_has_prefix(head, STR("\x1f\x8b")))
		r = start_gzip(u);
	else if (str_has_prefix(head, STR("\x28\xb5\x2f\xfd")) || skippable)
		r = start_zstd(u);
	else
		return -EBADMSG;
	if (r < 0)
		return r;
	*ret = TAKE_PTR(u);
	return 0;
}

struct unpack *unpack_free(struct unpack *u)
{
	if (!u)
		return NULL;
	if (u->gzip)
		inflateEnd(&u->z);
	ZSTD_freeDStream(u->zstd);
	free(u);
	return NULL;
}

static ssize_t run_gzip(struct unpack *u, struct str *in, uint8_t *out, size_t cap)
{
	int r;

	if (u->trailing) {
		in->n = 0;
		return 0;
	}
	if (u->at_end) { /* another member, or not */
		if (in->n && (uint8_t)in->p[0] != 0x1f) {
			u->trailing = true;
			in->n = 0;
			return 0;
		}
		if (inflateReset(&u->z) != Z_OK)
			return -EBADMSG;
	}
	u->at_end = false;
	u->z.next_in = (Bytef *)(uintptr_t)in->p; /* zlib does not write there */
	u->z.avail_in = (uInt)in->n;
	u->z.next_out = out;
	u->z.avail_out = (uInt)cap;
	r = inflate(&u->z, Z_NO_FLUSH);
	*in = str_sub(*in, in->n - u->z.avail_in, in->n);
	if (r == Z_STREAM_END)
		u->at_end = true;
	else if (r == Z_MEM_ERROR)
		return -ENOMEM;
	else if (r != Z_OK && r != Z_BUF_ERROR)
		return -EBADMSG;
	return (ssize_t)(cap - u->z.avail_out);
}

static ssize_t run_zstd(struct unpack *u, struct str *in, uint8_t *out, size_t cap)
{
	ZSTD_inBuffer from = { in->p, in->n, 0 };
	ZSTD_outBuffer to = { out, cap, 0 };
	size_t r = ZSTD_decompressStream(u->zstd, &to, &from);

	*in = str_sub(*in, from.pos, in->n);
	if (ZSTD_isError(r))
		return to.pos ? (ssize_t)to.pos : -EBADMSG;
	u->at_end = !r;
	return (ssize_t)to.pos;
}

ssize_t unpack_run(struct unpack *u, struct str *in, uint8_t *out, size_t cap)
{
	if (u->gzip)
		return run_gzip(u, in, out, cap);
	return run_zstd(u, in, out, cap);
}

bool unpack_at_end(const struct unpack *u)
{
	return u->at_end;
}
