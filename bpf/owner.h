/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose a socket is: the process that connects, binds or sends. */
#pragma once

#include "state.h"
#include "sweep.h"

static __always_inline int eg_cgroup_watched(struct cgroup *cg)
{
	struct cgroup *at;

	if (!watch_level)
		return 1;
	if (!cg || (__u32)BPF_CORE_READ(cg, level) < watch_level)
		return 0;
	if (bpf_probe_read_kernel(&at, sizeof(at),
				  (void *)cg + bpf_core_field_offset(struct cgroup, ancestors) +
					  watch_level * sizeof(at)))
		return 0;
	return BPF_CORE_READ(at, kn, id) == watch_cgroup_id;
}

static __always_inline void eg_owner_of(struct task_struct *task, struct eg_owner *o)
{
	o->pid = task->tgid;
	o->start_ns = task->group_leader->start_boottime;
	o->cgroup_id = task->cgroups->dfl_cgrp->kn->id;
	o->uid = task->cred->uid.val;
	o->gid = task->cred->gid.val;
	o->pad = 0;
	if (task->flags & PF_KTHREAD) {
		o->pid = 0;
		o->start_ns = 0;
	}
}

static __always_inline void eg_sock_set_owner(struct eg_sock *s, const struct eg_owner *o)
{
	s->owner_start_ns = o->start_ns;
	s->owner_cgroup_id = o->cgroup_id;
	s->uid = o->uid;
	s->gid = o->gid;
	s->hot.pid = o->pid;
	__sync_fetch_and_or(&s->hot.flags, EG_OWNED);
}

/* A child is whose its listener is. */
static __always_inline void eg_sock_inherit(struct eg_sock *s, const struct eg_sock *listener)
{
	struct eg_owner o;

	eg_sock_owner(listener, &o);
	eg_sock_set_owner(s, &o);
}

/* In process context only: the one that runs is the one that asked. */
static __always_inline void eg_sock_own(struct eg_sock *s)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct eg_owner o;

	eg_owner_of(task, &o);
	eg_sock_set_owner(s, &o);
}
