/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a BPF iterator: a stream of records of one size that read() may cut anywhere. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "base/cleanup.h"

int attach_walk(struct bpf_link *link, size_t record, void (*fn)(void *ctx, const void *rec),
		void *ctx)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *buf = NULL;
	const size_t room = 64 * 1024;
	size_t n = 0;

	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		return -errno;
	buf = malloc(room);
	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t r = read(fd, buf + n, room - n);
		size_t at = 0;

		if (r < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (r < 0)
			return -errno;
		if (!r)
			return 0;
		n += r;
		for (; n - at >= record; at += record)
			fn(ctx, buf + at);
		memmove(buf, buf + at, n - at);
		n -= at;
	}
}
