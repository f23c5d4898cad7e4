/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spool_journal.h"

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "store/spool_pack.h"

#define PACK_AT (256U << 10)          /* bytes of rows */
#define MAGIC 0x326c6f6f70736765ULL   /* "egspool2" */
#define MAGIC_1 0x316c6f6f70736765ULL /* of an earlier egretd: no frame of it is packed */
#define FRAME_PACKED (1U << 31)       /* in `rows` */

struct journal_head {
	uint64_t magic, seq;
};

/* Without rows: tags of what the next frame holds, and good for nothing without it. */
struct frame_head {
	uint32_t n, rows;
	uint64_t hash; /* of the bytes that follow, seeded with that of the tags before them */
};

bool open_batch_is_full(const struct open_batch *o)
{
	return o->blocks_rows_n + o->bytes.n >= SPOOL_BATCH_BYTES || o->rows >= SPOOL_BATCH_ROWS;
}

void open_batch_done(struct open_batch *o)
{
	if (o->fd >= 0)
		close(TAKE_FD(o->fd));
	buf_done(&o->blocks);
	buf_done(&o->bytes);
	buf_done(&o->tags);
}

void open_batch_clear(struct open_batch *o)
{
	if (o->fd >= 0)
		close(TAKE_FD(o->fd));
	buf_clear(&o->blocks);
	buf_clear(&o->bytes);
	if (o->bytes.cap > SPOOL_BATCH_BYTES / 4)
		buf_done(&o->bytes);
	o->committed = o->blocks_committed = o->blocks_rows_n = 0;
	o->rows = o->rows_committed = 0;
	o->seq = 0;
}

/* ---- committing ---- */

static int write_at(int fd, off_t at, const void *p, size_t n)
{
	for (ssize_t w; n; p = (const char *)p + w, at += w, n -= (size_t)w) {
		w = pwrite(fd, p, n, at);
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
	}
	return 0;
}

int open_batch_begin(struct open_batch *o, uint64_t seq)
{
	struct journal_head head = { MAGIC, seq };
	int r = write_at(o->fd, 0, &head, sizeof(head));

	if (r < 0)
		return r;
	o->seq = seq;
	o->fd_n = sizeof(head);
	return 0;
}

static int write_frame(int fd, off_t *at, const struct frame_head *head, const char *bytes)
{
	int r = write_at(fd, *at, head, sizeof(*head));

	if (r == 0)
		r = write_at(fd, *at + (off_t)sizeof(*head), bytes, head->n);
	*at += (off_t)(sizeof(*head) + head->n);
	return r;
}

/*
 * A block with all that was not packed yet, but for the last byte: it has to end within a row (spool_pack.h). The frame is the block and
 * that byte, and takes the place of the rows in the frames since the block before.
 */
static int pack_rows(struct open_batch *o, struct buf *frame)
{
	struct str rows = buf_str(&o->bytes);
	int r = spool_pack(frame, str_sub(rows, 0, rows.n - 1));

	if (r == 0)
		buf_put(frame, rows.p + rows.n - 1, 1);
	return r < 0 || !frame->failed ? r : -ENOMEM;
}

int open_batch_write(struct open_batch *o)
{
	struct str frame = str_sub(buf_str(&o->bytes), o->committed, o->bytes.n);
	struct frame_head tags = { (uint32_t)o->tags.n, 0, hash_bytes(o->tags.p, o->tags.n, 0) };
	struct frame_head head = { .rows = o->rows - o->rows_committed };
	off_t at = o->fd_n;
	int r = 0;

	o->blocks.n = o->blocks_committed; /* what an earlier try packed */
	if (o->bytes.n >= PACK_AT) {
		r = pack_rows(o, &o->blocks);
		frame = str_sub(buf_str(&o->blocks), o->blocks_committed, o->blocks.n);
		head.rows |= FRAME_PACKED;
	}
	head.n = (uint32_t)frame.n;
	head.hash = hash_bytes(frame.p, frame.n, tags.n ? tags.hash : 0);
	/* What was not written whole is written over by the next try; its hash tells it from a frame until then. */
	if (r == 0 && tags.n)
		r = write_frame(o->fd, &at, &tags, o->tags.p);
	if (r == 0)
		r = write_frame(o->fd, &at, &head, frame.p);
	if (r == 0 && fdatasync(o->fd) < 0)
		r = -errno;
	o->frames_n = (size_t)(at - o->fd_n);
	return r;
}

static void tell_tags(const struct spool_config *cfg, struct str tags)
{
	struct spool_tag tag;

	for (; cfg->on_tag && tags.n >= sizeof(tag); tags = str_sub(tags, sizeof(tag), tags.n)) {
		memcpy(&tag, tags.p, sizeof(tag));
		cfg->on_tag(cfg->ctx, &tag);
	}
}

/* The last byte of the blocks is no part of them: it begins what is packed next. */
static void block_holds(struct open_batch *o)
{
	char last = o->blocks.p[--o->blocks.n];

	o->blocks_committed = o->blocks.n;
	o->blocks_rows_n += o->bytes.n - 1;
	buf_clear(&o->bytes);
	buf_putc(&o->bytes, last);
}

void open_batch_holds(struct open_batch *o, const struct spool_config *cfg)
{
	o->fd_n += (off_t)o->frames_n;
	if (o->blocks.n > o->blocks_committed)
		block_holds(o);
	o->committed = o->bytes.n;
	o->rows_committed = o->rows;
	tell_tags(cfg, buf_str(&o->tags));
	buf_clear(&o->tags);
}

void open_batch_forget(struct open_batch *o)
{
	buf_clear(&o->tags);
	o->bytes.n = o->committed;
	o->blocks.n = o->blocks_committed;
	o->rows = o->rows_committed;
}

/* ---- reading it ---- */

size_t open_batch_journal_n(const struct open_batch *o)
{
	return o->fd_n ? (size_t)o->fd_n - sizeof(struct journal_head) : 0;
}

uint64_t open_batch_seq(struct str journal)
{
	struct journal_head head = { 0 };

	if (journal.n >= sizeof(head))
		memcpy(&head, journal.p, sizeof(head));
	return head.magic == MAGIC || head.magic == MAGIC_1 ? head.seq : 0;
}

static bool take_frame(struct open_batch *o, struct frame_head head, struct str frame)
{
	bool packed = head.rows & FRAME_PACKED;

	if (packed) {
		buf_put_str(&o->blocks, frame);
		o->bytes.n = 0;
		if (!o->blocks.failed)
			block_holds(o);
	} else {
		buf_put_str(&o->bytes, frame);
	}
	if (o->bytes.failed || o->blocks.failed)
		return false;
	o->rows += head.rows & ~FRAME_PACKED;
	return true;
}

void open_batch_take(struct open_batch *o, struct str journal, const struct spool_config *cfg)
{
	struct str rest = str_sub(journal, sizeof(struct journal_head), journal.n), tags = STR_NONE;
	struct frame_head head;
	uint64_t seed = 0;

	o->fd_n = sizeof(struct journal_head);
	while (rest.n >= sizeof(head)) {
		struct str frame;

		memcpy(&head, rest.p, sizeof(head));
		frame = str_sub(rest, sizeof(head), head.n);
		if (!head.n || frame.n < head.n ||
		    hash_bytes(frame.p, frame.n, seed) != head.hash ||
		    (head.rows && !take_frame(o, head, frame)))
			break;
		rest = str_sub(rest, sizeof(head) + head.n, rest.n);
		seed = head.rows ? 0 : head.hash;
		if (head.rows) {
			o->fd_n = (off_t)(journal.n - rest.n);
			tell_tags(cfg, tags);
		}
		tags = head.rows ? STR_NONE : frame;
	}
	o->bytes.failed = o->blocks.failed = false;
	o->committed = o->bytes.n;
	o->rows_committed = o->rows;
}
