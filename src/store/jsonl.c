/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as lines at the end of a file or of standard output.
 *
 * Invariants: the buffer holds whole lines only; the file ends in a whole line whenever a call has returned. When a
 * write ends inside a line (disk full), the file is cut back to the line before; where that cannot be done (a pipe)
 * the next write first ends the broken line. Lines that did not get out stay in the buffer and are tried again; only
 * when the next one finds no room are they dropped and counted.
 */
#include "store/eve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/sink.h"

#define BUFFER_FULL (64U << 10)       /* from here on it is written */
#define BUFFER_MAX (BUFFER_FULL << 5) /* the largest record comes on top */

struct jsonl {
	struct sink sink;
	struct eve_format format;
	struct buf buf;
	char *path; /* NULL: standard output */
	int fd;
	bool torn;  /* the file ends in half a line */
	int failed; /* -errno of the last write, 0 when it went well */
	uint64_t *lost;
};

static uint64_t count_lines(const char *p, size_t n)
{
	const char *end = p + n;
	uint64_t lines = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		lines++;
		p++;
	}
	return lines;
}

static struct jsonl *jsonl_of(struct sink *s)
{
	return (struct jsonl *)s;
}

/* As much as goes; what went is told in *ret_n also when it failed. */
static int write_some(int fd, const char *p, size_t n, size_t *ret_n)
{
	*ret_n = 0;
	while (*ret_n < n) {
		ssize_t w = write(fd, p + *ret_n, n - *ret_n);

		if (w >= 0) {
			*ret_n += (size_t)w;
		} else if (errno == EAGAIN) {
			/* Standard output may have been left non-blocking by whoever shares it. */
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* The last `extra` bytes of the file are the beginning of a line whose rest could not be written. */
static void untear(struct jsonl *o, size_t extra)
{
	struct stat st;

	o->torn = fstat(o->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)extra ||
		  ftruncate(o->fd, st.st_size - (off_t)extra) < 0;
}

static int end_torn_line(struct jsonl *o)
{
	size_t n;
	int r;

	if (!o->torn)
		return 0;
	r = write_some(o->fd, "\n", 1, &n);
	o->torn = r < 0;
	return r;
}

static int jsonl_flush(struct sink *s)
{
	struct jsonl *o = jsonl_of(s);
	size_t n = 0, whole;
	int r;

	if (!o->buf.n)
		return 0;
	r = end_torn_line(o);
	if (r == 0)
		r = write_some(o->fd, o->buf.p, o->buf.n, &n);
	for (whole = n; whole && o->buf.p[whole - 1] != '\n'; whole--)
		;
	if (n > whole)
		untear(o, n - whole);
	buf_drop_front(&o->buf, whole);
	o->failed = r;
	return r;
}

static void drop_all(struct jsonl *o)
{
	*o->lost += count_lines(o->buf.p, o->buf.n);
	buf_clear(&o->buf);
}

static void jsonl_put(struct sink *s, const struct record *r)
{
	struct jsonl *o = jsonl_of(s);

	/* While writing fails, a full buffer is tried at flush(), not again for each record. */
	if (o->buf.n >= BUFFER_FULL && o->failed < 0)
		drop_all(o);
	eve_format(&o->format, r, &o->buf);
	if (o->buf.failed) {
		o->buf.failed = false;
		(*o->lost)++;
	}
	if (o->buf.n >= BUFFER_FULL && o->failed == 0)
		jsonl_flush(s);
}

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

static int jsonl_reopen(struct sink *s)
{
	struct jsonl *o = jsonl_of(s);
	int fd;

	if (!o->path)
		return 0;
	jsonl_flush(s);
	fd = open_file(o->path);
	if (fd < 0)
		return fd; /* the old file goes on being used */
	close(o->fd);
	o->fd = fd;
	o->torn = false;
	return jsonl_flush(s);
}

static void jsonl_free(struct sink *s)
{
	struct jsonl *o = jsonl_of(s);

	jsonl_flush(s);
	drop_all(o);
	buf_done(&o->buf);
	if (o->path)
		close(o->fd);
	free(o->path);
	free(o);
}

static const struct sink_ops jsonl_ops = {
	.name = "jsonl",
	.put = jsonl_put,
	.flush = jsonl_flush,
	.reopen = jsonl_reopen,
	.free = jsonl_free,
};

int eve_sink_new(struct sink **ret, const struct eve_format *fmt, const char *path, uint64_t *lost)
{
	_cleanup_free_ struct jsonl *o = calloc(1, sizeof(*o));
	_cleanup_free_ char *copy = NULL;

	if (!o)
		return -ENOMEM;
	o->sink.ops = &jsonl_ops;
	o->format = *fmt;
	o->buf = BUF_INIT(BUFFER_MAX);
	o->lost = lost;
	o->fd = STDOUT_FILENO;
	if (strcmp(path, "-")) {
		copy = strdup(path);
		if (!copy)
			return -ENOMEM;
		o->fd = open_file(path);
		if (o->fd < 0)
			return o->fd;
		o->path = TAKE_PTR(copy);
	}
	*ret = &TAKE_PTR(o)->sink;
	return 0;
}
