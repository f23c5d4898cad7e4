/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is told of refusals, and the hits of rules. A refusal is a record of its own while there are few; a flood is
 * summed up by rule and program, and the next sweep tells the sums: a record may be left out, a count never.
 */
#pragma once

#define EG_REFUSED_MAX 4096

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_REFUSED_MAX);
	__type(key, struct eg_refused_key);
	__type(value, struct eg_refused);
} eg_refused SEC(".maps");

/* Where the map above has no room. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct eg_refused);
} eg_refused_rest SEC(".maps");

static const struct eg_refused eg_no_refused; /* too large for the stack */

/*
 * Hits are written, so the map is taken once and for all here: a page of another image must not be touched. NULL too when
 * the policy was swapped just now: counters of the old one go with it.
 */
static __always_inline struct eg_hit *eg_hit_now(const struct eg_judged *j)
{
	__u32 zero = 0, at, rule = j->rule;
	void *image = bpf_map_lookup_elem(&eg_policy, &zero);
	const struct eg_image *head = image ? bpf_map_lookup_elem(image, &zero) : NULL;
	struct eg_hit *page;

	if (!head || head->gen != j->gen)
		return NULL;
	if (rule > head->n_rules + 1)
		rule = head->n_rules + 1;
	at = head->bytes / EG_IMAGE_PAGE + rule / (EG_IMAGE_PAGE / sizeof(*page));
	page = bpf_map_lookup_elem(image, &at);
	if (!page)
		return NULL;
	barrier_var(
		page); /* no arithmetic before the question: the verifier knows no "or else not" */
	return page + (rule & (EG_IMAGE_PAGE / sizeof(*page) - 1));
}

static __noinline void eg_hit(const struct eg_judged *j)
{
	struct eg_hit *h = j ? eg_hit_now(j) : NULL;

	if (!h)
		return;
	__sync_fetch_and_add(&h->verdicts, 1);
	h->last_ns = bpf_ktime_get_boot_ns() + policy_unix_ns;
}

static __always_inline void eg_refusal_fill(struct eg_open *o, const struct eg_case *c)
{
	if (!o || !c)
		return;
	o->rec.flags = c->flags;
	o->rec.time_ns = bpf_ktime_get_ns();
	o->key = c->key;
	o->zone = c->zone;
	o->cookie = c->cookie;
	o->owner = c->owner;
	o->ifindex = c->ifindex;
	o->pad = 0;
	o->comm[0] = 0;
	if ((c->flags & EG_OWNED) && c->owner.pid &&
	    c->owner.pid == bpf_get_current_pid_tgid() >> 32)
		bpf_get_current_comm(o->comm, sizeof(o->comm));
	eg_names_of(o->key.remote, o->rec.time_ns, o->names);
	o->visible_name = c->visible_name;
	o->judged = c->judged;
}

/* The sum that this refusal belongs to. */
static __noinline struct eg_refused *eg_refused_of(const struct eg_case *c)
{
	struct eg_refused_key k;
	struct eg_refused *sum;
	__u32 zero = 0;

	if (!c)
		return NULL;
	k.gen = c->judged.gen;
	k.rule = c->judged.rule;
	k.exe = c->who.exe;
	sum = bpf_map_lookup_elem(&eg_refused, &k);
	if (sum)
		return sum;
	bpf_map_update_elem(&eg_refused, &k, &eg_no_refused, BPF_NOEXIST);
	sum = bpf_map_lookup_elem(&eg_refused, &k);
	if (!sum)
		sum = bpf_map_lookup_elem(&eg_refused_rest, &zero);
	if (sum && !sum->open.judged.gen) {
		eg_refusal_fill(&sum->open, c);
		sum->at = c->at;
	}
	return sum;
}

/* One more record of this kind in this second, and the ring is not in want of room for flows? */
static __always_inline int eg_refusal_fits(struct eg_refused *sum)
{
	__u64 second = bpf_ktime_get_ns() >> 30;

	if (sum->second != second) {
		sum->second = second;
		sum->told = 0;
	}
	if (__sync_fetch_and_add(&sum->told, 1) >= EG_REFUSED_RECORDS)
		return 0;
	return bpf_ringbuf_query(&eg_ring, BPF_RB_AVAIL_DATA) < 2ULL * ring_wake_bytes;
}

/* A flow's packets after the first that was refused are told of in sums. */
static __always_inline int eg_refusal_send(struct eg_case *c)
{
	struct eg_refusal *rec;

	if (!c)
		return 0;
	rec = bpf_ringbuf_reserve(&eg_ring, sizeof(*rec), 0);
	if (!rec)
		return 0;
	c->judged.flags |= EG_JUDGED_TOLD;
	eg_refusal_fill(&rec->open, c);
	rec->open.rec.type = EG_REC_REFUSAL;
	rec->calls = c->at < EG_AT_PACKET;
	rec->packets = c->at >= EG_AT_PACKET;
	rec->bytes = rec->packets ? c->bytes : 0;
	rec->at = c->at;
	bpf_ringbuf_submit(rec, eg_wake());
	return 1;
}

/* r->c was refused by the rule in r->c.judged. */
__noinline int eg_refuse(struct eg_room *r)
{
	struct eg_refused *sum;
	struct eg_case *c;
	struct eg_hit *h;
	int call;

	if (!r)
		return 0;
	c = &r->c;
	call = c->at < EG_AT_PACKET;
	h = eg_hit_now(&c->judged);
	sum = eg_refused_of(c);
	if (h) {
		__sync_fetch_and_add(&h->refused_calls, call);
		__sync_fetch_and_add(&h->refused_packets, !call);
		__sync_fetch_and_add(&h->refused_bytes, call ? 0 : c->bytes);
		h->last_ns = bpf_ktime_get_boot_ns() + policy_unix_ns;
	}
	if (!sum)
		return 0;
	if (!(c->judged.flags & EG_JUDGED_TOLD) && eg_refusal_fits(sum) && eg_refusal_send(c))
		return 0;
	__sync_fetch_and_add(&sum->calls, call);
	__sync_fetch_and_add(&sum->packets, !call);
	__sync_fetch_and_add(&sum->bytes, call ? 0 : c->bytes);
	return 0;
}
