/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Iterators: the steady sweep over all counters, which tells what moved since the last, and the walk over open files at
 * start, which finds out whose the sockets are that were there before.
 */
#pragma once

#include "forward_judge.h"
#include "process.h"

/*
 * Sockets that found their slot taken; those with a slot user space reads by itself. Called once more at the end without
 * a socket: so there is always one call that sets the clocks.
 */
SEC("iter/bpf_sk_storage_map")
int eg_sweep_socks(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct eg_sweep w = { sweep_since, sweep_idle, sweep_idle_dns };
	struct eg_sock *s = ctx->value;
	struct sock *sk = ctx->sk;
	struct eg_close c = {};

	clock_ns = bpf_ktime_get_ns();
	clock_tick = bpf_jiffies64();
	if (!s || !sk)
		return 0;
	if (sweep_forget) {
		eg_forget_passes(&s->hot, &s->judged, policy_epoch);
		return 0;
	}
	c.rec.time_ns = bpf_ktime_get_ns();
	/* The reader's buffer is full: it asks again for this one, but what an ended flow counted was taken. */
	if (eg_sweep_sock(s, bpf_get_socket_cookie(sk), &w, &c) &&
	    bpf_seq_write(ctx->meta->seq, &c, sizeof(c)) && c.idle)
		eg_lose(EG_LOSS_RING_FLOW, &c.n);
	return 0;
}

SEC("iter/bpf_map_elem")
int eg_sweep_peers(struct bpf_iter__bpf_map_elem *ctx)
{
	struct eg_peer_key *k = ctx->key;
	struct eg_peer *p = ctx->value;
	struct eg_sweep w = { sweep_since, sweep_idle, sweep_idle_dns };
	struct eg_close c = {};
	int idle;

	if (!k || !p || !(p->flags & EG_KEYED))
		return 0;
	if (sweep_forget) {
		eg_forget_passes(NULL, &p->judged, policy_epoch);
		return 0;
	}
	idle = eg_is_idle(&k->key, p->last_tick, &w);
	if (p->last_tick < w.since && (p->flags & EG_OPEN_SENT) && !idle && !sweep_all_peers)
		return 0;
	c.rec.time_ns = bpf_ktime_get_ns();
	eg_fill_peer(&c, k, p);
	c.idle = idle;
	p->flags |= EG_OPEN_SENT;
	eg_judged_told(&p->judged, &c.judged);
	bpf_seq_write(ctx->meta->seq, &c, sizeof(c));
	return 0;
}

/* Sums of refusals, taken while others may add to them. */
static __always_inline void eg_take_refused(struct eg_refusal *r, struct eg_refused *sum)
{
	r->open = sum->open;
	r->open.rec.type = 0;
	r->at = sum->at;
	r->calls = __sync_lock_test_and_set(&sum->calls, 0);
	r->packets = __sync_lock_test_and_set(&sum->packets, 0);
	r->bytes = __sync_lock_test_and_set(&sum->bytes, 0);
}

SEC("iter/bpf_map_elem")
int eg_sweep_refused(struct bpf_iter__bpf_map_elem *ctx)
{
	struct eg_refused *sum = ctx->value;
	struct eg_refusal r = {};

	if (!ctx->key || !sum)
		return 0;
	eg_take_refused(&r, sum);
	if (!bpf_seq_write(ctx->meta->seq, &r, sizeof(r)))
		return 0;
	/* the reader's buffer is full: asked again for this one */
	__sync_fetch_and_add(&sum->calls, r.calls);
	__sync_fetch_and_add(&sum->packets, r.packets);
	__sync_fetch_and_add(&sum->bytes, r.bytes);
	return 0;
}

/* A protocol that user space recognised: 1 when the flow is there, and is judged again. */
SEC("syscall")
int eg_tell_app(struct eg_tell *tell)
{
	struct eg_peer_key k = tell->key;
	struct eg_sock *s = eg_slot_find(k.cookie);
	struct eg_judged *j = NULL;
	struct eg_gate_flow *f;
	struct eg_peer *peer;

	if (k.cookie >> 63) {
		f = bpf_map_lookup_elem(&eg_gate_flows, &k.key);
		s = f && f->cookie == k.cookie ? &f->sock : NULL;
	}
	if (s && (s->hot.flags & EG_KEYED) && s->key.rport == k.key.rport &&
	    s->key.proto == k.key.proto && eg_addr_eq(s->key.remote, k.key.remote)) {
		j = &s->judged;
	} else {
		peer = bpf_map_lookup_elem(&eg_peers, &k);
		if (peer)
			j = &peer->judged;
	}
	if (!j)
		return 0;
	if (j->app == (__u8)tell->app && (j->flags & EG_JUDGED_PAYLOAD))
		return 1;
	j->app = tell->app;
	j->flags |= EG_JUDGED_PAYLOAD;
	j->gen = 0;
	if (s)
		s->hot.passes = 0;
	return 1;
}

/*
 * Connections that are refused: programs shall notice, instead of writing into a buffer that nobody empties. Of the
 * network namespace of whoever reads.
 */
SEC("iter/tcp")
int eg_condemn(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct eg_sock *s;
	__u32 state;

	if (!skc)
		return 0;
	state = skc->skc_state;
	if (state == EG_TCP_LISTEN || state == EG_TCP_TIME_WAIT || state == EG_TCP_NEW_SYN_RECV)
		return 0;
	s = eg_slot_find(skc->skc_cookie.counter);
	if (!s || !(s->judged.flags & EG_JUDGED_REFUSES) || s->judged.gen != policy_gen ||
	    !(s->hot.flags & EG_KEYED))
		return 0;
	if (bpf_sock_destroy)
		bpf_sock_destroy(skc);
	return 0;
}

/* A packet socket that is open: who, and what it asked for. */
static __noinline void eg_seed_packet(struct bpf_iter__task_file *ctx, struct task_struct *task,
				      struct sock *sk)
{
	struct eg_seed r = {};

	r.open.rec.type = EG_REC_PACKET_SOCKET;
	r.open.rec.time_ns = bpf_ktime_get_ns();
	eg_owner_of(task, &r.open.owner);
	r.open.cookie = bpf_get_socket_cookie(sk);
	r.type = bpf_ntohs(BPF_CORE_READ((struct packet_sock *)sk, num));
	bpf_probe_read_kernel(r.open.comm, sizeof(r.open.comm), task->group_leader->comm);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
}

/* Its record is too large for the stack of what follows the owner's identity. */
static __noinline void eg_seed_tell(struct bpf_iter__task_file *ctx, struct task_struct *task,
				    struct sock *sk, struct eg_sock *s)
{
	struct eg_seed r = {};

	if (!s)
		return;
	r.open.rec.type = EG_REC_OPEN;
	r.open.rec.flags = s->hot.flags;
	r.open.rec.time_ns = bpf_ktime_get_ns();
	r.open.key = s->key;
	r.open.zone = s->zone;
	r.open.cookie = bpf_get_socket_cookie(sk);
	eg_sock_owner(s, &r.open.owner);
	bpf_probe_read_kernel(r.open.comm, sizeof(r.open.comm), task->group_leader->comm);
	r.state = sk->__sk_common.skc_state;
	r.type = sk->sk_type;
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
}

SEC("iter/task_file")
int eg_seed(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *sock;
	struct eg_owner o;
	struct eg_sock *s;
	struct sock *sk;
	__u64 cookie;
	int listens;

	if (!task || !file)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock || !sock->sk)
		return 0;
	sk = sock->sk;
	if (!eg_cgroup_watched(sk->sk_cgrp_data.cgroup))
		return 0;
	if (sk->__sk_common.skc_family == AF_PACKET) {
		eg_seed_packet(ctx, task, sk);
		return 0;
	}
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	cookie = bpf_get_socket_cookie(sk);
	listens = sk->sk_type == 1 && sk->__sk_common.skc_state == EG_TCP_LISTEN;
	s = EG_FIND(sk, cookie);
	if (!s)
		s = EG_MAKE(sk, cookie, listens);
	if (!s) {
		eg_lose(EG_LOSS_MAP_SOCKETS, NULL);
		return 0;
	}
	if (s->hot.flags & EG_OWNED)
		return 0; /* made after the hooks were there, or the same socket in another process */
	s->zone = sk->__sk_common.skc_net.net->net_cookie;
	eg_owner_of(task, &o);
	eg_sock_set_owner(s, &o);
	eg_who_of(task, &s->who);
	if (sk->sk_type == 3)
		__sync_fetch_and_or(&s->hot.flags, EG_RAW);
	if (!sk->__sk_common.skc_dport || listens)
		return 0;
	if (!(s->hot.flags & EG_KEYED)) {
		eg_sock_key(sk, &s->key);
		s->hot.peer_tag = eg_peer_tag((const __u32 *)s->key.remote, s->key.rport);
		s->hot.proto = sk->sk_protocol;
		s->hot.last_tick = bpf_jiffies64();
		__sync_fetch_and_or(&s->hot.flags,
				    EG_KEYED | EG_CONNECTED | EG_MIDSTREAM | EG_SEEDED);
	}
	__sync_fetch_and_or(&s->hot.flags, EG_OPEN_SENT);
	eg_seed_tell(ctx, task, sk, s);
	return 0;
}

/* One reader at a time, which is user space at start: the record is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_exec);
} eg_task_scratch SEC(".maps");

SEC("iter/task")
int eg_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 zero = 0;
	struct eg_exec *e;

	if (!task || task->pid != task->tgid)
		return 0;
	e = bpf_map_lookup_elem(&eg_task_scratch, &zero);
	if (!e)
		return 0;
	eg_fill_proc(&e->proc, task, EG_REC_SEEN);
	e->path_len = e->args_len = e->cgroup_len = 0;
	e->memfd = e->args_cut = 0;
	e->nlink = 1;
	e->inode = 0;
	e->dev = 0;
	if (task->mm) {
		struct file *file = BPF_CORE_READ(task, mm, exe_file);

		eg_exec_path(e, task, file);
	}
	eg_exec_cgroup(e, task);
	eg_stdio_fill(e, task);
	bpf_seq_write(ctx->meta->seq, e, sizeof(*e));
	return 0;
}
