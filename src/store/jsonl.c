/* SPDX-License-Identifier: Apache-2.0 */
/* Records as lines at the end of a file or of standard output. */
#include "store/eve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/lines.h"
#include "store/sink.h"

struct jsonl {
	struct sink sink;
	struct eve_format format;
	struct lines lines;
	char *path; /* NULL: standard output */
};

static struct jsonl *jsonl_of(struct sink *s)
{
	return (struct jsonl *)s;
}

static int jsonl_flush(struct sink *s)
{
	return lines_flush(&jsonl_of(s)->lines);
}

static void jsonl_put(struct sink *s, const struct record *r)
{
	struct jsonl *o = jsonl_of(s);

	eve_format(&o->format, r, lines_begin(&o->lines));
	lines_end(&o->lines);
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
	close(o->lines.fd);
	o->lines.fd = fd;
	o->lines.torn = false;
	return jsonl_flush(s);
}

static void jsonl_free(struct sink *s)
{
	struct jsonl *o = jsonl_of(s);

	lines_done(&o->lines);
	if (o->path)
		close(o->lines.fd);
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
	lines_init(&o->lines, STDOUT_FILENO, lost);
	if (strcmp(path, "-")) {
		copy = strdup(path);
		if (!copy)
			return -ENOMEM;
		o->lines.fd = open_file(path);
		if (o->lines.fd < 0)
			return o->lines.fd;
		o->path = TAKE_PTR(copy);
	}
	*ret = &TAKE_PTR(o)->sink;
	return 0;
}
