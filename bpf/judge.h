/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a call or a packet to a verdict: facts are gathered in a room, the image in force is taken once, the evaluator
 * decides, and what it said goes back to the socket. Passing for good is one byte in the flow's first cache line.
 *
 * A room is claimed by a swap and given back at the end: a task that sends may be interrupted by a softirq, which sends
 * too, or be preempted by another task, so a buffer per CPU would not do. Nobody waits: without a room what asks is
 * refused while there is a policy that can refuse.
 */
#pragma once

#include "flow.h"
#include "first.h"
#include "policy.h"
#include "priority.h"
#include "who.h"

#define EG_ROOMS 256
#define EG_ROOM_TRIES 32

/* What is judged: a flow as it is known so far, and this packet or call. */
struct eg_case {
	struct eg_key key;
	__u64 zone, cookie;
	__u64 born_ns, visible_name;
	struct eg_who who;
	struct eg_owner owner;
	struct eg_judged judged; /* the verdict so far, then the new one */
	__u64 bytes;
	__u32 flags; /* EG_* of the flow */
	__u32 ifindex, epoch;
	__u8 at;        /* EG_AT_* */
	__u8 stage;     /* EG_STAGE_* */
	__u8 has_ports; /* no: a later fragment */
	__u8 raw;       /* the program wrote the headers itself */
	__u8 seen_now;  /* `seen` is of this packet */
	__u8 guess;     /* what is not known yet is taken for nothing to see */
	__u8 spoofed;   /* the source is not who sends */
	__u8 pad;
};

#define EG_STAGE_CALL 0  /* no packet yet, and perhaps no local address */
#define EG_STAGE_BARE 1  /* a packet of the handshake, or without payload */
#define EG_STAGE_BYTES 2 /* with payload: what is not decided now leaves undecided */

struct eg_room {
	__u32 taken;
	__u32 certain_rule;
	__u8 look;     /* EG_LOOK_* */
	__u8 asked;    /* r->c was judged, and goes back to where it is kept */
	__u8 other;    /* to `peer`, not to the socket itself */
	__u8 began;    /* the socket's first packet of this flow */
	__u8 priority; /* EG_JUDGED_HIGH, EG_JUDGED_LOW: of the packet */
	__u8 unused;
	__u16 limit;             /* of the row that was found */
	struct eg_peer_key peer; /* it and the packet: too large for the stack */
	struct eg_packet packet;
	struct eg_case c;
	struct eg_facts facts;
	struct eg_verdict verdict;
	struct eg_seen seen;
	struct eg_fold fold;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EG_ROOMS);
	__type(key, __u32);
	__type(value, struct eg_room);
} eg_rooms SEC(".maps");

#include "refuse.h"

static __noinline struct eg_room *eg_room_take(void)
{
	__u32 from = bpf_get_smp_processor_id() * 8, i, at;
	struct eg_room *r;

	for (i = 0; i < EG_ROOM_TRIES; i++) {
		at = (from + i) & (EG_ROOMS - 1);
		r = bpf_map_lookup_elem(&eg_rooms, &at);
		if (r && !r->taken && !__sync_val_compare_and_swap(&r->taken, 0, 1))
			return r;
	}
	eg_lose_one(EG_LOSS_MAP_JUDGE);
	return NULL;
}

static __always_inline void eg_room_give(struct eg_room *r)
{
	__sync_lock_test_and_set(&r->taken, 0);
}

/* What is decided where nothing can be looked at. */
static __always_inline int eg_unjudged(void)
{
	return !policy_refuses;
}

/* The verdict is of the policy in force, and nothing that it hangs on changed. */
static __always_inline int eg_judged_now(const struct eg_judged *j, __u32 epoch)
{
	return j->epoch == (__u8)epoch && j->gen == policy_gen;
}

static __always_inline void eg_keep_judged(struct eg_judged *to, const struct eg_judged *j)
{
	__u64 *half = (__u64 *)to;
	const __u64 *from = (const __u64 *)j;

	/* who reads meanwhile sees no flag of the one with the rule of the other */
	*(volatile __u64 *)(half + 1) = 0;
	*(volatile __u64 *)half = from[0];
	*(volatile __u64 *)(half + 1) = from[1];
}

/* --- facts ------------------------------------------------------------------------------------------------------ */
static __always_inline int eg_is_zero(const __u8 a[16])
{
	const __u64 *w = (const __u64 *)a;

	return !w[0] && (!w[1] || w[1] == bpf_cpu_to_be64(0xffff00000000ULL));
}

static __always_inline void eg_judge_facts(EG_IMAGE image, const struct eg_image *head,
					   struct eg_room *r)
{
	struct eg_facts *f = &r->facts;
	struct eg_case *c = &r->c;

	eg_who_classes(image, &c->who, c->owner.cgroup_id, c->owner.uid, f);
	if (c->flags & EG_FORWARDED)
		f->container = EG_CLASS_NONE; /* of a machine, not of a cgroup of this host */
	f->unix_s = (bpf_ktime_get_boot_ns() + policy_unix_ns) / 1000000000ULL;
	f->addr = eg_fact_addr(image, c->key.remote);
	f->from = eg_is_zero(c->key.local) ? EG_CLASS_ANY : eg_fact_addr(image, c->key.local);
	f->port = eg_fact_port(image, c->key.proto, c->key.rport, c->has_ports);
	f->port_53 = c->has_ports && c->key.rport == 53 &&
		     (c->key.proto == EG_PROTO_UDP || c->key.proto == EG_PROTO_TCP);
	f->visible = c->judged.visible;
	f->app = c->judged.app;
	if (c->guess && f->visible == EG_VISIBLE_UNKNOWN)
		f->visible = EG_VISIBLE_NONE;
	if (c->guess && f->app == EG_APP_UNDECIDED)
		f->app = EG_APP_UNKNOWN;
	f->app = eg_app_on_port(f->app, c->key.rport);
	f->visible_name = EG_CLASS_NONE;
	if (f->visible == EG_VISIBLE_NAME) {
		if (c->seen_now) {
			f->visible_name = eg_fact_name(image, r->seen.hash, r->seen.n_hash);
		} else {
			f->visible_name = eg_name_class(image, head->gen, c->visible_name);
			if (f->visible_name == 0xffff) {
				/* it is forgotten: whatever it was */
				f->visible = EG_VISIBLE_UNKNOWN;
				f->visible_name = EG_CLASS_NONE;
			}
		}
	}
	eg_names_classes(image, head->gen, c->key.remote, c->born_ns, f);
}

/*
 * Somebody who writes headers himself pretends to be somebody else: a machine behind another interface, the trusted
 * resolver that answers, or the peer who began, on its way to an address of this host.
 */
static __always_inline int eg_is_forged(EG_IMAGE image, const struct eg_image *head,
					const struct eg_case *c, const struct eg_facts *f)
{
	__u8 flags = eg_read___u8(image, head->addr_flags + f->from);

	if (c->spoofed)
		return 1;
	if (!c->raw || (c->key.proto != EG_PROTO_UDP && c->key.proto != EG_PROTO_TCP))
		return 0;
	if (c->key.proto == EG_PROTO_UDP && c->key.lport == 53 &&
	    (flags & (EG_IS_RESOLVER | EG_IS_LOOPBACK)))
		return 1;
	return c->ifindex == 1 && !(flags & EG_IS_LOOPBACK) &&
	       !eg_addr_eq(c->key.local, c->key.remote);
}

/* --- the verdict ------------------------------------------------------------------------------------------------ */
static __always_inline int eg_lets_pass(__u8 action)
{
	return action == EG_ALLOW || action == EG_AUDIT;
}

#define EG_SWAPPED 2    /* another policy came while this one was asked */
#define EG_GEN_NONE ~0U /* said of no image */

/* The generation says that all that was read was of one image: it never comes back. */
__noinline int eg_judge_once(struct eg_room *r)
{
	const struct eg_image *head;
	EG_IMAGE image = eg_policy_now();
	__u32 gen;

	if (!r)
		return 0;
	r->verdict.gen = 0;
	head = image ? eg_image_head(image) : NULL;
	if (!head)
		return 0;
	gen = head->gen;
	eg_judge_facts(image, head, r);
	r->certain_rule = head->n_rules;
	if (eg_evaluate(image, &r->facts, &r->fold, &r->verdict))
		return EG_SWAPPED; /* a page was not there: the image that it was of is gone */
	r->limit = 0;
	if (r->verdict.flags & EG_ROW_LIMIT)
		r->limit = eg_read___u16(image, head->limit_of + 2ULL * r->verdict.rule);
	if (eg_is_forged(image, head, &r->c, &r->facts)) {
		r->verdict.final = 1;
		r->verdict.rule = head->n_rules;
		r->verdict.action = EG_DENY;
	} else {
		r->certain_rule =
			eg_read___u32(image, head->row_info + 4ULL * r->verdict.certain_row) &
			0xffff;
	}
	head = eg_image_head(image);
	return head && head->gen == gen && r->verdict.gen == gen ? 1 : EG_SWAPPED;
}

/*
 * Evaluates r->c into r->verdict: the one place where the image is read for a verdict, and so the only that must see one
 * image throughout. 0: there is no policy, or no image.
 */
static __noinline int eg_judge(struct eg_room *r)
{
	int i, ret = EG_SWAPPED;

	for (i = 0; i < 8 && ret == EG_SWAPPED; i++)
		ret = eg_judge_once(r);
	if (ret == EG_SWAPPED) { /* eight swaps in some microseconds: the next packet asks again */
		r->verdict.gen = EG_GEN_NONE;
		r->verdict.enforce = policy_refuses != 0;
		r->verdict.final = 0;
		r->verdict.could_pass = 0;
		r->verdict.could_drop = 1;
		r->verdict.action = r->verdict.certain_action = EG_DENY;
	}
	return ret;
}

static __always_inline void eg_judge_note(struct eg_judged *j, const struct eg_verdict *v,
					  __u32 epoch)
{
	j->gen = v->gen;
	j->rule = v->rule;
	j->row = v->row;
	j->action = v->action;
	if (v->final)
		j->app = v->app;
	j->epoch = epoch;
	j->limit = 0;
	j->flags &= EG_JUDGED_PAYLOAD | EG_JUDGED_BEGUN;
	if (v->final)
		j->flags |= EG_JUDGED_FINAL;
	if (v->final && v->enforce)
		j->flags |= eg_priority_of_row(v->flags);
}

#define EG_PASS 1
#define EG_REFUSE 0
#define EG_HOLD 2 /* dropped, and not decided */

/* Bytes want to leave, and there is no final verdict. */
static __always_inline int eg_undecided(struct eg_room *r)
{
	struct eg_judged *j = &r->c.judged;

	if (!r->verdict.could_drop)
		return EG_PASS;
	if (r->c.guess || r->facts.container == EG_CONTAINER_UNKNOWN)
		return EG_HOLD;
	/* nothing more will be known (a visible name that was forgotten): that it could be refused is reason enough */
	j->rule = r->certain_rule;
	j->action = EG_DENY;
	j->flags |= EG_JUDGED_FINAL;
	return EG_REFUSE;
}

/* What the evaluator said, and what it means at this stage. */
__noinline int eg_conclude(struct eg_room *r)
{
	struct eg_judged was, *j;
	struct eg_verdict *v;
	int ret;

	if (!r)
		return EG_REFUSE;
	j = &r->c.judged;
	v = &r->verdict;
	was = *j;
	if (!v->gen) {
		j->gen = 0;
		j->epoch = 0;
		return EG_PASS;
	}
	if (r->c.guess)
		v->final = 0;
	eg_judge_note(j, v, r->c.epoch);
	ret = eg_lets_pass(v->action) ? EG_PASS : EG_REFUSE;
	if (!v->final && r->c.stage == EG_STAGE_BYTES) {
		ret = eg_undecided(r);
	} else if (!v->final) {
		ret = v->could_pass ? EG_PASS : EG_REFUSE;
		if (ret != EG_PASS) {
			/* whatever is still to come */
			j->flags |= EG_JUDGED_FINAL;
			j->rule = r->certain_rule;
			j->row = v->certain_row;
			j->action = v->certain_action;
		}
	}
	if (ret == EG_HOLD)
		return v->enforce ? EG_HOLD : EG_PASS;
	if (ret == EG_REFUSE)
		j->flags |= v->enforce ? EG_JUDGED_REFUSES : EG_JUDGED_WOULD;
	else if (v->final && v->action == EG_AUDIT)
		j->flags |= EG_JUDGED_WOULD;
	if (ret == EG_PASS && v->final && v->enforce)
		j->limit = r->limit;
	if ((j->flags & EG_JUDGED_FINAL) &&
	    (was.gen != j->gen || was.rule != j->rule || !(was.flags & EG_JUDGED_FINAL)))
		eg_hit(j);
	if (!(j->flags & EG_JUDGED_REFUSES))
		return EG_PASS;
	eg_refuse(r);
	return EG_REFUSE;
}

/*
 * A verdict on r->c. Bytes that want to leave before their flow is decided: what the rest of a hello may still say does
 * not matter when the flow would pass with no visible name as well; else the packet is dropped, and comes again when the
 * rest was seen.
 * What is refused whatever is still to come is refused by the rule that decides when no more is seen.
 */
static __always_inline int eg_ask(struct eg_room *r)
{
	struct eg_case *c = &r->c;

	c->guess = 0;
	if (eg_judge(r) && !r->verdict.final &&
	    (c->stage == EG_STAGE_BYTES ? !(c->judged.flags & EG_JUDGED_PAYLOAD)
					: !r->verdict.could_pass)) {
		c->guess = 1;
		eg_judge(r);
	}
	return eg_conclude(r);
}
