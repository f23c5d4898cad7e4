/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spool_pack.h"

#include <endian.h>
#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"

#define LEVEL 1
#define METHOD_ZSTD 0x90
#define GZIP_WINDOW (15 + 16)
#define GZIP_STEP (256U << 10)

struct block_head {
	uint8_t checksum[16];
	uint8_t method;
	uint32_t packed_n; /* method, sizes and frame */
	uint32_t n;
} __attribute__((packed));

#define COUNTED (sizeof(struct block_head) - 16) /* what packed_n counts of the head */

bool spool_is_gzip(struct str body)
{
	return str_has_prefix(body, STR("\x1f\x8b"));
}

/* ---- packing ---- */

/* -1: there is no memory, or no room. */
static ssize_t pack_frame(char *to, size_t room, struct str rows)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t n = 0;
	bool ok = ctx &&
		  !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, LEVEL)) &&
		  !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1));

	if (ok)
		n = ZSTD_compress2(ctx, to, room, rows.p, rows.n);
	ZSTD_freeCCtx(ctx);
	return ok && !ZSTD_isError(n) ? (ssize_t)n : -1;
}

int spool_pack(struct buf *out, struct str rows)
{
	struct block_head head = { .method = METHOD_ZSTD, .n = htole32((uint32_t)rows.n) };
	size_t room = ZSTD_compressBound(rows.n);
	char *at;
	ssize_t n;

	if (!rows.n)
		return 0;
	if (rows.n > SPOOL_BLOCK_MAX)
		return -E2BIG;
	at = buf_reserve(out, sizeof(head) + room);
	n = at ? pack_frame(at + sizeof(head), room, rows) : -1;
	if (n < 0) {
		out->failed = false;
		return -ENOMEM;
	}
	head.packed_n = htole32((uint32_t)(COUNTED + (size_t)n));
	memcpy(at, &head, sizeof(head));
	out->n += sizeof(head) + (size_t)n;
	return 0;
}

/* ---- unpacking ---- */

static int room_error(const struct buf *out, size_t n)
{
	return n > out->max - out->n ? -E2BIG : -ENOMEM;
}

/* Takes one block off the front. */
static int unpack_block(ZSTD_DCtx *ctx, struct buf *out, struct str *body)
{
	struct block_head head;
	struct str frame;
	size_t n, got;
	char *at;

	if (body->n < sizeof(head))
		return -EBADMSG;
	memcpy(&head, body->p, sizeof(head));
	n = le32toh(head.n);
	if (head.method != METHOD_ZSTD || le32toh(head.packed_n) <= COUNTED || !n ||
	    le32toh(head.packed_n) - COUNTED > body->n - sizeof(head))
		return -EBADMSG;
	frame = str_sub(*body, sizeof(head), le32toh(head.packed_n) - COUNTED);
	/* Nothing is reserved on the word of a head alone. */
	if (ZSTD_getFrameContentSize(frame.p, frame.n) != n || n > SPOOL_BLOCK_MAX)
		return -EBADMSG;
	at = buf_reserve(out, n);
	if (!at)
		return room_error(out, n);
	got = ZSTD_decompressDCtx(ctx, at, n, frame.p, frame.n);
	if (ZSTD_isError(got) || got != n)
		return -EBADMSG;
	out->n += n;
	*body = str_sub(*body, sizeof(head) + frame.n, body->n);
	return 0;
}

static int unpack_blocks(struct buf *out, struct str body)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	int r = ctx ? 0 : -ENOMEM;

	while (r == 0 && body.n)
		r = unpack_block(ctx, out, &body);
	ZSTD_freeDCtx(ctx);
	return r;
}

static int inflate_into(z_stream *z, struct buf *out)
{
	int r = Z_OK;

	while (r == Z_OK) {
		size_t room = MIN(GZIP_STEP, out->max - out->n);

		if (!room)
			return -E2BIG;
		z->next_out = (Bytef *)buf_reserve(out, room);
		z->avail_out = (uInt)room;
		if (!z->next_out)
			return -ENOMEM;
		r = inflate(z, Z_NO_FLUSH);
		out->n += room - z->avail_out;
	}
	return r == Z_STREAM_END && !z->avail_in ? 0 : r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int unpack_gzip(struct buf *out, struct str body)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)body.p, .avail_in = (uInt)body.n };
	int r;

	if (body.n > UINT32_MAX)
		return -E2BIG;
	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return -ENOMEM;
	r = inflate_into(&z, out);
	inflateEnd(&z);
	return r;
}

int spool_unpack(struct buf *out, struct str body)
{
	size_t before = out->n;
	int r = spool_is_gzip(body) ? unpack_gzip(out, body) : unpack_blocks(out, body);

	if (r < 0) {
		out->n = before;
		out->failed = false;
	}
	return r;
}
