/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections of ours that have a rate are told their share of it, by SO_MAX_PACING_RATE: TCP then spaces what it sends
 * by itself, needs no queueing discipline for it, and hardly loses anything to its bucket (limit.h). Told anew about
 * once a round trip, so that a share that moves, and a rate that goes, arrive everywhere in that time.
 *
 * A share is of IP bytes and pacing of payload: a sixteenth less leaves room for headers.
 */
#pragma once

#include "limit.h"

#define EG_SOL_SOCKET 1
#define EG_SO_MAX_PACING_RATE 47

static __always_inline void eg_pace_at(struct bpf_sock_ops *ctx, struct eg_sock *s, __u64 rate)
{
	__u32 bytes = rate < ~0U ? rate : ~0U; /* ~0: as fast as it likes */

	if (bytes == ~0U && !(s->hot.flags & EG_PACED))
		return;
	if (bpf_setsockopt(ctx, EG_SOL_SOCKET, EG_SO_MAX_PACING_RATE, &bytes, sizeof(bytes)))
		return;
	if (bytes == ~0U)
		__sync_fetch_and_and(&s->hot.flags, ~EG_PACED);
	else if (!(s->hot.flags & EG_PACED))
		__sync_fetch_and_or(&s->hot.flags, EG_PACED);
}

static __always_inline void eg_pace_sock(struct bpf_sock_ops *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx), share;
	struct bpf_sock *sk = ctx->sk;
	const struct eg_limit *l;
	struct eg_bucket *b;
	struct eg_sock *s;

	if (!sk)
		return;
	s = EG_FIND(sk, cookie);
	if (!s || !(s->hot.flags & (EG_LIMITED | EG_PACED)))
		return;
	if (eg_epoch() && s->judged.gen != policy_gen)
		return; /* its next packet is judged */
	l = s->hot.flags & EG_LIMITED ? eg_limit_now(&s->judged) : NULL;
	if (!l) {
		eg_pace_at(ctx, s, ~0ULL);
		return;
	}
	b = eg_bucket_of(s, l, eg_limit_flow(&s->key, cookie));
	if (!b)
		return;
	share = eg_share_now(&b->way[1], l->rate);
	eg_pace_at(ctx, s, share - share / 16);
}

SEC("sockops")
int eg_pace(struct bpf_sock_ops *ctx)
{
	__u32 flags = ctx->bpf_sock_ops_cb_flags;

	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		/* a later policy may limit what this one does not */
		if (eg_epoch())
			bpf_sock_ops_cb_flags_set(ctx, flags | BPF_SOCK_OPS_RTT_CB_FLAG);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_RTT_CB:
		eg_pace_sock(ctx);
		break;
	}
	return 1;
}
