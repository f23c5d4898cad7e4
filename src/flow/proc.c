/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process images. The table holds one reference to each image a process is now (one; more when its user or cgroup
 * changed on the way, because sockets of all of them may be open), by pid, newest first. An exec puts the new image in
 * their place; the end of the process leaves them for LINGER_NS more. Everybody else who still wants an image - flows,
 * children - holds a reference of his own.
 */
#include "flow/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/time.h"
#include "flow/identity.h"
#include "flow/proc_read.h"
#include "flow/proc_stdio.h"
#include "flow/redact.h"

#define LINGER_NS (10 * NSEC_PER_SEC)
#define BUCKETS 4096
#define ARGS_MAX 8192
#define WAS_MAX 4096 /* some twenty paths; a process that executes more loses the later ones */
#define DEFAULT_MAX 65536

struct image {
	struct proc p; /* first: a struct proc of ours is an image */
	uint64_t cgroup_id;
	struct image *next; /* of the same bucket */
	struct list ended;  /* while it lingers */
	bool listed;        /* in the table, which then holds a reference */
};

struct proc_table {
	struct proc_table_config cfg;
	struct image **buckets;
	struct list ended; /* oldest first */
	struct pool images;
	struct buf args;
	uint64_t lost;
};

int proc_table_new(struct proc_table **ret, const struct proc_table_config *cfg)
{
	struct proc_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->cfg = *cfg;
	t->buckets = calloc(BUCKETS, sizeof(*t->buckets));
	if (!t->buckets) {
		free(t);
		return -ENOMEM;
	}
	list_init(&t->ended);
	pool_init(&t->images, sizeof(struct image), cfg->max ? cfg->max : DEFAULT_MAX);
	t->args = BUF_INIT(ARGS_MAX);
	*ret = t;
	return 0;
}

struct proc *proc_ref(struct proc *p)
{
	if (p)
		p->refs++;
	return p;
}

void proc_put(struct proc_table *t, struct proc *p)
{
	/* A loop and not a recursion: the last child's end may be the end of a long line of parents. */
	while (p && !--p->refs) {
		struct proc *parent = p->parent;

		intern_put(t->cfg.texts, p->exe);
		intern_put(t->cfg.texts, p->comm);
		intern_put(t->cfg.texts, p->args);
		intern_put(t->cfg.texts, p->was);
		intern_put(t->cfg.texts, p->user);
		if (p->workload)
			workload_put(t->cfg.identity, p->workload);
		pool_put(&t->images, (struct image *)p);
		p = parent;
	}
}

static struct image **bucket(struct proc_table *t, uint32_t pid)
{
	return &t->buckets[hash_bytes(&pid, sizeof(pid), 0) & (BUCKETS - 1)];
}

static void unlist(struct proc_table *t, struct image *i)
{
	struct image **at = bucket(t, i->p.pid);

	if (!i->listed)
		return;
	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	list_del(&i->ended);
	i->listed = false;
	proc_put(t, &i->p);
}

struct proc_table *proc_table_free(struct proc_table *t)
{
	if (!t)
		return NULL;
	for (size_t b = 0; b < BUCKETS; b++)
		while (t->buckets[b])
			unlist(t, t->buckets[b]);
	pool_done(&t->images);
	buf_done(&t->args);
	free(t->buckets);
	free(t);
	return NULL;
}

/* What /proc tells is cut to clock ticks of 10 ms. */
static bool same_start(uint64_t a, uint64_t b)
{
	return !a || !b || (a > b ? a - b : b - a) < 10 * NSEC_PER_MSEC;
}

static struct image *find(struct proc_table *t, uint32_t pid, uint64_t start_ns)
{
	for (struct image *i = *bucket(t, pid); i; i = i->next)
		if (i->p.pid == pid && same_start(i->p.start_ns, start_ns))
			return i;
	return NULL;
}

static void set_ended(struct proc_table *t, struct image *i, uint64_t now_ns)
{
	if (i->p.ended_ns)
		return;
	i->p.ended_ns = now_ns;
	list_push_back(&t->ended, &i->ended);
}

/* All images of the pid: `start_ns` is a process that took it over, so its former owner is gone. */
static void end_others(struct proc_table *t, uint32_t pid, uint64_t start_ns, uint64_t now_ns)
{
	for (struct image *i = *bucket(t, pid); i; i = i->next)
		if (i->p.pid == pid && !same_start(i->p.start_ns, start_ns))
			set_ended(t, i, now_ns);
}

static struct image *image_new(struct proc_table *t, uint32_t pid, uint64_t start_ns,
			       uint64_t now_ns)
{
	struct image *i;

	while (!(i = pool_get(&t->images))) {
		if (list_empty(&t->ended)) {
			t->lost++;
			return NULL;
		}
		unlist(t, container_of(t->ended.next, struct image, ended));
		if (t->images.used < t->images.max)
			continue;
		/* Flows still hold it: the next one perhaps is free. */
	}
	end_others(t, pid, start_ns, now_ns);
	i->p.refs = 1;
	i->p.pid = pid;
	i->p.start_ns = start_ns;
	i->p.start_unix_ns = start_ns ? start_ns + t->cfg.boot_unix_ns : 0;
	list_init(&i->ended);
	i->next = *bucket(t, pid);
	*bucket(t, pid) = i;
	i->listed = true;
	return i;
}

static void set_text(struct proc_table *t, struct text **at, struct str s)
{
	struct text *text = s.n ? intern_get(t->cfg.texts, s) : NULL;

	intern_put(t->cfg.texts, *at);
	*at = text;
}

static void set_args(struct proc_table *t, struct proc *p, struct str args, bool cut)
{
	while (args.n && !args.p[args.n - 1])
		args.n--;
	buf_clear(&t->args);
	p->args_cut = cut || args.n > ARGS_MAX / 2;
	args.n = MIN(args.n, (size_t)ARGS_MAX / 2);
	redact_args(args, &t->args);
	p->args_cut |= t->args.failed;
	set_text(t, &p->args, buf_str(&t->args));
}

static void set_user(struct proc_table *t, struct proc *p, uint32_t uid, uint32_t gid)
{
	p->uid = uid;
	p->gid = gid;
	p->user = t->cfg.identity ? text_ref(identity_user(t->cfg.identity, uid)) : NULL;
}

static void set_cgroup(struct proc_table *t, struct image *i, struct str path, uint64_t id)
{
	i->cgroup_id = id;
	if (!t->cfg.identity)
		return;
	i->p.workload = identity_workload(t->cfg.identity, path, id, i->p.pid);
	workload_ref(i->p.workload);
}

static struct image *read_image(struct proc_table *t, uint32_t pid, uint64_t start_ns,
				uint64_t now_ns);

/* A parent that was never announced (its notice was lost, or no walk over tasks gave it) is read from /proc. */
static void set_parent(struct proc_table *t, struct proc *p, uint32_t ppid, uint64_t start_ns,
		       uint64_t now_ns)
{
	struct image *parent = ppid && ppid != p->pid ? find(t, ppid, start_ns) : NULL;

	p->ppid = ppid;
	if (!parent && ppid && start_ns && t->cfg.identity)
		parent = read_image(t, ppid, start_ns, now_ns);
	if (p->parent || !parent || p->pid == 1)
		return;
	/* A parent began before its child; else the pid was used again (and no ring can come of it). */
	if (start_ns || parent->p.start_ns <= p->start_ns)
		p->parent = proc_ref(&parent->p);
}

static void copy_program(struct proc *to, const struct proc *from)
{
	to->exe = text_ref(from->exe);
	to->comm = text_ref(from->comm);
	to->args = text_ref(from->args);
	to->args_cut = from->args_cut;
	to->exe_state = from->exe_state;
	to->exe_dev_major = from->exe_dev_major;
	to->exe_dev_minor = from->exe_dev_minor;
	to->exe_inode = from->exe_inode;
	to->opened_packet_socket = from->opened_packet_socket;
	memcpy(to->stdio, from->stdio, sizeof(to->stdio));
}

static void set_program(struct proc_table *t, struct proc *p, const struct event_proc *e)
{
	set_text(t, &p->exe, e->exe);
	set_text(t, &p->comm, e->comm);
	set_args(t, p, e->args, e->args_cut);
	memcpy(p->stdio, e->stdio, sizeof(p->stdio));
	p->exe_dev_major = e->exe_dev_major;
	p->exe_dev_minor = e->exe_dev_minor;
	p->exe_inode = e->exe_inode;
	if (e->exe_memfd)
		p->exe_state = EXE_MEMFD;
	else if (e->exe_deleted)
		p->exe_state = EXE_DELETED;
	else if (e->exe.n)
		p->exe_state = EXE_FILE;
	else
		/* What has neither file nor arguments and comes from kthreadd is the kernel's own. */
		p->exe_state =
			!e->args.n && (e->pid == 2 || e->ppid == 2) ? EXE_KERNEL : EXE_UNKNOWN;
}

static struct image *on_fork(struct proc_table *t, const struct event *ev)
{
	const struct event_proc *e = &ev->proc;
	struct image *parent = find(t, e->ppid, e->parent_start_ns);
	struct image *i = find(t, e->pid, e->start_ns);

	if (i) /* a socket of it was told of first */
		return i;
	i = image_new(t, e->pid, e->start_ns, ev->time_ns);
	if (!i)
		return NULL;
	/* Found again: making room may have taken one that had ended. */
	parent = find(t, e->ppid, e->parent_start_ns);
	if (parent)
		copy_program(&i->p, &parent->p);
	if (e->comm.n)
		set_text(t, &i->p.comm, e->comm);
	set_user(t, &i->p, e->uid, e->gid);
	set_cgroup(t, i, e->cgroup, e->cgroup_id);
	set_parent(t, &i->p, e->ppid, e->parent_start_ns, ev->time_ns);
	return i;
}

/*
 * What a process was before an exec() stays part of where it comes from: rules for a tree hold for it. What a fork brought
 * along from its parent is the parent's.
 */
static void set_was(struct proc_table *t, struct proc *p, const struct proc *old)
{
	char text[WAS_MAX];
	size_t n = old->was ? old->was->n : 0;

	if (old->exe && old->exe_state == EXE_FILE && old->exe != p->exe &&
	    (!old->parent || old->parent->exe != old->exe) && n + old->exe->n + 1 <= sizeof(text)) {
		if (n)
			memcpy(text, old->was->p, n);
		memcpy(text + n, old->exe->p, old->exe->n + 1);
		set_text(t, &p->was, (struct str){ text, n + old->exe->n + 1 });
	} else {
		p->was = text_ref(old->was);
	}
}

static struct image *on_exec(struct proc_table *t, const struct event *ev)
{
	const struct event_proc *e = &ev->proc;
	struct image *i = image_new(t, e->pid, e->start_ns, ev->time_ns), *old;

	if (!i)
		return NULL;
	set_program(t, &i->p, e);
	set_user(t, &i->p, e->uid, e->gid);
	for (old = i->next; old; old = old->next)
		if (old->p.pid == e->pid && same_start(old->p.start_ns, e->start_ns))
			break;
	if (old) { /* who started it is known from its fork */
		i->p.parent = proc_ref(old->p.parent);
		i->p.opened_packet_socket = old->p.opened_packet_socket;
		set_was(t, &i->p, &old->p);
	}
	set_cgroup(t, i, e->cgroup, e->cgroup_id ? e->cgroup_id : old ? old->cgroup_id : 0);
	set_parent(t, &i->p,
		   e->ppid ? e->ppid
		   : old   ? old->p.ppid
			   : 0,
		   e->parent_start_ns, ev->time_ns);
	while (old) {
		struct image *next = old->next;

		if (old->p.pid == e->pid && same_start(old->p.start_ns, e->start_ns))
			unlist(t, old);
		old = next;
	}
	return i;
}

static struct image *on_exit_event(struct proc_table *t, const struct event *ev)
{
	struct image *first = find(t, ev->proc.pid, ev->proc.start_ns);

	for (struct image *i = first; i; i = i->next)
		if (i->p.pid == ev->proc.pid && same_start(i->p.start_ns, ev->proc.start_ns))
			set_ended(t, i, ev->time_ns);
	return first;
}

static struct image *on_seen(struct proc_table *t, const struct event *ev)
{
	struct image *i = find(t, ev->proc.pid, ev->proc.start_ns);

	return i && i->p.exe_state != EXE_UNKNOWN ? i : on_exec(t, ev);
}

static struct image *on_packet_socket(struct proc_table *t, const struct event *ev)
{
	const struct event_proc *e = &ev->proc;
	struct event_open open = { .pid = e->pid,
				   .proc_start_ns = e->start_ns,
				   .uid = e->uid,
				   .gid = e->gid,
				   .cgroup_id = e->cgroup_id,
				   .comm = e->comm };
	struct proc *p = proc_table_find(t, &open, ev->time_ns);

	if (p)
		p->opened_packet_socket = true;
	return (struct image *)p;
}

/* People must be able to call it something. */
static struct image *named(struct proc_table *t, struct image *i)
{
	char text[24];

	if (i->p.exe || i->p.comm)
		return i;
	snprintf(text, sizeof(text), "[pid %u]", i->p.pid);
	set_text(t, &i->p.comm, str_of(text));
	return i;
}

struct proc *proc_table_event(struct proc_table *t, const struct event *e)
{
	struct image *i = NULL;

	switch (e->proc.change) {
	case PROC_FORK:
		i = on_fork(t, e);
		break;
	case PROC_EXEC:
		i = on_exec(t, e);
		break;
	case PROC_EXIT:
		i = on_exit_event(t, e);
		break;
	case PROC_SEEN:
		i = on_seen(t, e);
		break;
	case PROC_PACKET_SOCKET:
		i = on_packet_socket(t, e);
		break;
	}
	return i ? &named(t, i)->p : NULL;
}

/* What /proc says, if it is still the same process. */
static int fill_from_proc(struct proc_table *t, struct image *i, uint64_t now_ns)
{
	struct proc_read read = { 0 };
	int r = proc_read(&read, i->p.pid, i->p.start_ns);

	if (r < 0)
		return r;
	i->p.exe_state = read.exe_state;
	set_text(t, &i->p.exe, str_of(read.exe));
	if (read.comm[0])
		set_text(t, &i->p.comm, str_of(read.comm));
	set_args(t, &i->p, (struct str){ read.args, read.n_args }, read.args_cut);
	proc_stdio_now(i->p.pid, i->p.start_ns, i->p.stdio); /* not ours to see: unknown */
	set_parent(t, &i->p, read.ppid, 0, now_ns);
	return 0;
}

static struct image *read_image(struct proc_table *t, uint32_t pid, uint64_t start_ns,
				uint64_t now_ns)
{
	struct image *i = image_new(t, pid, start_ns, now_ns);

	if (!i)
		return NULL;
	if (fill_from_proc(t, i, now_ns) < 0)
		set_ended(t, i, now_ns); /* gone already: its number is all there is */
	return named(t, i);
}

/* Never announced: what the notice says, and what /proc says. */
static struct image *stand_in(struct proc_table *t, const struct event_open *o, uint64_t now_ns)
{
	struct image *i = image_new(t, o->pid, o->proc_start_ns, now_ns);

	if (!i)
		return NULL;
	set_user(t, &i->p, o->uid, o->gid);
	set_cgroup(t, i, STR_NONE, o->cgroup_id);
	if (!o->pid) {
		i->p.exe_state = EXE_KERNEL;
		set_text(t, &i->p.comm, o->comm.n ? o->comm : STR("kernel"));
		return i;
	}
	set_text(t, &i->p.comm, o->comm);
	if (o->proc_start_ns)
		fill_from_proc(t, i, now_ns); /* gone already: the notice must do */
	return i;
}

/* The image again, with another user or cgroup: what its sockets opened before stays under the old one. */
static struct image *variant(struct proc_table *t, struct image *of, const struct event_open *o,
			     uint64_t now_ns)
{
	struct proc *kept = proc_ref(&of->p);
	struct image *i = image_new(t, o->pid, of->p.start_ns, now_ns);

	if (i) {
		copy_program(&i->p, kept);
		i->p.was = text_ref(kept->was);
		i->p.parent = proc_ref(kept->parent);
		i->p.ppid = kept->ppid;
		set_user(t, &i->p, o->uid, o->gid);
		set_cgroup(t, i, STR_NONE, o->cgroup_id ? o->cgroup_id : of->cgroup_id);
		if (kept->ended_ns)
			set_ended(t, i, kept->ended_ns);
	}
	proc_put(t, kept);
	return i;
}

struct proc *proc_table_find(struct proc_table *t, const struct event_open *o, uint64_t now_ns)
{
	struct image *newest = find(t, o->pid, o->proc_start_ns), *i;

	if (!newest) {
		i = stand_in(t, o, now_ns);
		return i ? &named(t, i)->p : NULL;
	}
	for (i = newest; i; i = i->next)
		if (i->p.pid == o->pid && same_start(i->p.start_ns, o->proc_start_ns) &&
		    i->p.uid == o->uid && (!o->cgroup_id || i->cgroup_id == o->cgroup_id))
			return &i->p;
	i = variant(t, newest, o, now_ns);
	return i ? &i->p : &newest->p;
}

void proc_table_tick(struct proc_table *t, uint64_t now_ns)
{
	while (!list_empty(&t->ended)) {
		struct image *i = container_of(t->ended.next, struct image, ended);

		if (now_ns < i->p.ended_ns + LINGER_NS)
			break;
		unlist(t, i);
	}
}

void proc_table_each(struct proc_table *t, void (*fn)(void *ctx, struct proc *p), void *ctx)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct image *i = t->buckets[b]; i; i = i->next)
			if (!i->p.ended_ns)
				fn(ctx, &i->p);
}

size_t proc_table_count(const struct proc_table *t)
{
	return t->images.used;
}

uint64_t proc_table_lost(const struct proc_table *t)
{
	return t->lost;
}

struct str proc_name(const struct proc *p)
{
	struct str exe = text_str(p->exe);
	const char *slash = exe.n ? memrchr(exe.p, '/', exe.n) : NULL;

	if (slash && slash + 1 < exe.p + exe.n)
		return str_sub(exe, (size_t)(slash + 1 - exe.p), exe.n);
	return exe.n ? exe : text_str(p->comm);
}

const char *proc_exe_note(const struct proc *p)
{
	switch (p->exe_state) {
	case EXE_DELETED:
		return "deleted";
	case EXE_MEMFD:
		return "memfd";
	case EXE_KERNEL:
		return "kernel";
	case EXE_FILE:
	case EXE_UNKNOWN:
		break;
	}
	return NULL;
}
