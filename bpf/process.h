/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes: their beginning, the program they become (path and arguments as the kernel has them at exec: a program
 * may be gone before user space looks), their end, and who opens packet sockets, which no cgroup hook sees.
 * System call tracepoints would say the same at the price of slowing every call of every program.
 *
 * What policy knows of a process (struct eg_process) is written here, for every process, watched or not: it may be moved
 * to where it is watched. A child is what its parent is until it becomes another program.
 */
#pragma once

#include "owner.h"
#include "descriptors.h"
#include "who.h"

#define EG_WALK_MAX 64
#define CAP_NET_RAW 13

__u32 who_seeded = 0;    /* the walk over tasks is done: who has no entry now never gets one */
__u32 who_reference = 0; /* whose mounts are the host's: of 0: who reads the walk, 1: process 1 */
__u64 who_mnt_ns = 0, who_root = 0, who_root_mnt = 0; /* the host's, as the kernel calls them */

static __always_inline int eg_task_watched(struct task_struct *task)
{
	return trace_all_processes || eg_cgroup_watched(task->cgroups->dfl_cgrp);
}

static __always_inline void eg_fill_proc(struct eg_proc *r, struct task_struct *task, __u32 type)
{
	struct task_struct *parent = task->real_parent;

	__builtin_memset(r, 0, sizeof(*r));
	r->rec.type = type;
	r->rec.time_ns = bpf_ktime_get_ns();
	r->pid = task->tgid;
	r->start_ns = task->group_leader->start_boottime;
	r->ppid = parent->tgid;
	r->parent_start_ns = parent->group_leader->start_boottime;
	r->cgroup_id = task->cgroups->dfl_cgrp->kn->id;
	r->uid = task->cred->uid.val;
	r->gid = task->cred->gid.val;
	bpf_probe_read_kernel(r->comm, sizeof(r->comm), task->comm);
}

static __always_inline void eg_send_proc(struct task_struct *task, __u32 type)
{
	struct eg_proc *r = bpf_ringbuf_reserve(&eg_ring, sizeof(*r), 0);

	if (!r) {
		eg_lose(EG_LOSS_RING_PROC, NULL);
		return;
	}
	eg_fill_proc(r, task, type);
	bpf_ringbuf_submit(r, eg_wake());
}

/* The script that an interpreter was begun for, where its path means what it says: in the host's own tree of files. */
static __always_inline __u64 eg_script_key(struct task_struct *task, struct linux_binprm *bprm)
{
	const char *given = BPF_CORE_READ(bprm, filename);

	if (given == BPF_CORE_READ(bprm, interp) || !who_mnt_ns ||
	    (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns) != who_mnt_ns ||
	    (__u64)BPF_CORE_READ(task, fs, root.dentry) != who_root ||
	    (__u64)BPF_CORE_READ(task, fs, root.mnt) != who_root_mnt)
		return 0;
	return eg_given_key(given, EG_ROOM_HOOK);
}

/* As good as can be known of a process that was there before. */
static __noinline void eg_process_seed(struct task_struct *task, __u32 which)
{
	struct eg_process p = {};
	__u32 pid;

	if (!task || (BPF_CORE_READ(task, flags) & PF_KTHREAD))
		return;
	pid = BPF_CORE_READ(task, tgid);
	p.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	p.ppid = BPF_CORE_READ(task, real_parent, tgid);
	p.exe = eg_file_key(BPF_CORE_READ(task, mm, exe_file), which);
	p.trees = eg_trees_begun(eg_policy_now(), p.exe);
	if (bpf_map_update_elem(&eg_processes, &pid, &p, BPF_NOEXIST) && !eg_process_of(task))
		eg_who_lose(EG_WHO_LOST_PROCESSES);
}

static __always_inline void eg_process_fork(struct task_struct *parent, struct task_struct *child)
{
	struct eg_process p, *from = eg_process_of(parent);
	__u32 pid = child->tgid;

	if (!from && !who_seeded) {
		eg_process_seed(parent, EG_ROOM_HOOK);
		from = eg_process_of(parent);
	}
	if (!from)
		return;
	p = *from;
	p.start_ns = child->start_boottime;
	p.ppid = parent->tgid;
	if (bpf_map_update_elem(&eg_processes, &pid, &p, BPF_ANY))
		eg_who_lose(EG_WHO_LOST_PROCESSES);
}

/*
 * A process without an entry is one that there was no room for, whose trees nobody knows any more: what it becomes stays
 * unknown, too. But for the first program of a thread of the kernel, and while not all are written down.
 */
static __noinline struct eg_process *eg_process_becomes(struct task_struct *task)
{
	struct eg_process *p = task ? eg_process_of(task) : NULL, fresh = {};
	__u32 pid;

	if (!task || p)
		return p;
	if (who_seeded && !(BPF_CORE_READ(task, real_parent, flags) & PF_KTHREAD))
		return NULL;
	pid = BPF_CORE_READ(task, tgid);
	fresh.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	fresh.ppid = BPF_CORE_READ(task, real_parent, tgid);
	if (bpf_map_update_elem(&eg_processes, &pid, &fresh, BPF_ANY)) {
		eg_who_lose(EG_WHO_LOST_PROCESSES);
		return NULL;
	}
	return bpf_map_lookup_elem(&eg_processes, &pid);
}

static __always_inline void eg_process_exec(struct task_struct *task, struct linux_binprm *bprm)
{
	struct eg_process *p = eg_process_becomes(task);
	EG_IMAGE image;

	if (!p)
		return;
	p->exe = eg_file_key(BPF_CORE_READ(bprm, file), EG_ROOM_HOOK);
	p->script = eg_script_key(task, bprm);
	image = eg_policy_now();
	__sync_fetch_and_or(&p->trees,
			    eg_trees_begun(image, p->exe) | eg_trees_begun(image, p->script));
	eg_cgroup_keep(task);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(eg_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid == child->tgid)
		eg_process_fork(parent, child);
	if (child->pid == child->tgid && eg_task_watched(child))
		eg_send_proc(child, EG_REC_FORK);
	return 0;
}

/* The last thread to go ends the process. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(eg_exit, struct task_struct *task)
{
	__u32 pid = task->tgid;

	if (task->signal->live.counter)
		return 0;
	bpf_map_delete_elem(&eg_processes, &pid);
	if (eg_task_watched(task))
		eg_send_proc(task, EG_REC_EXIT);
	return 0;
}

struct eg_walk {
	struct eg_exec *e;
	struct dentry *dentry, *root_dentry;
	struct mount *mnt, *root_mnt;
	struct kernfs_node *kn;
	__u32 pos;
};

/* One step towards the root: out of a mount, or to the parent directory. */
static int eg_path_step(__u32 i, struct eg_walk *w)
{
	struct dentry *dentry = w->dentry, *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *mnt = w->mnt;
	struct eg_exec *e = w->e;
	__u32 pos = w->pos;
	long n;

	(void)i;
	if (dentry == w->root_dentry && mnt == w->root_mnt)
		return 1;
	if (dentry == BPF_CORE_READ(mnt, mnt.mnt_root)) {
		struct mount *up = BPF_CORE_READ(mnt, mnt_parent);

		if (up == mnt)
			return 1;
		w->dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
		w->mnt = up;
		return 0;
	}
	if (pos > EG_PATH_MAX - 257)
		return 1;
	e->path[pos] = '/';
	n = bpf_probe_read_kernel_str(&e->path[pos + 1], 256, BPF_CORE_READ(dentry, d_name.name));
	if (n <= 1 || n > 256)
		return 1;
	w->pos = pos + n;
	if (parent == dentry) /* never linked anywhere: memfd, anonymous */
		return 1;
	w->dentry = parent;
	return 0;
}

static int eg_cgroup_step(__u32 i, struct eg_walk *w)
{
	struct kernfs_node *kn = w->kn, *parent;
	struct eg_exec *e = w->e;
	__u32 pos = w->pos;
	long n;

	(void)i;
	if (bpf_core_field_exists(kn->__parent))
		parent = BPF_CORE_READ(kn, __parent);
	else /* shall be removed once kernel 6.15 becomes the minimal baseline */
		parent = BPF_CORE_READ((struct kernfs_node___parent *)kn, parent);
	if (!parent || pos > EG_CGROUP_MAX - 129)
		return 1;
	e->cgroup[pos] = '/';
	n = bpf_probe_read_kernel_str(&e->cgroup[pos + 1], 128, BPF_CORE_READ(kn, name));
	if (n <= 1 || n > 128)
		return 1;
	w->pos = pos + n;
	w->kn = parent;
	return 0;
}

/* Reads by probing: the same code serves a file that the caller holds and one that another task holds. */
static __always_inline void eg_exec_path(struct eg_exec *e, struct task_struct *task,
					 struct file *file)
{
	unsigned long mnt, root;
	struct inode *inode;
	struct eg_walk w = { .e = e };

	inode = BPF_CORE_READ(file, f_inode);
	if (!inode)
		return;
	e->inode = BPF_CORE_READ(inode, i_ino);
	e->nlink = BPF_CORE_READ(inode, i_nlink);
	e->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	mnt = (unsigned long)BPF_CORE_READ(file, f_path.mnt);
	root = (unsigned long)BPF_CORE_READ(task, fs, root.mnt);
	w.dentry = BPF_CORE_READ(file, f_path.dentry);
	w.root_dentry = BPF_CORE_READ(task, fs, root.dentry);
	w.root_mnt = (void *)(root - bpf_core_field_offset(struct mount, mnt));
	w.mnt = (void *)(mnt - bpf_core_field_offset(struct mount, mnt));
	e->path[0] = 0;
	bpf_loop(EG_WALK_MAX, eg_path_step, &w, 0);
	e->path_len = w.pos;
	e->memfd = !e->nlink && e->path[1] == 'm' && e->path[2] == 'e' && e->path[3] == 'm' &&
		   e->path[4] == 'f' && e->path[5] == 'd' && e->path[6] == ':';
}

static __always_inline void eg_exec_cgroup(struct eg_exec *e, struct task_struct *task)
{
	struct eg_walk w = { .e = e };

	w.kn = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	bpf_loop(EG_WALK_MAX, eg_cgroup_step, &w, 0);
	e->cgroup_len = w.pos;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(eg_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	unsigned long start, len;
	struct eg_exec *e;

	eg_process_exec(task, bprm);
	if (!eg_task_watched(task))
		return 0;
	e = bpf_ringbuf_reserve(&eg_ring, sizeof(*e), 0);
	if (!e) {
		eg_lose(EG_LOSS_RING_PROC, NULL);
		return 0;
	}
	eg_fill_proc(&e->proc, task, EG_REC_EXEC);
	e->path_len = 0;
	e->memfd = 0;
	eg_exec_path(e, task, bprm->file);
	eg_exec_cgroup(e, task);
	eg_stdio_fill(e, task); /* what is closed by exec is closed */

	start = task->mm->arg_start;
	len = task->mm->arg_end - start;
	e->args_cut = len > EG_ARGS_MAX;
	if (len > EG_ARGS_MAX)
		len = EG_ARGS_MAX;
	e->args_len = len;
	if (!len || bpf_probe_read_user(e->args, len, (void *)start))
		e->args_len = 0;
	bpf_ringbuf_submit(e, eg_wake());
	return 0;
}

/*
 * socket(AF_PACKET, …) asks for CAP_NET_RAW, and so does socket(…, SOCK_RAW, …): the registers of the system call tell
 * them apart. From io_uring they do not, and user space looks at what the process has open.
 */
static __always_inline int eg_asks_packet(struct task_struct *task, __u32 *proto)
{
#if defined(__TARGET_ARCH_x86)
	struct pt_regs___x86 *regs = (void *)bpf_task_pt_regs(task);
	long nr = BPF_CORE_READ(regs, orig_ax), family = BPF_CORE_READ(regs, di);
	__u32 asked = BPF_CORE_READ(regs, dx);
	const long nr_socket = 41;
#elif defined(__TARGET_ARCH_arm64)
	struct user_pt_regs___arm64 *regs = (void *)bpf_task_pt_regs(task);
	long nr = BPF_CORE_READ(regs, regs[8]), family = BPF_CORE_READ(regs, regs[0]);
	__u32 asked = BPF_CORE_READ(regs, regs[2]);
	const long nr_socket = 198;
#else
#error "which registers hold the arguments of a system call on this machine?"
#endif
	const long nr_io_uring_enter = 426;

	*proto = ~0U;
	if (nr == nr_io_uring_enter || (task->flags & 0x10 /* PF_IO_WORKER */))
		return 1;
	if (nr != nr_socket || (__u32)family != AF_PACKET)
		return 0;
	*proto = bpf_ntohs(asked);
	return 1;
}

SEC("tp_btf/cap_capable")
int BPF_PROG(eg_cap, const struct cred *cred, void *target, const void *capable, int cap, int ret)
{
	struct task_struct *task;
	struct eg_proc *r;
	__u32 proto;

	if (cap != CAP_NET_RAW || ret)
		return 0;
	task = bpf_get_current_task_btf();
	/* whoever else is traced: packets are watched in the subtree only */
	if (!eg_cgroup_watched(task->cgroups->dfl_cgrp) || !eg_asks_packet(task, &proto))
		return 0;
	r = bpf_ringbuf_reserve(&eg_ring, sizeof(*r), 0);
	if (!r) {
		eg_lose(EG_LOSS_RING_PROC, NULL);
		return 0;
	}
	eg_fill_proc(r, task, EG_REC_PACKET_SOCKET);
	r->packet_proto = proto;
	bpf_ringbuf_submit(r, eg_wake());
	return 0;
}

/* Every process that is there: once, by who starts egret. */
SEC("iter/task")
int eg_who_walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *me = bpf_get_current_task_btf();

	if (!task || task->pid != task->tgid)
		return 0;
	if (who_reference ? task->tgid == 1 : task->tgid == me->tgid) {
		who_mnt_ns = (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns);
		who_root = (__u64)BPF_CORE_READ(task, fs, root.dentry);
		who_root_mnt = (__u64)BPF_CORE_READ(task, fs, root.mnt);
	}
	eg_process_seed(task, EG_ROOM_WALK);
	return 0;
}

/* Puts a process into trees; asked for by user space, argument in the context. 1: there is no such process. */
SEC("syscall")
int eg_who_tag(struct eg_tag *tag)
{
	__u32 pid = tag->pid;
	struct eg_process *p = bpf_map_lookup_elem(&eg_processes, &pid);

	if (!p || p->start_ns != tag->start_ns)
		return 1;
	__sync_fetch_and_or(&p->trees, tag->trees);
	return 0;
}
