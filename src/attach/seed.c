/* SPDX-License-Identifier: Apache-2.0 */
/* What was there before egret: every process, parents first, and every socket that is open. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach/internal.h"
#include "base/cleanup.h"

#define DEEPEST 128 /* generations followed upwards; a tree that deep is told of in another order */

struct task {
	struct eg_exec *x;
	bool told;
};

struct tasks {
	struct task *items; /* by pid */
	size_t n, room;
	int error;
};

static void on_task(void *ctx, const void *rec)
{
	struct tasks *t = ctx;
	struct eg_exec *x;

	if (t->n == t->room) {
		size_t room = t->room ? t->room * 2 : 256;
		struct task *items = realloc(t->items, room * sizeof(*items));

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
	t->items[t->n++] = (struct task){ .x = x };
}

static int by_pid(const void *x, const void *y)
{
	uint32_t a = ((const struct task *)x)->x->proc.pid,
		 b = ((const struct task *)y)->x->proc.pid;

	return a < b ? -1 : a > b;
}

static struct task *find_task(const struct tasks *t, uint32_t pid)
{
	size_t from = 0, to = t->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		uint32_t at = t->items[mid].x->proc.pid;

		if (at == pid)
			return &t->items[mid];
		if (at < pid)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

static void tell(struct attach *a, struct task *t)
{
	char args[EG_ARGS_MAX];
	bool cut;
	struct str s =
		procfs_args(t->x->proc.pid, args, sizeof(args), &cut); /* in its own memory */

	t->told = true;
	t->x->args_cut = cut;
	attach_emit_exec(a, t->x, PROC_SEEN, s);
}

/* The walk does not know the parent: told of once, for its first child. */
static void tell_missing(struct attach *a, const struct eg_proc *child)
{
	for (size_t i = 0; i < a->n_missing; i++)
		if (a->missing[i] == child->ppid)
			return;
	if (!child->ppid || a->n_missing == ARRAY_SIZE(a->missing))
		return;
	a->missing[a->n_missing++] = child->ppid;
	procfs_tell(a, child->ppid, child->parent_start_ns);
}

/* A process and, before it, those of its ancestors that were not told of. Age is no guide: orphans get new parents. */
static void tell_family(struct attach *a, const struct tasks *tasks, struct task *t)
{
	struct task *line[DEEPEST], *up = t;
	size_t n = 0;

	for (; up && !up->told && n < DEEPEST; up = find_task(tasks, up->x->proc.ppid))
		line[n++] = up;
	if (!up && n)
		tell_missing(a, &line[n - 1]->x->proc);
	while (n--)
		if (!line[n]->told)
			tell(a, line[n]);
}

static int seed_processes(struct attach *a)
{
	struct tasks tasks = { 0 };
	int r;

	a->n_missing = 0;
	r = attach_walk(a->iter_tasks, sizeof(struct eg_exec), on_task, &tasks);

	if (!r)
		r = tasks.error;
	if (tasks.n)
		qsort(tasks.items, tasks.n, sizeof(*tasks.items), by_pid);
	for (size_t i = 0; i < tasks.n; i++)
		tell_family(a, &tasks, &tasks.items[i]);
	for (size_t i = 0; i < tasks.n; i++)
		free(tasks.items[i].x);
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
