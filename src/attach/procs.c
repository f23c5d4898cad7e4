/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: what the kernel's side told of them, put in the form of events. */
#include <stdlib.h>
#include <string.h>

#include "attach/internal.h"
#include "base/cleanup.h"

/* Components come leaf first, "/bash/bin/usr": "/usr/bin/bash". */
static struct str turn_round(const char *from, size_t n, char *to, size_t room)
{
	size_t at = 0;

	while (n) {
		size_t start = n;

		while (start && from[start - 1] != '/')
			start--;
		if (!start || n - start + 1 > room - at)
			break;
		to[at++] = '/';
		memcpy(to + at, from + start, n - start);
		at += n - start;
		n = start - 1;
	}
	return (struct str){ to, at };
}

static struct attach_cgroup *cgroup_slot(struct attach *a, uint64_t id)
{
	return &a->cgroups[(id * 0x9e3779b97f4a7c15ULL) >> 32 & (ATTACH_CGROUPS - 1)];
}

static struct str cgroup_path(struct attach *a, uint64_t id)
{
	struct attach_cgroup *c = cgroup_slot(a, id);

	return c->path && c->id == id ? str_of(c->path) : STR_NONE;
}

static void cgroup_remember(struct attach *a, uint64_t id, struct str path)
{
	struct attach_cgroup *c = cgroup_slot(a, id);

	if (c->path && c->id == id && str_eq(str_of(c->path), path))
		return;
	free(c->path);
	c->id = id;
	c->path = strndup(path.p, path.n);
}

static void fill(struct attach *a, struct event *e, const struct eg_proc *p,
		 enum proc_change change)
{
	e->type = EVENT_PROC;
	e->time_ns = attach_unix(a, p->rec.time_ns);
	e->proc.change = change;
	e->proc.pid = p->pid;
	e->proc.ppid = p->ppid;
	e->proc.start_ns = p->start_ns;
	e->proc.parent_start_ns = p->parent_start_ns;
	e->proc.uid = p->uid;
	e->proc.gid = p->gid;
	e->proc.cgroup_id = p->cgroup_id;
	e->proc.comm = (struct str){ p->comm, strnlen(p->comm, sizeof(p->comm)) };
	e->proc.cgroup = cgroup_path(a, p->cgroup_id);
}

void attach_emit_proc(struct attach *a, const struct eg_proc *p, enum proc_change change)
{
	struct event e = { 0 };

	fill(a, &e, p, change);
	if (change == PROC_PACKET_SOCKET)
		e.proc.packet_proto = p->packet_proto;
	attach_emit(a, &e);
}

static void fill_stdio(struct stdio *to, const struct eg_stdio *from)
{
	_Static_assert(STDIO_COUNT == EG_STDIO && STDIO_CLOSED == EG_STDIO_CLOSED &&
			       STDIO_FILE == EG_STDIO_FILE && STDIO_NULL == EG_STDIO_NULL &&
			       STDIO_TTY == EG_STDIO_TTY && STDIO_PIPE == EG_STDIO_PIPE &&
			       STDIO_INET == EG_STDIO_INET && STDIO_UNIX == EG_STDIO_UNIX,
		       "one list");
	for (size_t i = 0; i < STDIO_COUNT; i++) {
		to[i] = (struct stdio){ .id = from[i].id,
					.lport = from[i].lport,
					.rport = from[i].rport,
					.proto = from[i].proto,
					.kind = from[i].kind };
		memcpy(to[i].remote.b, from[i].remote, sizeof(to[i].remote.b));
	}
}

void attach_emit_exec(struct attach *a, const struct eg_exec *x, enum proc_change change,
		      struct str args)
{
	struct str path = { x->path, MIN(x->path_len, (uint16_t)EG_PATH_MAX) };
	struct str cgroup = { x->cgroup, MIN(x->cgroup_len, (uint16_t)EG_CGROUP_MAX) };
	struct event e = { 0 };

	cgroup = turn_round(cgroup.p, cgroup.n, a->cgroup, sizeof(a->cgroup));
	if (!cgroup.n) {
		a->cgroup[0] = '/'; /* the root has no components */
		cgroup = (struct str){ a->cgroup, 1 };
	}
	cgroup_remember(a, x->proc.cgroup_id, cgroup);
	fill(a, &e, &x->proc, change);
	e.proc.cgroup = cgroup;
	e.proc.exe = turn_round(path.p, path.n, a->path, sizeof(a->path));
	e.proc.exe_memfd = x->memfd;
	if (x->memfd)
		e.proc.exe = str_sub(e.proc.exe, 1,
				     e.proc.exe.n); /* "memfd:name" never had a directory */
	e.proc.exe_deleted = !x->nlink && path.n;
	e.proc.exe_inode = x->inode;
	e.proc.exe_dev_major = x->dev >> 20;
	e.proc.exe_dev_minor = x->dev & 0xfffff;
	e.proc.args = args;
	e.proc.args_cut = x->args_cut;
	fill_stdio(e.proc.stdio, x->stdio);
	attach_emit(a, &e);
}

/* A packet socket found open: told of once. */
void attach_packet_sock(struct attach *a, const struct eg_seed *s)
{
	struct event e = { .type = EVENT_PROC, .time_ns = attach_unix(a, s->open.rec.time_ns) };

	for (size_t i = 0; i < MIN(a->n_packet_socks, (size_t)ATTACH_PACKET_SOCKS); i++)
		if (a->packet_socks[i] == s->open.cookie)
			return;
	a->packet_socks[a->n_packet_socks++ % ATTACH_PACKET_SOCKS] = s->open.cookie;
	e.proc.change = PROC_PACKET_SOCKET;
	e.proc.pid = s->open.owner.pid;
	e.proc.start_ns = s->open.owner.start_ns;
	e.proc.uid = s->open.owner.uid;
	e.proc.gid = s->open.owner.gid;
	e.proc.cgroup_id = s->open.owner.cgroup_id;
	e.proc.comm = (struct str){ s->open.comm, strnlen(s->open.comm, sizeof(s->open.comm)) };
	e.proc.packet_proto = s->type;
	attach_emit(a, &e);
}
