/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ship_note.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "store/ship.h"

struct on_disk {
	uint64_t hash;
	struct ship_note note;
};

int ship_note_open(int spool)
{
	int fd = openat(spool, SHIP_COLLECTOR, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int ship_note_write(int fd, const struct ship_note *n)
{
	struct on_disk d = { hash_bytes(n, sizeof(*n), 0), *n };
	ssize_t w = pwrite(fd, &d, sizeof(d), 0);

	if (w != sizeof(d))
		return w < 0 ? -errno : -EIO;
	return fdatasync(fd) < 0 ? -errno : 0;
}

bool ship_note_read(int fd, struct ship_note *ret)
{
	struct on_disk d;

	if (pread(fd, &d, sizeof(d), 0) != sizeof(d) ||
	    d.hash != hash_bytes(&d.note, sizeof(d.note), 0))
		return false;
	*ret = d.note;
	ret->url[sizeof(ret->url) - 1] = ret->batch[sizeof(ret->batch) - 1] = 0;
	return ret->batch[0];
}
