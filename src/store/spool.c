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

#include "base/cleanup.h"
#include "base/file.h"
#include "base/time.h"
#include "store/spool_journal.h"
#include "store/spool_pack.h"

#define CLOSE_NS (5 * NSEC_PER_SEC) /* a batch is closed at this age, or */
#define CLOSE_LATE_NS \
	(60 *         \
	 NSEC_PER_SEC) /* at this one while many wait: fewer and larger ones are taken faster */
#define MANY_WAIT 60
#define SWEEP_NS (2 * NSEC_PER_SEC)
#define REFUSED_MAX 8

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

	if (open_batch_is_full(o))
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

	if (o->rows && (o->blocks_rows_n + o->bytes.n + bytes.n > SPOOL_BATCH_BYTES ||
			o->rows + rows > SPOOL_BATCH_ROWS))
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

void spool_abort(struct spool *s)
{
	for (size_t i = 0; i < s->cfg.n_kinds; i++)
		open_batch_forget(&s->open[i]);
}

static int open_journal(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	char name[SPOOL_NAME_MAX];
	int r;

	if (o->fd >= 0)
		return 0;
	o->fd = openat(s->dir, journal_name(s, kind, name),
		       O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->fd < 0)
		return -errno;
	r = open_batch_begin(o, s->next_seq);
	if (r == 0 && fsync(s->dir) < 0)
		r = -errno;
	if (r < 0) {
		close(TAKE_FD(o->fd));
		return r;
	}
	s->next_seq++;
	return 0;
}

static int commit_write(struct spool *s, size_t kind)
{
	int r = open_journal(s, kind);

	return r < 0 ? r : open_batch_write(&s->open[kind]);
}

static void commit_holds(struct spool *s, struct open_batch *o)
{
	s->stats.waiting += o->rows - o->rows_committed;
	s->stats.bytes += o->frames_n;
	open_batch_holds(o, &s->cfg);
}

/* ---- closing it ---- */

static void drop_journal(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	char name[SPOOL_NAME_MAX];

	s->stats.waiting -= o->rows_committed;
	s->stats.bytes -= open_batch_journal_n(o);
	unlinkat(s->dir, journal_name(s, kind, name), 0);
	open_batch_clear(o);
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
	int r = s->cfg.on_close ? s->cfg.on_close(s->cfg.ctx) : 0;

	if (r == 0)
		r = spool_pack(&o->blocks, buf_str(&o->bytes));
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
			r = commit_write(s, i);
	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++) {
		if (s->open[i].rows == s->open[i].rows_committed)
			continue;
		commit_holds(s, &s->open[i]);
		any = true;
	}
	for (size_t i = 0; r == 0 && i < s->cfg.n_kinds; i++)
		if (open_batch_is_full(&s->open[i]))
			r = close_batch(s, i);
	return any ? 0 : r; /* what cannot be closed takes no row, and is tried again */
}

int spool_finish(struct spool *s, size_t kind)
{
	struct open_batch *o = &s->open[kind];
	int r = o->rows > o->rows_committed ? commit_write(s, kind) : 0;

	if (r < 0)
		return r;
	if (o->rows > o->rows_committed)
		commit_holds(s, o);
	return o->rows_committed ? close_batch(s, kind) : 0;
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
			r = spool_finish(s, i); /* also what waits for its commit */
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

static int take_journal(struct spool *s, size_t kind)
{
	_cleanup_buf_ struct buf text = BUF_INIT(2 * SPOOL_BATCH_BYTES + SPOOL_ROW_ROOM);
	struct open_batch *o = &s->open[kind];
	char name[SPOOL_NAME_MAX];
	int r = file_read(s->dir, journal_name(s, kind, name), &text);

	if (r == -ENOENT)
		return 0;
	if (r < 0 && r != -EBADMSG)
		return r;
	o->seq = open_batch_seq(buf_str(&text));
	if (o->seq && !find(s, o->seq))
		open_batch_take(o, buf_str(&text), &s->cfg);
	s->next_seq = o->seq >= s->next_seq ? o->seq + 1 : s->next_seq;
	s->stats.waiting += o->rows_committed;
	s->stats.bytes += open_batch_journal_n(o);
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
		s->open[i] = OPEN_BATCH_INIT;
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
	for (size_t i = 0; i < SPOOL_KINDS_MAX; i++)
		open_batch_done(&s->open[i]);
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
