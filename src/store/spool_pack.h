/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the rows of a batch are packed: ClickHouse's own compressed blocks (zstd 1), which its HTTP takes with `decompress=1`. A block:
 *
 *     16 bytes   checksum (CityHash128); zeros, as the frame has one of its own and the server is told not to look
 *      1 byte    0x90: zstd
 *      4 bytes   from the method's byte to the end of the frame, little endian
 *      4 bytes   of the rows, unpacked
 *      a zstd frame
 *
 * Blocks follow each other; a row may reach over from one to the next. A server takes a body that is cut between two blocks for a whole
 * one: so whoever makes a body of several has them end within a row, but for the last. Batches of an earlier egretd are gzip. Pure; any
 * bytes are safe.
 */
#pragma once

#include "base/buf.h"

#define SPOOL_BLOCK_MAX (32U << 20) /* of rows in one block */

/*
 * Appends the rows as one block; the same rows are the same bytes. -E2BIG: more than SPOOL_BLOCK_MAX; -ENOMEM, also when
 * `out` may not be as large. Then nothing was appended.
 */
int spool_pack(struct buf *out, struct str rows);

/* Appends what a body holds, blocks or gzip. -EBADMSG: it is damaged; -E2BIG: it fills out->max; -ENOMEM. Then nothing was appended. */
int spool_unpack(struct buf *out, struct str body);

bool spool_is_gzip(struct str body); /* else blocks */
