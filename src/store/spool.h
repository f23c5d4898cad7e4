/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches on disk until a server has taken them. A folder:
 *
 *     open-KIND            the batch being filled: what was committed of it, in frames with a hash; large ones are packed already
 *     SEQ-KIND-ROWS        a batch: one line that says what it is, then its rows, packed (store/spool_pack.h). Never changed: each try
 *                          sends the same bytes
 *     sent/                batches that were taken, kept for a while, for a server that loses its disk
 *     refused/             batches that a server will never take, the last few of them
 *     id                   32 hexadecimal digits, made once: whose batches these are
 *
 * Whoever sends (store/ship.h, another process) takes batches in the order of SEQ and moves them; this side fills, finds what has been
 * moved, and keeps all of it below a size: what was taken goes first, then batches by rank, the oldest first. Synced at each commit:
 * neither a kill nor a power cut loses what was committed, or has it twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define SPOOL_KINDS_MAX 8
#define SPOOL_NAME_MAX 64
#define SPOOL_HEAD_MAX 4096
#define SPOOL_BATCH_BYTES (16U << 20) /* from here on, or from so many rows, a batch is closed */
#define SPOOL_BATCH_ROWS 50000
#define SPOOL_ROW_ROOM (1U << 20) /* what the last row may have beyond */
#define SPOOL_SENT "sent"
#define SPOOL_REFUSED "refused"
#define SPOOL_ID "id"
#define SPOOL_ID_TEXT 33

struct spool_kind {
	const char *name; /* letters, digits, '_' */
	const char *head; /* the line that its batches begin with; shorter than SPOOL_HEAD_MAX */
	unsigned rank;    /* what ranks lowest is dropped first */
	uint32_t few;     /* a batch of fewer rows stays open up to few_ns */
};

/* A batch of another machine's spool. */
struct spool_tag {
	uint8_t id[16]; /* of that spool */
	uint64_t seq;
};

struct spool_config {
	const char *dir; /* made when absent, mode 0700; borrowed */
	struct spool_kind kinds[SPOOL_KINDS_MAX];
	size_t n_kinds;
	uint64_t max_bytes;
	uint64_t sent_ns; /* how long what was taken is kept */
	uint64_t few_ns;
	uint64_t first_seq; /* batches get no lower number */
	/* Of a spool that joins batches of others, else NULL: */
	void (*on_tag)(void *ctx, const struct spool_tag *tag); /* it is on disk, for good */
	int (*on_close)(
		void *ctx); /* what on_tag() told must be kept elsewhere from now on; -errno: not yet */
	void *ctx;
};

struct spool;

/* Batches of an earlier run are taken up, of the one that was being filled what had been committed. 0 or -errno. */
int spool_open(struct spool **ret, const struct spool_config *cfg);
struct spool *spool_close(struct spool *s); /* what is open stays so, for the next run */

/* Where the next row of this kind is appended; NULL: commit first. Then tell how it went: spool_row(). */
struct buf *spool_begin(struct spool *s, size_t kind);
int spool_row(struct spool *s, size_t kind); /* -E2BIG: it did not fit, and is not there */
/* A whole batch of another spool, or nothing of it. -EAGAIN: not into the batch that is open, spool_finish() first; -E2BIG. */
int spool_add(struct spool *s, size_t kind, struct str bytes, uint32_t rows,
	      const struct spool_tag *tag);
int spool_commit(struct spool *s); /* -errno: nothing since the last one is there, of any kind */
void spool_abort(struct spool *s); /* forgets what came since the last commit */
int spool_finish(struct spool *s, size_t kind); /* commits and closes the batch that is open */

/* Once a second: closes batches that are old enough, finds what has been moved, keeps to the size. -errno: a batch cannot be closed. */
int spool_keep_house(struct spool *s, uint64_t boot_ns);

struct spool_stats {
	uint64_t bytes;                  /* all of it */
	uint64_t waiting, waiting_files; /* rows, closed and open; batches that are closed */
	uint64_t sent_rows, sent_bytes;  /* still kept */
	uint64_t dropped, refused;       /* rows, since spool_open() */
};
void spool_stats(const struct spool *s, struct spool_stats *ret);

/* "SEQ-KIND-ROWS". false: another file. */
struct spool_name {
	uint64_t seq;
	uint32_t rows;
	struct str kind;
};
bool spool_name_parse(struct str name, struct spool_name *ret);
