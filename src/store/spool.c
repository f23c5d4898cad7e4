/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/time.h"
#include "store/spool_pack.h"

#define ROW_ROOM (1U << 20)
#define CLOSE_NS (5 * NSEC_PER_SEC) /* a batch is closed at this age, or */
#define CLOSE_LATE_NS \
	(60 *         \
	 NSEC_PER_SEC) /* at this one while many wait: fewer and larger ones are taken faster */
#define MANY_WAIT 60
#define SWEEP_NS (2 * NSEC_PER_SEC)
#define REFUSED_MAX 8
#define PACK_AT \
	(256U << 10) /* what is committed at once and is as large is packed there and then */
#define BUF_MAX (SPOOL_BATCH_BYTES + ROW_ROOM)
#define MAGIC 0x326c6f6f70736765ULL   /* "egspool2" */
#define MAGIC_1 0x316c6f6f70736765ULL /* of an earlier egretd: no frame of it is packed */
#define FRAME_PACKED (1U << 31)       /* in `rows` */

struct journal_head {
	uint64_t magic, seq;
};

struct frame_head {
	uint32_t n, rows;
	uint64_t hash; /* of the bytes that follow */
};

struct open_batch {
	int fd;            /* of its journal; -1: there is none */
	off_t fd_n;        /* bytes of it that hold */
	size_t frame_n;    /* of the frame behind them that is being committed */
	uint64_t seq;      /* 0: it has no journal yet */
	struct buf blocks; /* rows that are packed */
	struct buf bytes;  /* the others */
	size_t row_at;     /* where the row begins that is being appended */
	size_t blocks_committed, committed;
	size_t blocks_rows_n; /* bytes of what is in the blocks, unpacked */
	uint32_t rows, rows_committed;
	uint64_t began_ns;
};

enum place { WAITING, SENT, REFUSED, GONE };

struct batch {
	uint64_t seq;
	uint64_t since_ns; /* in its place */
	uint32_t rows, bytes;
	uint8_t kind, place;
};

struct spool {
	struct spool_config cfg;
	int dir, sent, refused; /* folders */
	uint64_t next_seq, next_sweep_ns, now_ns;
	struct open_batch open[SPOOL_KINDS_MAX];
	struct batch *batches; /* by seq */
	size_t n, room;
	struct spool_stats stats;
};

/* ---- names ---- */

bool spool_name_parse(struct str name, struct spool_name *ret)
{
	struct str rest = name, seq, kind, rows;
	uint64_t n = 0;

	if (!str_cut(&rest, '-', &seq) || !str_cut(&rest, '-', &kind) ||
	    !str_cut(&rest, '-', &rows) || rest.n || seq.n != 16 || !kind.n ||
	    str_parse_u64(rows, &n) < 0 || !n || n > UINT32_MAX)
		return false;
	*ret = (struct spool_name){ .rows = (uint32_t)n, .kind = kind };
	for (size_t i = 0; i < seq.n; i++) {
		const char *digits = "0123456789abcdef", *at = memchr(digits, seq.p[i], 16);

		if (!at)
			return false;
		ret->seq = ret->seq << 4 | (uint64_t)(at - digits);
	}
	return true;
}

static const char *name_of(const struct spool *s, const struct batch *b, char name[SPOOL_NAME_MAX])
{
	snprintf(name, SPOOL_NAME_MAX, "%016" PRIx64 "-%s-%u", b->seq, s->cfg.kinds[b->kind].name,
		 b->rows);
	return name;
}

static const char *journal_name(const struct spool *s, size_t kind, char name[SPOOL_NAME_MAX])
{
	snprintf(name, SPOOL_NAME_MAX, "open-%s", s->cfg.kinds[kind].name);
	return name;
}

/* ---- the list of batches ---- */

static struct batch *find(const struct spool *s, uint64_t seq)
{
	size_t from = 0, to = s->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (s->batches[mid].seq < seq)
			from = mid + 1;
		else
			to = mid;
	}
	return from < s->n && s->batches[from].seq == seq ? &s->batches[from] : NULL;
}

static void count(struct spool *s, const struct batch *b, int sign)
{
	struct spool_stats *st = &s->stats;
	uint64_t rows = (uint64_t)(sign * (int64_t)b->rows),
		 bytes = (uint64_t)(sign * (int64_t)b->bytes);

	st->bytes += bytes;
	if (b->place == WAITING) {
		st->waiting += rows;
		st->waiting_files += (uint64_t)sign;
	} else if (b->place == SENT) {
		st->sent_rows += rows;
		st->sent_bytes += bytes;
	}
}

static void move(struct spool *s, struct batch *b, enum place to)
{
	count(s, b, -1);
	b->place = (uint8_t)to;
	b->since_ns = s->now_ns;
	if (to != GONE)
		count(s, b, 1);
}

static int add(struct spool *s, const struct batch *b)
{
	size_t at;

	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		struct batch *more = reallocarray(s->batches, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->batches = more;
		s->room = room;
	}
	/* Batches are closed out of order where one kind fills faster than another. */
	for (at = s->n++; at && s->batches[at - 1].seq > b->seq; at--)
		s->batches[at] = s->batches[at - 1];
	s->batches[at] = *b;
	count(s, b, 1);
	return 0;
}

static void remove_batch(struct spool *s, struct batch *b)
{
	int folder = b->place == WAITING ? s->dir : b->place == SENT ? s->sent : s->refused;
	char name[SPOOL_NAME_MAX];

	unlinkat(folder, name_of(s, b, name), 0);
	move(s, b, GONE);
}

static void forget_gone(struct spool *s)
{
	size_t to = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->batches[i].place != GONE)
			s->batches[to++] = s->batches[i];
	s->n = to;
}

/* ---- the open batch ---- */

static bool is_full(const struct open_batch *o)
{
	return o->blocks_rows_n + o->bytes.n >= SPOOL_BATCH_BYTES || o->rows >= SPOOL_BATCH_ROWS;
}

struct buf *spool_begin(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];

	if (is_full(o))
		return NULL;
	if (!o->rows)
		o->began_ns = time_now_boot();
	o->row_at = o->bytes.n;
	return &o->bytes;
}

int spool_row(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];

	if (o->bytes.failed) {
		o->bytes.n = o->row_at;
		o->bytes.failed = false;
		return -E2BIG;
	}
	o->rows++;
	return 0;
}

static void forget(struct open_batch *o)
{
	o->bytes.n = o->committed;
	o->blocks.n = o->blocks_committed;
	o->rows = o->rows_committed;
}

void spool_abort(struct spool *s)
{
	for (size_t i = 0; i < s->cfg.n_kinds; i++)
		forget(&s->open[i]);
}

static int write_at(int fd, off_t at, const void *p, size_t n)
{
	for (ssize_t w; n; p = (const char *)p + w, at += w, n -= (size_t)w) {
		w = pwrite(fd, p, n, at);
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
	}
	return 0;
}

static int open_journal(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	struct journal_head head = { MAGIC, s->next_seq };
	char name[SPOOL_NAME_MAX];
	int r;

	if (o->fd >= 0)
		return 0;
	o->fd = openat(s->dir, journal_name(s, kind, name),
		       O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->fd < 0)
		return -errno;
	r = write_at(o->fd, 0, &head, sizeof(head));
	if (r == 0 && fsync(s->dir) < 0)
		r = -errno;
	if (r < 0) {
		close(TAKE_FD(o->fd));
		return r;
	}
	o->seq = s->next_seq++;
	o->fd_n = sizeof(head);
	return 0;
}

/*
 * A block with all that was not packed yet, but for the last byte: it has to end within a row (spool_pack.h). The frame is the block and
 * that byte, and takes the place of the frames since the block before.
 */
static int pack_rows(struct open_batch *o, struct buf *frame)
{
	struct str rows = buf_str(&o->bytes);
	int r = spool_pack(frame, str_sub(rows, 0, rows.n - 1));

	if (r == 0)
		buf_put(frame, rows.p + rows.n - 1, 1);
	return r < 0 || !frame->failed ? r : -ENOMEM;
}

/* What came since the last commit, behind the frames that hold. */
static int write_frame(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	struct str frame = str_sub(buf_str(&o->bytes), o->committed, o->bytes.n);
	struct frame_head head = { .rows = o->rows - o->rows_committed };
	int r = open_journal(s, kind);

	o->blocks.n = o->blocks_committed; /* what an earlier try packed */
	if (r == 0 && o->bytes.n >= PACK_AT) {
		r = pack_rows(o, &o->blocks);
		frame = str_sub(buf_str(&o->blocks), o->blocks_committed, o->blocks.n);
		head.rows |= FRAME_PACKED;
	}
	head.n = (uint32_t)frame.n;
	head.hash = hash_bytes(frame.p, frame.n, 0);
	/* What was not written whole is written over by the next try; its hash tells it from a frame until then. */
	if (r == 0)
		r = write_at(o->fd, o->fd_n, &head, sizeof(head));
	if (r == 0)
		r = write_at(o->fd, o->fd_n + (off_t)sizeof(head), frame.p, frame.n);
	if (r == 0 && fdatasync(o->fd) < 0)
		r = -errno;
	o->frame_n = sizeof(head) + frame.n;
	return r;
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

static void frame_holds(struct spool *s, struct open_batch *o)
{
	s->stats.waiting += o->rows - o->rows_committed;
	s->stats.bytes += o->frame_n;
	o->fd_n += (off_t)o->frame_n;
	if (o->blocks.n > o->blocks_committed)
		block_holds(o);
	o->committed = o->bytes.n;
	o->rows_committed = o->rows;
}

/* ---- closing it ---- */

static void drop_journal(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	char name[SPOOL_NAME_MAX];

	s->stats.waiting -= o->rows_committed;
	s->stats.bytes -= (uint64_t)o->fd_n - sizeof(struct journal_head);
	unlinkat(s->dir, journal_name(s, kind, name), 0);
	if (o->fd >= 0)
		close(TAKE_FD(o->fd));
	buf_clear(&o->bytes);
	buf_clear(&o->blocks);
	if (o->bytes.cap > SPOOL_BATCH_BYTES / 4)
		buf_done(&o->bytes);
	o->committed = o->blocks_committed = o->blocks_rows_n = 0;
	o->rows = o->rows_committed = 0;
	o->seq = 0;
}

/* Its rows are all committed. Killed between the two steps, the next run finds its number taken, and only drops the journal. */
static int close_batch(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	struct batch b = { .seq = o->seq,
			   .rows = o->rows_committed,
			   .kind = (uint8_t)kind,
			   .place = WAITING,
			   .since_ns = s->now_ns };
	char name[SPOOL_NAME_MAX], head[SPOOL_HEAD_MAX];
	int head_n = snprintf(head, sizeof(head), "%s\n", s->cfg.kinds[kind].head);
	int r = spool_pack(&o->blocks, buf_str(&o->bytes));

	if (r == 0)
		r = file_replace(s->dir, name_of(s, &b, name), (struct str){ head, (size_t)head_n },
				 buf_str(&o->blocks));
	b.bytes = (uint32_t)((size_t)head_n + o->blocks.n);
	o->blocks.n = o->blocks_committed;
	if (r < 0)
		return r;
	r = add(s, &b);
	drop_journal(s, kind);
	return r;
}

/* All kinds or none: what cannot be committed is given anew, as a whole. */
int spool_commit(struct spool *s)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++)
		if (s->open[i].rows > s->open[i].rows_committed)
			r = write_frame(s, i);
	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++) {
		if (s->open[i].rows == s->open[i].rows_committed)
			continue;
		frame_holds(s, &s->open[i]);
		any = true;
	}
	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++)
		if (is_full(&s->open[i]))
			r = close_batch(s, i);
	return any ? 0 : r; /* what cannot be closed takes no row, and is tried again */
}

/* ---- house-keeping ---- */

static void sweep_folder(struct spool *s, int folder, enum place place)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct spool_name name;
	struct dirent *e;
	struct batch *b;

	while (d && (e = readdir(d))) {
		b = spool_name_parse(str_of(e->d_name), &name) ? find(s, name.seq) : NULL;
		if (!b || b->place != WAITING)
			continue;
		move(s, b, place);
		if (place == REFUSED)
			s->stats.refused += b->rows;
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

static void sweep(struct spool *s)
{
	size_t refused = 0;

	sweep_folder(s, s->sent, SENT);
	sweep_folder(s, s->refused, REFUSED);
	for (size_t i = s->n; i--;) {
		struct batch *b = &s->batches[i];

		if ((b->place == SENT && s->now_ns - b->since_ns >= s->cfg.sent_ns) ||
		    (b->place == REFUSED && ++refused > REFUSED_MAX))
			remove_batch(s, b);
	}
}

/* What is given up next: what was taken, else the lowest rank; the oldest of it. NULL: nothing is left. */
static struct batch *next_to_drop(const struct spool *s)
{
	struct batch *least = NULL;
	unsigned least_rank = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct batch *b = &s->batches[i];
		unsigned rank = b->place == WAITING ? 1 + s->cfg.kinds[b->kind].rank : 0;

		if (b->place != GONE && (!least || rank < least_rank)) {
			least = b;
			least_rank = rank;
		}
	}
	return least;
}

static void trim(struct spool *s)
{
	while (s->stats.bytes > s->cfg.max_bytes) {
		struct batch *b = next_to_drop(s);

		if (!b)
			return;
		if (b->place == WAITING)
			s->stats.dropped += b->rows;
		remove_batch(s, b);
	}
}

int spool_keep_house(struct spool *s, uint64_t boot_ns)
{
	uint64_t close_ns = s->stats.waiting_files < MANY_WAIT ? CLOSE_NS : CLOSE_LATE_NS;
	int r = 0;

	s->now_ns = boot_ns;
	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++)
		if (s->open[i].rows_committed && s->now_ns - s->open[i].began_ns >= close_ns)
			r = close_batch(s, i);
	if (boot_ns >= s->next_sweep_ns || s->stats.bytes > s->cfg.max_bytes) {
		s->next_sweep_ns = boot_ns + SWEEP_NS;
		sweep(s);
	}
	trim(s);
	forget_gone(s);
	return r;
}

void spool_stats(const struct spool *s, struct spool_stats *ret)
{
	*ret = s->stats;
}

/* ---- taking up what an earlier run left ---- */

static int kind_of(const struct spool *s, struct str name)
{
	for (size_t i = 0; i < s->cfg.n_kinds; i++)
		if (str_eq(name, str_of(s->cfg.kinds[i].name)))
			return (int)i;
	return -1;
}

/* Batches of a kind that is not known stay where they are, and are sent as they say. */
static int list_folder(struct spool *s, int folder, enum place place)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct spool_name name;
	struct dirent *e;
	struct stat st;
	int r = 0, kind;

	while (d && r == 0 && (e = readdir(d))) {
		if (!spool_name_parse(str_of(e->d_name), &name)) {
			if (str_glob(STR("*.new"), str_of(e->d_name)))
				unlinkat(folder, e->d_name, 0); /* of a run that was killed */
			continue;
		}
		if (fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		s->next_seq = name.seq >= s->next_seq ? name.seq + 1 : s->next_seq;
		kind = kind_of(s, name.kind);
		if (kind >= 0)
			r = add(s, &(struct batch){ .seq = name.seq,
						    .rows = name.rows,
						    .bytes = (uint32_t)st.st_size,
						    .kind = (uint8_t)kind,
						    .place = (uint8_t)place,
						    .since_ns = s->now_ns });
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return d ? r : -EIO;
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
	o->fd_n += (off_t)(sizeof(head) + head.n);
	return true;
}

/* Frames up to the first that is not whole. */
static void take_frames(struct open_batch *o, struct str rest)
{
	struct frame_head head;

	while (rest.n >= sizeof(head)) {
		struct str frame;

		memcpy(&head, rest.p, sizeof(head));
		frame = str_sub(rest, sizeof(head), head.n);
		if (!head.n || frame.n < head.n || hash_bytes(frame.p, frame.n, 0) != head.hash ||
		    !take_frame(o, head, frame))
			break;
		rest = str_sub(rest, sizeof(head) + head.n, rest.n);
	}
	o->bytes.failed = o->blocks.failed = false;
	o->committed = o->bytes.n;
	o->rows_committed = o->rows;
}

static int take_journal(struct spool *s, size_t kind)
{
	_cleanup_buf_ struct buf text = BUF_INIT(2 * SPOOL_BATCH_BYTES + ROW_ROOM);
	struct open_batch *o = &s->open[kind];
	struct journal_head head;
	char name[SPOOL_NAME_MAX];
	int r = file_read(s->dir, journal_name(s, kind, name), &text);

	if (r == -ENOENT)
		return 0;
	if (r < 0 && r != -EBADMSG)
		return r;
	o->fd_n = sizeof(head);
	if (text.n >= sizeof(head)) {
		memcpy(&head, text.p, sizeof(head));
		o->seq = head.magic == MAGIC || head.magic == MAGIC_1 ? head.seq : 0;
	}
	if (o->seq && !find(s, o->seq))
		take_frames(o, str_sub(buf_str(&text), sizeof(head), text.n));
	s->next_seq = o->seq >= s->next_seq ? o->seq + 1 : s->next_seq;
	s->stats.waiting += o->rows_committed;
	s->stats.bytes += (uint64_t)o->fd_n - sizeof(head);
	if (o->rows_committed)
		return close_batch(s, kind);
	drop_journal(s, kind);
	return 0;
}

static int open_folder(int *ret, int below, const char *path)
{
	if (mkdirat(below, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	*ret = openat(below, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret < 0 ? -errno : 0;
}

int spool_open(struct spool **ret, const struct spool_config *cfg)
{
	struct spool *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	s->dir = s->sent = s->refused = -1;
	s->next_seq = 1;
	s->now_ns = time_now_boot();
	for (size_t i = 0; i < SPOOL_KINDS_MAX; i++)
		s->open[i] = (struct open_batch){ .fd = -1,
						  .bytes = BUF_INIT(BUF_MAX),
						  .blocks = BUF_INIT(2 * BUF_MAX) };
	r = open_folder(&s->dir, AT_FDCWD, cfg->dir);
	if (r == 0)
		r = open_folder(&s->sent, s->dir, SPOOL_SENT);
	if (r == 0)
		r = open_folder(&s->refused, s->dir, SPOOL_REFUSED);
	if (r == 0)
		r = list_folder(s, s->dir, WAITING);
	if (r == 0)
		r = list_folder(s, s->sent, SENT);
	if (r == 0)
		r = list_folder(s, s->refused, REFUSED);
	for (size_t i = 0; r == 0 && i < cfg->n_kinds; i++)
		r = take_journal(s, i);
	if (r < 0) {
		spool_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct spool *spool_close(struct spool *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < SPOOL_KINDS_MAX; i++) {
		if (s->open[i].fd >= 0)
			close(s->open[i].fd);
		buf_done(&s->open[i].bytes);
		buf_done(&s->open[i].blocks);
	}
	if (s->dir >= 0)
		close(s->dir);
	if (s->sent >= 0)
		close(s->sent);
	if (s->refused >= 0)
		close(s->refused);
	free(s->batches);
	free(s);
	return NULL;
}
