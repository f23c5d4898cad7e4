/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the spool: the batch that is being filled, and its journal. That is a head and frames, each with a hash: of rows as they are,
 * or of a block. Rows are packed by the quarter of a megabyte, so that each is packed once, and what is on disk of a busy machine is small.
 */
#pragma once

#include <sys/types.h>

#include "store/spool.h"

struct open_batch {
	int fd;            /* of its journal; -1: there is none */
	off_t fd_n;        /* bytes of it that hold */
	size_t frames_n;   /* of the frames behind them that are being committed */
	uint64_t seq;      /* 0: it has no journal yet */
	struct buf blocks; /* rows that are packed */
	struct buf bytes;  /* the others */
	size_t row_at;     /* where the row begins that is being appended */
	size_t blocks_committed, committed;
	size_t blocks_rows_n; /* bytes of what is in the blocks, unpacked */
	uint32_t rows, rows_committed;
	uint64_t began_ns;
	struct buf tags; /* of what is not committed */
};

#define OPEN_BATCH_INIT                                                                     \
	((struct open_batch){ .fd = -1,                                                     \
			      .bytes = BUF_INIT(SPOOL_BATCH_BYTES + SPOOL_ROW_ROOM),        \
			      .blocks = BUF_INIT(2 * (SPOOL_BATCH_BYTES + SPOOL_ROW_ROOM)), \
			      .tags = BUF_INIT(SPOOL_BATCH_ROWS * sizeof(struct spool_tag)) })

void open_batch_done(struct open_batch *o);

/* Empty again, and without a journal; the file itself is the caller's. */
void open_batch_clear(struct open_batch *o);
bool open_batch_is_full(const struct open_batch *o);

/* The head of a new journal, which has the number `seq`, into o->fd. 0 or -errno. */
int open_batch_begin(struct open_batch *o, uint64_t seq);

/* Writes what came since the last commit behind what holds, and syncs it. It holds when open_batch_holds() is told so; or never was. */
int open_batch_write(struct open_batch *o);
void open_batch_holds(struct open_batch *o, const struct spool_config *cfg);
void open_batch_forget(struct open_batch *o); /* what came since the last commit */

/* What a journal says: its number, 0 when it is none; and its rows, up to the first frame that is not whole. */
uint64_t open_batch_seq(struct str journal);
void open_batch_take(struct open_batch *o, struct str journal, const struct spool_config *cfg);
size_t open_batch_journal_n(const struct open_batch *o); /* bytes of its frames */
