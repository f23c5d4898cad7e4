/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NAME_ROOM 256
#define BLOCK FILE_READ_MORE

int file_open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int file_write_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		s = str_sub(s, (size_t)n, s.n);
	}
	return 0;
}

int file_replace(int folder, const char *name, struct str head, struct str body)
{
	_cleanup_close_ int fd = -1;
	char beside[NAME_ROOM];
	int r;

	if ((size_t)snprintf(beside, sizeof(beside), "%s.new", name) >= sizeof(beside))
		return -ENAMETOOLONG;
	unlinkat(folder, beside, 0);
	fd = openat(folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = file_write_all(fd, head);
	if (r == 0)
		r = file_write_all(fd, body);
	if (r == 0 && (fsync(fd) < 0 || renameat(folder, beside, folder, name) < 0))
		r = -errno;
	if (r < 0)
		unlinkat(folder, beside, 0);
	else if (fsync(folder) < 0)
		r = -errno;
	return r;
}

int file_read(int folder, const char *name, struct buf *ret)
{
	_cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		char *at = buf_reserve(ret, BLOCK);
		ssize_t n = at ? read(fd, at, BLOCK) : -1;

		if (!at)
			return -EBADMSG;
		if (n < 0)
			return -errno;
		if (!n)
			return 0;
		ret->n += (size_t)n;
	}
}

void file_set_aside(int folder, const char *name)
{
	char aside[NAME_ROOM];

	if ((size_t)snprintf(aside, sizeof(aside), "%s.damaged", name) < sizeof(aside))
		renameat(folder, name, folder, aside);
}
