/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where policy is asked: each call that names a peer, and each packet on its way out that its flow's first cache line does
 * not let pass at once. Facts come one after another, the verdict with them:
 *
 *     connect(): who, address, port, DNS names -> packets without payload: no question asked again
 *     -> first payload: protocol, visible name -> final: passes by one byte, or is refused for good
 *
 * The kernel allows eight functions deep and 512 bytes of stack for all of them, and the evaluator needs most of both: so
 * a hook prepares, then asks, then finishes, each in a function of its own, and what must last is in the room.
 */
#pragma once

#include "dgram.h"
#include "judge.h"

#define EG_EHOSTUNREACH 113
#define EG_ECONNREFUSED 111

/* A new owner, or one for the first time. In process context only. */
static __always_inline void eg_own(struct eg_sock *s)
{
	eg_sock_own(s);
	eg_who_now(&s->who);
}

/* Something changed that the flow's verdict hung on. */
static __always_inline void eg_ask_again(struct eg_sock *s)
{
	s->hot.passes = 0;
	s->judged.gen = 0;
}

static __always_inline void eg_case_of(struct eg_case *c, const struct eg_sock *s, __u64 cookie,
				       __u32 epoch)
{
	__builtin_memset(c, 0, sizeof(*c));
	c->zone = s->zone;
	c->cookie = cookie;
	c->who = s->who;
	eg_sock_owner(s, &c->owner);
	c->flags = s->hot.flags;
	c->ifindex = s->ifindex;
	c->raw = (s->hot.flags & EG_RAW) != 0;
	c->epoch = epoch;
}

/* The flow that the socket itself carries. */
static __always_inline void eg_case_flow(struct eg_case *c, const struct eg_sock *s)
{
	c->born_ns = s->born_ns;
	c->visible_name = s->visible_name;
	c->judged = s->judged;
}

static __always_inline void eg_case_packet(struct eg_case *c, const struct __sk_buff *skb,
					   const struct eg_packet *p)
{
	eg_packet_key(p, &c->key, 1);
	c->has_ports = !p->no_ports;
	c->at = EG_AT_PACKET;
	c->bytes = skb->len;
	c->ifindex = skb->ifindex;
	if (!c->born_ns)
		c->born_ns = bpf_ktime_get_ns();
}

/* Protocols whose first payload is looked into, as long as the kernel made the headers. */
static __always_inline int eg_has_payload(const struct eg_case *c)
{
	return !c->raw && (c->key.proto == EG_PROTO_TCP || c->key.proto == EG_PROTO_UDP ||
			   c->key.proto == EG_PROTO_UDPLITE);
}

/* Nothing will be seen: bytes that passed before there was a policy, other protocols, headers that a program made. */
static __always_inline void eg_case_blind(struct eg_case *c)
{
	c->judged.visible = c->raw && (c->key.proto == EG_PROTO_TCP || c->key.proto == EG_PROTO_UDP)
				    ? EG_VISIBLE_UNREADABLE
				    : EG_VISIBLE_NONE;
	c->judged.app = EG_APP_UNKNOWN;
	c->judged.flags |= EG_JUDGED_PAYLOAD;
}

#define EG_LOOK_NO 0
#define EG_LOOK 1
#define EG_LOOK_AGAIN 2  /* decided, and this packet may say otherwise */
#define EG_LOOK_AFRESH 3 /* likewise, and what was remembered is over */
#define EG_LOOK_LATE 4   /* the first payload is gone */

static __always_inline void eg_look_at(struct __sk_buff *skb, struct eg_room *r, int look)
{
	struct eg_case *c = &r->c;

	if (look == EG_LOOK_LATE) {
		eg_case_blind(c);
		return;
	}
	if (look == EG_LOOK_AFRESH)
		c->judged.flags &= ~(EG_JUDGED_BEGUN | EG_JUDGED_PAYLOAD);
	r->seen.begun = (c->judged.flags & EG_JUDGED_BEGUN) != 0;
	eg_first_payload(skb, &r->packet, c->cookie, &r->seen);
	if (r->seen.same)
		return; /* the flow stays what it was */
	c->seen_now = 1;
	c->judged.visible = r->seen.visible;
	c->judged.app = r->seen.app;
	c->judged.flags |= EG_JUDGED_BEGUN;
	c->visible_name = 0;
	if (r->seen.visible == EG_VISIBLE_NAME)
		c->visible_name = eg_name_see(&r->seen);
	if (r->seen.visible != EG_VISIBLE_UNKNOWN && r->seen.app != EG_APP_UNDECIDED)
		c->judged.flags |= EG_JUDGED_PAYLOAD;
}

/*
 * The packet is r->c's. What is refused already is counted; else verdicts without the payload come first: most rules do
 * not hang on it.
 */
__noinline int eg_judge_packet(struct __sk_buff *skb, struct eg_room *r)
{
	int verdict = EG_PASS, look;
	struct eg_case *c;

	if (!r)
		return EG_REFUSE;
	c = &r->c;
	look = r->look;
	if (eg_judged_now(&c->judged, c->epoch)) {
		if (look < EG_LOOK_AGAIN && (c->judged.flags & EG_JUDGED_REFUSES))
			return eg_refuse(r);
	} else if (look < EG_LOOK_AGAIN) {
		if (!eg_has_payload(c))
			eg_case_blind(c);
		c->stage = c->judged.flags & EG_JUDGED_PAYLOAD ? EG_STAGE_BYTES : EG_STAGE_BARE;
		verdict = eg_ask(r);
		if (c->judged.flags & (EG_JUDGED_FINAL | EG_JUDGED_PAYLOAD))
			return verdict;
	}
	if (!look)
		return verdict;
	eg_look_at(skb, r, look);
	c->stage = EG_STAGE_BYTES;
	return eg_ask(r);
}

static __always_inline int eg_look_tcp(struct __sk_buff *skb, const struct eg_sock *s,
				       const struct eg_packet *p)
{
	__u8 b[8];

	if (!p->payload_len)
		return EG_LOOK_NO;
	if (s->judged.flags & EG_JUDGED_PAYLOAD)
		return s->judged.app == EG_APP_HTTP && p->payload_len >= 16 &&
				       !bpf_skb_load_bytes(skb, p->payload_at, b, 8) &&
				       eg_http_begins(b)
			       ? EG_LOOK_AFRESH
			       : EG_LOOK_NO;
	if ((s->judged.flags & EG_JUDGED_BEGUN) || (p->tcp_flags & EG_SYN) ||
	    ((s->hot.flags & EG_TX_ISN) && p->seq == s->tx.isn + 1))
		return EG_LOOK;
	return EG_LOOK_LATE;
}

static __always_inline int eg_look_dgram(struct __sk_buff *skb, const struct eg_judged *j,
					 const struct eg_packet *p)
{
	__u8 first;

	if (!p->payload_len)
		return EG_LOOK_NO;
	if (!(j->flags & EG_JUDGED_PAYLOAD))
		return EG_LOOK;
	/* a socket may carry more than one connection of QUIC to the same peer */
	if (p->proto != EG_PROTO_UDP || bpf_skb_load_bytes(skb, p->payload_at, &first, 1) ||
	    !(eg_first_again(first) || skb->gso_segs > 1))
		return EG_LOOK_NO;
	return EG_LOOK_AGAIN;
}

/* May it leave without a look at the policy: 1, 0; -1: it must be judged. */
static __always_inline int eg_known(const struct eg_judged *j, __u32 epoch, int look)
{
	if (!eg_judged_now(j, epoch) || look >= EG_LOOK_AGAIN)
		return -1;
	if (j->flags & EG_JUDGED_FINAL)
		return j->flags & EG_JUDGED_REFUSES ? -1 : 1;
	return look ? -1 : 1;
}

/* For good, with the priority that the verdict gave; 0: not yet. */
static __always_inline void eg_pass_on(struct eg_sock *s, __u32 epoch)
{
	__u32 want = eg_priority_of_flow(s->judged.flags);

	s->hot.passes = epoch;
	if ((s->hot.flags & (EG_HIGH | EG_LOW)) == want)
		return;
	__sync_fetch_and_and(&s->hot.flags, ~(EG_HIGH | EG_LOW));
	__sync_fetch_and_or(&s->hot.flags, want);
}

#define EG_ASK 3  /* the verdict is not known: r->c is to be judged */
#define EG_DONE 4 /* neither counted nor judged */
#define EG_LOST 5 /* likewise, and nothing is known of it */

/* A packet of the flow in the socket. */
static __always_inline int eg_flow_ask(struct __sk_buff *skb, struct eg_sock *s, struct eg_room *r,
				       __u64 cookie, __u32 epoch, int look)
{
	if (eg_known(&s->judged, epoch, look) > 0) {
		if (s->judged.flags & EG_JUDGED_FINAL)
			eg_pass_on(s, epoch);
		r->priority = s->judged.flags;
		return EG_PASS;
	}
	/* trees that its process was put into since, because a new policy names them */
	if (s->hot.pid && (s->judged.gen || (s->hot.flags & EG_MIDSTREAM)))
		s->who.trees |= eg_who_trees(s->hot.pid, s->owner_start_ns);
	eg_case_of(&r->c, s, cookie, epoch);
	eg_case_flow(&r->c, s);
	eg_case_packet(&r->c, skb, &r->packet);
	r->look = look;
	return EG_ASK;
}

/* A packet of a peer that the socket carries beside its own flow; NULL: of none yet. */
static __always_inline int eg_peer_ask(struct __sk_buff *skb, struct eg_sock *s,
				       struct eg_peer *peer, struct eg_room *r, __u64 cookie,
				       __u32 epoch)
{
	int known = peer &&
		    peer->owner.pid == s->hot.pid; /* another process that sends is another case */
	int look = r->packet.payload_len ? EG_LOOK : EG_LOOK_NO;

	if (known) {
		look = eg_look_dgram(skb, &peer->judged, &r->packet);
		if (eg_known(&peer->judged, epoch, look) > 0) {
			r->priority = peer->judged.flags;
			return EG_PASS;
		}
	}
	eg_case_of(&r->c, s, cookie, epoch);
	r->c.flags &= ~EG_INBOUND;
	if (known) {
		r->c.born_ns = peer->born_ns;
		r->c.visible_name = peer->visible_name;
		r->c.judged = peer->judged;
	}
	eg_case_packet(&r->c, skb, &r->packet);
	r->look = look;
	r->other = 1;
	return EG_ASK;
}

/* What the kernel itself must say for the network to work: neighbours, groups, errors, answers to echo requests. */
static __always_inline int eg_link_control(const struct eg_sock *s, const struct eg_packet *p)
{
	if (s->hot.pid || !(s->hot.flags & EG_OWNED))
		return 0;
	switch (p->proto) {
	case 2: /* IGMP */
		return 1;
	case EG_PROTO_ICMP:
		return p->sport != 8;
	case EG_PROTO_ICMPV6:
		return p->sport != 128;
	}
	return 0;
}

/* A packet on its way out of a socket that is not TCP. */
static __always_inline int eg_dgram_ask(struct __sk_buff *skb, struct eg_sock *s, struct eg_room *r,
					__u64 cookie)
{
	__u32 epoch = eg_epoch();
	struct eg_packet *p = &r->packet;
	int keyed = (s->hot.flags & EG_KEYED) != 0, same = eg_packet_is(p, &s->key, 1);
	struct eg_peer *peer;

	if (!epoch) {
		s->hot.passes = 0;
		return EG_PASS;
	}
	if (eg_link_control(s, p))
		return EG_PASS;
	if (keyed ? !same : (s->hot.flags & EG_HAS_PEERS) != 0) {
		r->peer.cookie = cookie;
		eg_packet_key(p, &r->peer.key, 1);
		peer = bpf_map_lookup_elem(&eg_peers, &r->peer);
		if (peer && (peer->flags & EG_INBOUND))
			return EG_PASS;
		if (peer || keyed)
			return eg_peer_ask(skb, s, peer, r, cookie, epoch);
	}
	if (keyed && (s->hot.flags & EG_INBOUND)) {
		s->hot.passes = epoch;
		return EG_PASS;
	}
	if (!eg_began(s, p, 1))
		return EG_PASS; /* the kernel answers somebody */
	if (!keyed && !same) {
		s->judged = (struct eg_judged){}; /* said of somebody else */
		s->born_ns = s->visible_name = 0;
	}
	return eg_flow_ask(skb, s, r, cookie, epoch, eg_look_dgram(skb, &s->judged, p));
}

/* A packet on its way out of a connection. */
static __always_inline int eg_tcp_ask(struct __sk_buff *skb, struct eg_sock *s, struct eg_room *r,
				      __u64 cookie)
{
	__u32 epoch = eg_epoch();
	struct eg_packet *p = &r->packet;

	if (!epoch) {
		s->hot.passes = 0;
		return EG_PASS;
	}
	if ((s->hot.flags & EG_MIDSTREAM) && !s->judged.gen && eg_tcp_adopt(skb, s))
		__sync_fetch_and_or(&s->hot.flags, EG_INBOUND);
	if (s->hot.flags & EG_INBOUND) {
		s->hot.passes = epoch;
		return EG_PASS;
	}
	/* the end of a connection that is refused may be told to the peer */
	if ((p->tcp_flags & EG_RST) && !p->payload_len)
		return EG_PASS;
	return eg_flow_ask(skb, s, r, cookie, epoch, eg_look_tcp(skb, s, p));
}

/* The flow in the socket has a rate, or has none any more. */
static __always_inline void eg_flow_limited(struct eg_sock *s, const struct eg_judged *j)
{
	if (j->limit)
		__sync_fetch_and_or(&s->hot.flags, EG_LIMITED);
	else if (s->hot.flags & EG_LIMITED)
		__sync_fetch_and_and(&s->hot.flags, ~EG_LIMITED);
}

/* The verdict goes to the flow in the socket. */
static __always_inline void eg_flow_judged(struct eg_sock *s, struct eg_room *r, int verdict)
{
	struct eg_judged *j = &s->judged;
	__u8 proto = r->packet.proto;

	s->born_ns = r->c.born_ns;
	s->visible_name = r->c.visible_name;
	r->c.judged.tail = j->tail;
	eg_keep_judged(j, &r->c.judged);
	eg_flow_limited(s, j);
	if (verdict != EG_PASS || !(j->flags & EG_JUDGED_FINAL)) {
		s->hot.passes = 0;
		return;
	}
	eg_pass_on(s, r->c.epoch);
	if (j->app == EG_APP_HTTP && (j->flags & EG_JUDGED_PAYLOAD))
		__sync_fetch_and_or(&s->hot.flags, EG_HTTP);
	else if (proto == EG_PROTO_UDP && (j->flags & EG_JUDGED_PAYLOAD))
		__sync_fetch_and_or(&s->hot.flags, EG_AGAIN);
	else if (proto == EG_PROTO_TCP)
		eg_first_forget(r->c.cookie);
}

/* To one more peer; what is refused gets no entry. */
static __always_inline void eg_peer_judged(struct eg_sock *s, struct eg_room *r, int verdict)
{
	struct eg_peer *peer = bpf_map_lookup_elem(&eg_peers, &r->peer);

	if (!peer && verdict == EG_PASS) {
		__sync_fetch_and_or(&s->hot.flags, EG_HAS_PEERS);
		peer = eg_peer_new(s, &r->peer, r->c.ifindex, 1);
	}
	if (!peer)
		return;
	peer->born_ns = r->c.born_ns;
	peer->visible_name = r->c.visible_name;
	eg_keep_judged(&peer->judged, &r->c.judged);
	if (peer->owner.pid != s->hot.pid)
		eg_sock_owner(s, &peer->owner);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

/* What a call names as its peer: 0 when it is refused. *passes: nothing more is asked. */
static __always_inline int eg_call_leaves(struct bpf_sock_addr *ctx, struct eg_sock *s,
					  const __u8 *remote, __u16 rport, __u64 cookie, int at)
{
	__u32 epoch = eg_epoch();
	struct bpf_sock *sk = ctx->sk;
	struct eg_room *r;
	int verdict;

	/*
	 * Of others only the packet shows what they say. connect() of a UDP socket says nothing to anybody, and
	 * getaddrinfo() does it to sort addresses: the first datagram asks.
	 */
	if (!epoch || !sk || sk->type == 3 ||
	    ctx->protocol != (at == EG_AT_CONNECT ? EG_PROTO_TCP : EG_PROTO_UDP))
		return 1;
	r = eg_room_take();
	if (!r)
		return eg_unjudged();
	eg_case_of(&r->c, s, cookie, epoch);
	eg_sk_key(sk, &r->c.key, ctx->protocol);
	__builtin_memcpy(r->c.key.remote, remote, 16);
	r->c.key.rport = rport;
	r->c.has_ports = 1;
	r->c.born_ns = bpf_ktime_get_ns();
	r->c.at = at;
	r->c.stage = EG_STAGE_CALL;
	r->c.flags &= EG_OWNED;
	verdict = eg_ask(r);
	if (verdict != EG_PASS) {
		if (r->c.judged.action == EG_REJECT)
			bpf_set_retval(ctx->protocol == EG_PROTO_TCP ? -EG_ECONNREFUSED
								     : -EG_EHOSTUNREACH);
		eg_room_give(r);
		return 0;
	}
	if (!(s->hot.flags & EG_KEYED)) {
		/* the first packet asks whether this was said of it */
		__builtin_memcpy(s->key.remote, remote, 16);
		s->key.rport = rport;
		s->key.proto = ctx->protocol;
		s->born_ns = r->c.born_ns;
		s->visible_name = 0;
		eg_keep_judged(&s->judged, &r->c.judged);
		eg_flow_limited(s, &s->judged);
		eg_pass_on(s, r->c.judged.flags & EG_JUDGED_FINAL ? epoch : 0);
	}
	eg_room_give(r);
	return 1;
}
