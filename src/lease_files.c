/* SPDX-License-Identifier: Apache-2.0 */
#include "lease_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "decode/leases.h"
#include "flow/machines.h"

#define FILE_MAX (16U << 20)
#define BLOCK 65536
#define REST_TICKS 10

/* Which file it is, and which state of it. */
struct state {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

struct file {
	const char *path;
	struct state seen, read;
	int error; /* as last told */
};

struct lease_files {
	struct machine_table *machines;
	struct file *files;
	size_t n;
	unsigned unread_ticks; /* since something has changed that was not read */
	char problem[LEASE_PATH + 64];
};

static struct state state_of(const char *path)
{
	struct stat st;
	struct state s;

	memset(&s, 0, sizeof(s));
	if (stat(path, &st) < 0)
		return s;
	s.dev = st.st_dev;
	s.ino = st.st_ino;
	s.size = st.st_size;
	s.changed = st.st_ctim; /* of its rights, too */
	return s;
}

static bool same(const struct state *a, const struct state *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void on_lease(void *ctx, const struct lease *lease)
{
	machine_table_lease(ctx, lease);
}

static int read_file(const char *path, struct buf *to)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	for (;;) {
		char *at = buf_reserve(to, BLOCK);
		ssize_t n = at ? read(fd, at, BLOCK) : -1;

		if (!at)
			return -EFBIG;
		if (n < 0)
			return -errno;
		if (!n)
			return 0;
		to->n += (size_t)n;
	}
}

static void read_one(struct lease_files *l, struct file *f)
{
	_cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
	int r = read_file(f->path, &text);

	if (r == 0)
		leases_parse(buf_str(&text), on_lease, l->machines);
	else
		snprintf(l->problem, sizeof(l->problem), "%s: %s", f->path, strerror(-r));
	if (r < 0 && r != f->error)
		log_warn("leases: %s; it is tried again when it changes", l->problem);
	f->error = r;
}

static void read_all(struct lease_files *l)
{
	l->problem[0] = 0;
	l->unread_ticks = 0;
	machine_table_leases_begin(l->machines);
	for (size_t i = 0; i < l->n; i++) {
		l->files[i].read = l->files[i].seen;
		read_one(l, &l->files[i]);
	}
	machine_table_leases_end(l->machines);
}

/* A server may be writing: what has just changed is left to rest. */
void lease_files_tick(struct lease_files *l)
{
	bool changed = false, moving = false;

	for (size_t i = 0; i < l->n; i++) {
		struct file *f = &l->files[i];
		struct state now = state_of(f->path);

		moving |= !same(&now, &f->seen);
		f->seen = now;
		changed |= !same(&f->seen, &f->read);
	}
	if (changed && (!moving || ++l->unread_ticks >= REST_TICKS))
		read_all(l);
}

int lease_files_new(struct lease_files **ret, const char (*paths)[LEASE_PATH], size_t n,
		    struct machine_table *machines)
{
	struct lease_files *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->machines = machines;
	l->files = calloc(n ? n : 1, sizeof(*l->files));
	if (!l->files)
		return lease_files_free(l), -ENOMEM;
	l->n = n;
	for (size_t i = 0; i < n; i++) {
		l->files[i].path = paths[i];
		l->files[i].seen = state_of(paths[i]);
	}
	if (n)
		read_all(l);
	*ret = l;
	return 0;
}

struct lease_files *lease_files_free(struct lease_files *l)
{
	if (!l)
		return NULL;
	free(l->files);
	free(l);
	return NULL;
}

const char *lease_files_problem(const struct lease_files *l)
{
	return l->problem[0] ? l->problem : NULL;
}
