/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lines.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_FULL (64U << 10)       /* from here on it is written */
#define BUFFER_MAX (BUFFER_FULL << 5) /* the largest line comes on top */

void lines_init(struct lines *l, int fd, uint64_t *lost)
{
	*l = (struct lines){ .buf = BUF_INIT(BUFFER_MAX), .fd = fd, .lost = lost };
}

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
static void untear(struct lines *l, size_t extra)
{
	struct stat st;

	l->torn = fstat(l->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)extra ||
		  ftruncate(l->fd, st.st_size - (off_t)extra) < 0;
}

static int end_torn_line(struct lines *l)
{
	size_t n;
	int r;

	if (!l->torn)
		return 0;
	r = write_some(l->fd, "\n", 1, &n);
	l->torn = r < 0;
	return r;
}

int lines_flush(struct lines *l)
{
	size_t n = 0, whole;
	int r;

	if (!l->buf.n)
		return 0;
	r = end_torn_line(l);
	if (r == 0)
		r = write_some(l->fd, l->buf.p, l->buf.n, &n);
	for (whole = n; whole && l->buf.p[whole - 1] != '\n'; whole--)
		;
	if (n > whole)
		untear(l, n - whole);
	buf_drop_front(&l->buf, whole);
	l->failed = r;
	return r;
}

static void drop_all(struct lines *l)
{
	*l->lost += count_lines(l->buf.p, l->buf.n);
	buf_clear(&l->buf);
}

struct buf *lines_begin(struct lines *l)
{
	/* While writing fails, a full buffer is tried at flush(), not again for each line. */
	if (l->buf.n >= BUFFER_FULL && l->failed < 0)
		drop_all(l);
	l->begun = l->buf.n;
	return &l->buf;
}

void lines_end(struct lines *l)
{
	if (l->buf.failed) {
		l->buf.n = l->begun;
		l->buf.failed = false;
		(*l->lost)++;
	}
	if (l->buf.n >= BUFFER_FULL && l->failed == 0)
		lines_flush(l);
}

void lines_done(struct lines *l)
{
	lines_flush(l);
	drop_all(l);
	buf_done(&l->buf);
}
