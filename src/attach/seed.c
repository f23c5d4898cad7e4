/* SPDX-License-Identifier: Apache-2.0 */
/* What was there before egret: every process, parents first, and every socket that is open. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/internal.h"
#include "base/cleanup.h"

struct tasks {
	struct eg_exec **items;
	size_t n, room;
	int error;
};

static void on_task(void *ctx, const void *rec)
{
	struct tasks *t = ctx;
	struct eg_exec *x;

	if (t->n == t->room) {
		size_t room = t->room ? t->room * 2 : 256;
		struct eg_exec **items = realloc(t->items, room * sizeof(*items));

		if (!items) {
			t->error = -ENOMEM;
			return;
		}
		t->items = items;
		t->room = room;
	}
	x = malloc(sizeof(*x));
	if (!x) {
		t->error = -ENOMEM;
		return;
	}
	memcpy(x, rec, sizeof(*x));
	t->items[t->n++] = x;
}

/* A parent is older than its children; an orphan's new parent is init or a reaper, older still. */
static int older_first(const void *x, const void *y)
{
	const struct eg_proc *a = &(*(struct eg_exec *const *)x)->proc, *b = &(*(struct eg_exec *const *)y)->proc;

	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

/* Arguments are in the process's own memory: /proc reads them. Gone already: none. */
static struct str read_args(uint32_t pid, char *buf, size_t room, bool *ret_cut)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	*ret_cut = false;
	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return STR_NONE;
	n = read(fd, buf, room);
	if (n <= 0)
		return STR_NONE;
	*ret_cut = (size_t)n == room;
	return (struct str){ buf, n };
}

static int seed_processes(struct attach *a)
{
	struct tasks tasks = { 0 };
	char args[EG_ARGS_MAX];
	int r;

	r = attach_walk(a->iter_tasks, sizeof(struct eg_exec), on_task, &tasks);
	if (!r)
		r = tasks.error;
	if (tasks.n)
		qsort(tasks.items, tasks.n, sizeof(*tasks.items), older_first);
	for (size_t i = 0; i < tasks.n; i++) {
		struct eg_exec *x = tasks.items[i];
		bool cut;
		struct str s = read_args(x->proc.pid, args, sizeof(args), &cut);

		x->args_cut = cut;
		attach_emit_exec(a, x, PROC_SEEN, s);
		free(x);
	}
	free(tasks.items);
	return r;
}

static void on_socket(void *ctx, const void *rec)
{
	const struct eg_seed *s = rec;
	struct attach *a = ctx;

	if (s->open.rec.type == EG_REC_PACKET_SOCKET)
		attach_packet_sock(a, s);
	else
		attach_emit_open(a, &s->open, s->open.comm);
}

int attach_scan_packet_socks(struct attach *a)
{
	return attach_walk(a->iter_files, sizeof(struct eg_seed), on_socket, a);
}

int attach_seed(struct attach *a)
{
	int r = seed_processes(a);

	return r ? r : attach_walk(a->iter_files, sizeof(struct eg_seed), on_socket, a);
}
