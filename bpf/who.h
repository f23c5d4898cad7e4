/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who, as policy sees it: from processes, paths and cgroups to the classes of an image. What a process runs is written
 * down when it begins to (process.h), because later the kernel only knows what the process lets it know: the file behind
 * /proc/PID/exe can be changed by prctl(). A process without an entry is unknown, and stays so: no rule that names a
 * program holds for it.
 */
#pragma once

#include "path.h"

#define EG_GROUPS_MAX 4096 /* of one process, looked at */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, __u32);
	__type(value, struct eg_process);
} eg_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct eg_cgroup_path);
} eg_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct eg_container);
} eg_containers SEC(".maps");

static const struct eg_cgroup_path eg_no_cgroup; /* too large for the stack */

/* --- cgroups --------------------------------------------------------------------------------------------------- */
struct eg_cgroup_walk {
	struct eg_cgroup_path *to;
	struct kernfs_node *kn;
	__u32 pos, looks;
};

/* "lxc", "lxc.payload…", "machine-…", "systemd-nspawn@…": how containers without a long id are called. */
static __always_inline int eg_looks_contained(const char *part, __u32 len)
{
	/* 64 digits of an id, whatever stands around them; too many of these do no harm: user space is asked */
	if (len >= 64)
		return 1;
	if (len >= 3 && part[0] == 'l' && part[1] == 'x' && part[2] == 'c')
		return 1;
	if (len >= 8 && part[0] == 'm' && part[1] == 'a' && part[2] == 'c' && part[3] == 'h' &&
	    part[7] == '-')
		return 1;
	return len >= 15 && part[8] == 'n' && part[9] == 's' && part[10] == 'p' && part[14] == '@';
}

static int eg_cgroup_path_step(__u32 i, struct eg_cgroup_walk *w)
{
	struct kernfs_node *kn = w->kn, *parent;
	struct eg_cgroup_path *to = w->to;
	__u32 pos = w->pos;
	char name[16] = {};
	long n;

	(void)i;
	if (bpf_core_field_exists(kn->__parent))
		parent = BPF_CORE_READ(kn, __parent);
	else /* shall be removed once kernel 6.15 becomes the minimal baseline */
		parent = BPF_CORE_READ((struct kernfs_node___parent *)kn, parent);
	if (!parent)
		return 1;
	/* its length is not kept anywhere: read once into the slack behind the text to learn it */
	n = bpf_probe_read_kernel_str(&to->text[EG_CGROUP_MAX], 256, BPF_CORE_READ(kn, name));
	if (n <= 1 || n > 256 || pos < n || pos > EG_CGROUP_MAX) {
		w->pos = 0;
		return 1;
	}
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(kn, name));
	w->looks |= eg_looks_contained(name, n - 1);
	pos = (pos - n) & (EG_CGROUP_MAX - 1);
	n = (n - 1) & 255;
	to->text[pos] = '/';
	if (bpf_probe_read_kernel(&to->text[pos + 1], n, BPF_CORE_READ(kn, name)))
		return 1;
	w->pos = pos;
	w->kn = parent;
	return 0;
}

/* The path of a task's cgroup is put where it is found by its id. */
static __noinline void eg_cgroup_keep(struct task_struct *task)
{
	struct eg_cgroup_walk w = { .pos = EG_CGROUP_MAX };
	struct kernfs_node *kn;
	__u64 id;

	if (!task)
		return;
	kn = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	id = BPF_CORE_READ(kn, id);
	w.kn = kn;
	w.to = bpf_map_lookup_elem(&eg_cgroups, &id);
	if (!w.to) {
		bpf_map_update_elem(&eg_cgroups, &id, &eg_no_cgroup, BPF_NOEXIST);
		w.to = bpf_map_lookup_elem(&eg_cgroups, &id);
	}
	if (!w.to || w.to->from)
		return;
	bpf_loop(EG_PATH_DEPTH, eg_cgroup_path_step, &w, 0);
	w.to->looks = w.looks;
	if (w.pos == EG_CGROUP_MAX) { /* the root has no components */
		w.to->text[EG_CGROUP_MAX - 1] = '/';
		w.pos--;
	}
	/* too long to be matched: an empty text, which is nobody's */
	__sync_lock_test_and_set(&w.to->from, w.pos ? w.pos : EG_CGROUP_MAX);
}

struct eg_cgroup_dfa {
	EG_IMAGE image;
	const struct eg_cgroup_path *path;
	__u32 state;
};

static int eg_cgroup_dfa_step(__u32 i, struct eg_cgroup_dfa *w)
{
	const struct eg_image *head = eg_image_head(w->image);
	__u8 c = w->path->text[(w->path->from + i) & (EG_CGROUP_MAX - 1)];

	if (!head)
		return 1;
	w->state = eg_dfa_step(w->image, &head->cgroup, w->state, c);
	return !w->state;
}

static __noinline __u16 eg_cgroup_judge(EG_IMAGE image, __u32 gen, struct eg_cgroup_path *path)
{
	const struct eg_image *head = eg_image_head(image);
	struct eg_cgroup_dfa d = { .image = image, .path = path, .state = 1 };
	__u32 class = EG_CLASS_NONE;

	if (!head || !path)
		return class;
	if (head->cgroup.n_states && path->from < EG_CGROUP_MAX) {
		bpf_loop(EG_CGROUP_MAX - path->from, eg_cgroup_dfa_step, &d, 0);
		if (d.state)
			class = eg_read___u16(image, head->cgroup.accept + 2ULL * d.state);
	}
	path->judged = (__u64)gen << 16 | (class & 0xffff);
	return class;
}

/* --- what a process is ------------------------------------------------------------------------------------------ */

/* Trees that a program of this path begins. */
static __noinline __u64 eg_trees_begun(EG_IMAGE image, __u64 key)
{
	const struct eg_image *head = image ? eg_image_head(image) : NULL;
	__u32 class;

	if (!head)
		return 0;
	class = eg_path_class(image, head->gen, key);
	if (class == EG_CLASS_NONE)
		return 0;
	return eg_read___u64(image, head->exe_trees + 8ULL * class);
}

static __always_inline struct eg_process *eg_process_of(struct task_struct *task)
{
	__u32 pid = BPF_CORE_READ(task, tgid);
	struct eg_process *p = bpf_map_lookup_elem(&eg_processes, &pid);

	return p && p->start_ns == BPF_CORE_READ(task, group_leader, start_boottime) ? p : NULL;
}

struct eg_group_walk {
	EG_IMAGE image;
	struct group_info *groups;
	__u64 bits;
};

static int eg_group_step(__u32 i, struct eg_group_walk *w)
{
	__u32 gid;

	if (bpf_probe_read_kernel(&gid, sizeof(gid),
				  (void *)w->groups +
					  bpf_core_field_offset(struct group_info, gid) + 4ULL * i))
		return 1;
	w->bits |= eg_fact_gid(w->image, gid);
	return 0;
}

static __noinline __u64 eg_groups_of(struct task_struct *task)
{
	EG_IMAGE image = eg_policy_now();
	const struct eg_image *head = image ? eg_image_head(image) : NULL;
	struct eg_group_walk w = { .image = image };
	struct group_info *groups;
	__u32 n;

	if (!head || !head->n_gids || !task)
		return 0;
	groups = BPF_CORE_READ(task, cred, group_info);
	n = BPF_CORE_READ(groups, ngroups);
	w.groups = groups;
	if (n > EG_GROUPS_MAX) {
		eg_who_lose(EG_WHO_LOST_GROUPS);
		n = EG_GROUPS_MAX;
	}
	bpf_loop(n, eg_group_step, &w, 0);
	return w.bits | eg_fact_gid(image, BPF_CORE_READ(task, cred, gid.val));
}

/* What any process is. */
static __noinline void eg_who_of(struct task_struct *task, struct eg_who *w)
{
	struct eg_process *p;

	if (!w)
		return;
	__builtin_memset(w, 0, sizeof(*w));
	if (!task || (BPF_CORE_READ(task, flags) & PF_KTHREAD))
		return;
	p = eg_process_of(task);
	if (p) {
		w->exe = p->exe;
		w->script = p->script;
		w->trees = p->trees;
	}
	w->groups = eg_groups_of(task);
	eg_cgroup_keep(task);
}

/* In process context: what the process that runs now is. */
__noinline int eg_who_now(struct eg_who *w)
{
	if (w)
		eg_who_of(bpf_get_current_task_btf(), w);
	return 0;
}

/* Trees that a process was put into since its socket asked (a new policy names them). */
static __always_inline __u64 eg_who_trees(__u32 pid, __u64 start_ns)
{
	struct eg_process *p = bpf_map_lookup_elem(&eg_processes, &pid);

	return p && p->start_ns == start_ns ? p->trees : 0;
}

/* Its classes in this image; `cgroup_id` and `uid` are the socket owner's. */
static __noinline void eg_who_classes(EG_IMAGE image, const struct eg_who *w, __u64 cgroup_id,
				      __u32 uid, struct eg_facts *f)
{
	const struct eg_image *head = eg_image_head(image);
	struct eg_container *container;
	struct eg_cgroup_path *cgroup;
	__u32 gen;

	if (!head || !w || !f)
		return;
	gen = head->gen;
	f->trees = w->trees;
	f->groups = w->groups;
	f->user = eg_fact_user(image, uid);
	f->exe = eg_path_class(image, gen, w->exe);
	f->script = eg_path_class(image, gen, w->script);
	f->cgroup = f->container = EG_CLASS_NONE;
	cgroup = bpf_map_lookup_elem(&eg_cgroups, &cgroup_id);
	if (cgroup && cgroup->from)
		f->cgroup = cgroup->judged >> 16 == gen ? cgroup->judged & 0xffff
							: eg_cgroup_judge(image, gen, cgroup);
	if (!head->has_container)
		return;
	container = bpf_map_lookup_elem(&eg_containers, &cgroup_id);
	if (container && container->judged[gen & 1] >> 16 == gen)
		f->container = container->judged[gen & 1];
	else if (!cgroup || cgroup->looks)
		f->container = EG_CONTAINER_UNKNOWN;
}
