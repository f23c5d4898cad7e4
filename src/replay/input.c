/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "replay/unpack.h"

#define BUFFER (256u << 10) /* stays in the second-level cache, which is what makes read() fast */
#define PACKED_BUFFER (128u << 10)

struct input {
	struct input_view view; /* into buffer */
	uint8_t *buffer;
	size_t cap;
	int fd;
	bool ended; /* nothing comes after what is buffered */
	int error;
	uint64_t done, total;
	struct unpack *unpack; /* NULL: as it is */
	uint8_t *packed;
	struct str packed_left; /* into `packed` */
	bool packed_ended;
};

DEFINE_CLEANUP(struct input, input_free);

/* Bytes as stored: how many, 0 at the end (and then in->error tells why). */
static size_t read_stored(struct input *in, uint8_t *p, size_t cap)
{
	ssize_t r;

	do {
		r = read(in->fd, p, cap);
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		in->error = -errno;
		return 0;
	}
	in->done += (uint64_t)r;
	return (size_t)r;
}

static size_t read_unpacked(struct input *in, uint8_t *p, size_t cap)
{
	for (;;) {
		size_t had = in->packed_left.n;
		ssize_t r;

		if (!had && !in->packed_ended) {
			in->packed_left.p = (const char *)in->packed;
			in->packed_left.n = read_stored(in, in->packed, PACKED_BUFFER);
			in->packed_ended = !in->packed_left.n;
			had = in->packed_left.n;
		}
		if (in->packed_ended && unpack_at_end(in->unpack))
			return 0;
		r = unpack_run(in->unpack, &in->packed_left, p, cap);
		if (r > 0)
			return (size_t)r;
		/* Neither bytes out nor bytes in: broken, or cut short. */
		if (r < 0 || in->packed_ended || (had && in->packed_left.n == had)) {
			if (!in->error)
				in->error = r < 0 ? (int)r : -EBADMSG;
			return 0;
		}
	}
}

static bool grow(struct input *in, size_t n)
{
	uint8_t *bigger;

	if (n > INPUT_NEED_MAX)
		return false;
	bigger = malloc(INPUT_NEED_MAX + BUFFER);
	if (!bigger)
		return false;
	if (in->view.n)
		memcpy(bigger, in->view.p, in->view.n);
	free(in->buffer);
	in->buffer = bigger;
	in->cap = INPUT_NEED_MAX + BUFFER;
	in->view.p = bigger;
	return true;
}

bool input_fill(struct input *in, size_t n)
{
	struct input_view *v = &in->view;

	if (v->n >= n || in->ended)
		return v->n >= n;
	if (n > in->cap && !grow(in, n)) {
		in->ended = true;
		if (!in->error)
			in->error = -ENOMEM;
		return false;
	}
	if (v->p != in->buffer) {
		memmove(in->buffer, v->p, v->n);
		v->p = in->buffer;
	}
	while (v->n < n && !in->ended) {
		size_t got = (in->unpack ? read_unpacked : read_stored)(in, in->buffer + v->n,
									in->cap - v->n);

		v->n += got;
		in->ended = !got;
	}
	return v->n >= n;
}

bool input_skip(struct input *in, size_t n)
{
	struct input_view *v = &in->view;

	while (n > v->n) {
		n -= v->n;
		input_take(v, v->n);
		if (!input_fill(in, 1))
			return false;
	}
	input_take(v, n);
	return true;
}

/* The first bytes tell whether they are packed; if so they move to the packed side. */
static int look_inside(struct input *in)
{
	int r;

	input_fill(in, UNPACK_MAGIC);
	if (in->error < 0)
		return in->error;
	r = unpack_new(&in->unpack, (struct str){ (const char *)in->view.p, in->view.n });
	if (r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	in->packed = malloc(BUFFER > PACKED_BUFFER ? BUFFER : PACKED_BUFFER);
	if (!in->packed)
		return -ENOMEM;
	memcpy(in->packed, in->view.p, in->view.n);
	in->packed_left = (struct str){ (const char *)in->packed, in->view.n };
	in->packed_ended = in->ended;
	in->ended = false;
	in->view.n = 0;
	if (!input_fill(in, 1) && in->error < 0)
		return in->error;
	return 0;
}

int input_open(struct input **ret, const char *path)
{
	_cleanup_(input_freep) struct input *in = calloc(1, sizeof(*in));
	struct stat st;
	int r;

	if (!in)
		return -ENOMEM;
	in->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
				   : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (in->fd < 0)
		return -errno;
	if (fstat(in->fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISREG(st.st_mode)) {
		in->total = (uint64_t)st.st_size;
		posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	in->buffer = malloc(BUFFER);
	if (!in->buffer)
		return -ENOMEM;
	in->cap = BUFFER;
	in->view.p = in->buffer;
	r = look_inside(in);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(in);
	return 0;
}

struct input *input_free(struct input *in)
{
	if (!in)
		return NULL;
	if (in->fd >= 0)
		close(in->fd);
	unpack_free(in->unpack);
	free(in->packed);
	free(in->buffer);
	free(in);
	return NULL;
}

struct input_view *input_view(struct input *in)
{
	return &in->view;
}

int input_error(const struct input *in)
{
	return in->error;
}

uint64_t input_done(const struct input *in)
{
	return in->done;
}

uint64_t input_total(const struct input *in)
{
	return in->total;
}
