/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/time.h"

#define CLOSE_NS (5 * NSEC_PER_SEC) /* a batch is closed at this age, or */
#define CLOSE_LATE_NS \
	(60 *         \
	 NSEC_PER_SEC) /* at this one while many wait: fewer and larger ones are taken faster */
#define MANY_WAIT 60
#define SWEEP_NS (2 * NSEC_PER_SEC)
#define REFUSED_MAX 8
#define GZIP_LEVEL 1
#define GZIP_WINDOW (15 + 16)
#define MAGIC 0x316c6f6f70736765ULL /* "egspool1" */

struct journal_head {
	uint64_t magic, seq;
};

/* Without rows: tags of what the next frame holds, and good for nothing without it. */
struct frame_head {
	uint32_t n, rows;
	uint64_t hash; /* of the bytes that follow, seeded with that of the tags before them */
};

struct open_batch {
	int fd;           /* of its journal; -1: there is none */
	off_t fd_n;       /* bytes of it that hold */
	uint64_t seq;     /* 0: it has no journal yet */
	struct buf bytes; /* of all its rows */
	size_t row_at;    /* where the row begins that is being appended */
	size_t committed;
	uint32_t rows, rows_committed;
	uint64_t began_ns;
	struct buf tags; /* of what is not committed */
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

struct buf *spool_begin(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];

	if (o->bytes.n >= SPOOL_BATCH_BYTES || o->rows >= SPOOL_BATCH_ROWS)
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

int spool_add(struct spool *s, size_t kind, struct str bytes, uint32_t rows,
	      const struct spool_tag *tag)
{
	struct open_batch *o = &s->open[kind];

	if (o->rows &&
	    (o->bytes.n + bytes.n > SPOOL_BATCH_BYTES || o->rows + rows > SPOOL_BATCH_ROWS))
		return -EAGAIN;
	if (!o->rows)
		o->began_ns = time_now_boot();
	o->row_at = o->bytes.n;
	buf_put_str(&o->bytes, bytes);
	if (!o->bytes.failed)
		buf_put(&o->tags, tag, sizeof(*tag));
	if (o->bytes.failed || o->tags.failed) {
		o->bytes.n = o->row_at;
		o->bytes.failed = o->tags.failed = false;
		return -E2BIG;
	}
	o->rows += rows;
	return 0;
}

static void forget(struct open_batch *o)
{
	buf_clear(&o->tags);
	o->bytes.n = o->committed;
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

static int write_frame(int fd, off_t *at, const struct frame_head *head, const char *bytes)
{
	int r = write_at(fd, *at, head, sizeof(*head));

	if (r == 0)
		r = write_at(fd, *at + (off_t)sizeof(*head), bytes, head->n);
	*at += (off_t)(sizeof(*head) + head->n);
	return r;
}

static void tell_tags(const struct spool *s, struct str tags)
{
	struct spool_tag tag;

	for (; s->cfg.on_tag && tags.n >= sizeof(tag); tags = str_sub(tags, sizeof(tag), tags.n)) {
		memcpy(&tag, tags.p, sizeof(tag));
		s->cfg.on_tag(s->cfg.ctx, &tag);
	}
}

static int commit_one(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	struct str bytes = str_sub(buf_str(&o->bytes), o->committed, o->bytes.n);
	struct frame_head tags = { (uint32_t)o->tags.n, 0, hash_bytes(o->tags.p, o->tags.n, 0) };
	struct frame_head head = { (uint32_t)bytes.n, o->rows - o->rows_committed,
				   hash_bytes(bytes.p, bytes.n, tags.n ? tags.hash : 0) };
	int r = open_journal(s, kind);
	off_t at = o->fd_n;

	/* What was not written whole is written over by the next try; its hash tells it from a frame until then. */
	if (r == 0 && tags.n)
		r = write_frame(o->fd, &at, &tags, o->tags.p);
	if (r == 0)
		r = write_frame(o->fd, &at, &head, bytes.p);
	if (r == 0 && fdatasync(o->fd) < 0)
		r = -errno;
	if (r < 0)
		return r;
	s->stats.waiting += o->rows - o->rows_committed;
	s->stats.bytes += (uint64_t)(at - o->fd_n);
	o->fd_n = at;
	o->committed = o->bytes.n;
	o->rows_committed = o->rows;
	tell_tags(s, buf_str(&o->tags));
	buf_clear(&o->tags);
	return 0;
}

/* ---- closing it ---- */

static int pack(struct buf *out, struct str head, struct str bytes)
{
	z_stream z = { 0 };
	size_t most;
	int r;

	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	most = deflateBound(&z, bytes.n);
	*out = BUF_INIT(head.n + 1 + most);
	buf_put_str(out, head);
	buf_putc(out, '\n');
	z.next_in = (Bytef *)(uintptr_t)bytes.p;
	z.avail_in = (uInt)bytes.n;
	z.next_out = (Bytef *)buf_reserve(out, most);
	z.avail_out = (uInt)most;
	r = z.next_out ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	out->n += most - z.avail_out;
	deflateEnd(&z);
	return r == Z_STREAM_END ? 0 : -ENOMEM;
}

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
	if (o->bytes.cap > SPOOL_BATCH_BYTES / 4)
		buf_done(&o->bytes);
	o->bytes.max = SPOOL_BATCH_BYTES + SPOOL_ROW_ROOM;
	o->committed = 0;
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
	_cleanup_buf_ struct buf file = { 0 };
	char name[SPOOL_NAME_MAX];
	int r = s->cfg.on_close ? s->cfg.on_close(s->cfg.ctx) : 0;

	if (r == 0)
		r = pack(&file, str_of(s->cfg.kinds[kind].head), buf_str(&o->bytes));
	if (r == 0)
		r = file_replace(s->dir, name_of(s, &b, name), buf_str(&file), STR_NONE);
	if (r < 0)
		return r;
	b.bytes = (uint32_t)file.n;
	r = add(s, &b);
	drop_journal(s, kind);
	return r;
}

int spool_commit(struct spool *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++)
		if (s->open[i].rows > s->open[i].rows_committed)
			r = commit_one(s, i);
	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++)
		if (s->open[i].bytes.n >= SPOOL_BATCH_BYTES || s->open[i].rows >= SPOOL_BATCH_ROWS)
			r = close_batch(s, i);
	return r;
}

int spool_finish(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	int r = o->rows > o->rows_committed ? commit_one(s, kind) : 0;

	return r == 0 && o->rows_committed ? close_batch(s, kind) : r;
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

static uint64_t close_ns(const struct spool *s, size_t kind)
{
	if (s->stats.waiting_files >= MANY_WAIT)
		return MAX((uint64_t)CLOSE_LATE_NS, s->cfg.few_ns);
	return s->open[kind].rows_committed < s->cfg.kinds[kind].few ? s->cfg.few_ns : CLOSE_NS;
}

int spool_keep_house(struct spool *s, uint64_t boot_ns)
{
	int r = 0;

	s->now_ns = boot_ns;
	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++)
		if (s->open[i].rows_committed && s->now_ns - s->open[i].began_ns >= close_ns(s, i))
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

/* Frames up to the first that is not whole. */
static void take_frames(const struct spool *s, struct open_batch *o, struct str rest)
{
	struct str bytes, tags = STR_NONE, all = rest;
	struct frame_head head;
	uint64_t seed = 0;

	while (rest.n >= sizeof(head)) {
		memcpy(&head, rest.p, sizeof(head));
		bytes = str_sub(rest, sizeof(head), head.n);
		if (!head.n || bytes.n < head.n || hash_bytes(bytes.p, bytes.n, seed) != head.hash)
			break;
		rest = str_sub(rest, sizeof(head) + head.n, rest.n);
		seed = head.rows ? 0 : head.hash;
		if (!head.rows) {
			tags = bytes;
			continue;
		}
		buf_put_str(&o->bytes, bytes);
		if (o->bytes.failed)
			break;
		o->rows += head.rows;
		o->fd_n = (off_t)(sizeof(struct journal_head) + all.n - rest.n);
		tell_tags(s, tags);
		tags = STR_NONE;
	}
	o->bytes.failed = false;
	o->committed = o->bytes.n;
	o->rows_committed = o->rows;
}

static int take_journal(struct spool *s, size_t kind)
{
	_cleanup_buf_ struct buf text = BUF_INIT(2 * SPOOL_BATCH_BYTES + SPOOL_ROW_ROOM);
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
		o->seq = head.magic == MAGIC ? head.seq : 0;
	}
	if (o->seq && !find(s, o->seq))
		take_frames(s, o, str_sub(buf_str(&text), sizeof(head), text.n));
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

/* Made once. */
static int take_id(struct spool *s)
{
	_cleanup_buf_ struct buf text = BUF_INIT(4096);
	char id[SPOOL_ID_TEXT];
	uint8_t random[16];
	int r = file_read(s->dir, SPOOL_ID, &text);

	if (r == 0 && text.n == SPOOL_ID_TEXT - 1)
		return 0;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	return file_replace(s->dir, SPOOL_ID, str_of(str_hex(random, sizeof(random), id)),
			    STR_NONE);
}

int spool_open(struct spool **ret, const struct spool_config *cfg)
{
	struct spool *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	s->dir = s->sent = s->refused = -1;
	s->next_seq = MAX(cfg->first_seq, (uint64_t)1);
	s->now_ns = time_now_boot();
	for (size_t i = 0; i < SPOOL_KINDS_MAX; i++)
		s->open[i] = (struct open_batch){
			.fd = -1,
			.bytes = BUF_INIT(SPOOL_BATCH_BYTES + SPOOL_ROW_ROOM),
			.tags = BUF_INIT(SPOOL_BATCH_ROWS * sizeof(struct spool_tag))
		};
	r = open_folder(&s->dir, AT_FDCWD, cfg->dir);
	if (r == 0)
		r = open_folder(&s->sent, s->dir, SPOOL_SENT);
	if (r == 0)
		r = open_folder(&s->refused, s->dir, SPOOL_REFUSED);
	if (r == 0)
		r = take_id(s);
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
		buf_done(&s->open[i].tags);
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
