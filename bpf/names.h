/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names of addresses: what learn.h finds in DNS answers and user space tells goes in; records and policy take it out.
 *
 *     address -> up to 8 x (name, until, trusted)       name -> text, and its class in the policy in force
 *
 * Addresses are the same in every network namespace here: a name says why an address is called so, not who may reach
 * it. Only trusted names are facts to policy. A name belongs to a flow when it was in force at some time since the flow
 * was born. Places in an entry are taken one by one with atomic swaps: answers that come in on two CPUs at a time for
 * one address lose nothing.
 */
#pragma once

#include "policy.h"

#include "dns.h"

#define EG_NAMES_JUDGE
#define EG_NAME_FORGOTTEN 0xffff
#define EG_NS 1000000000ULL
#define EG_TTL_MAX_S (7 * 86400)

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct eg_addr);
	__type(value, struct eg_addr_names);
} eg_addr_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct eg_name);
} eg_names SEC(".maps");

/* Names that programs show in hellos: apart, because a program can make up as many as it likes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct eg_name);
} eg_names_seen SEC(".maps");

static const struct eg_name eg_no_name; /* too large for the stack */

/* Where hashes begin: 0, but the verifier must not know, or it would follow a loop number by number. */
__u64 eg_hash_start = 0;

/* --- the class of a name --------------------------------------------------------------------------------------- */
struct eg_label_walk {
	EG_IMAGE image;
	const struct eg_name *name;
	__u64 hash;
	__u32 class;
};

/* One byte, from the end: at each dot the parent's hash is complete. The longest name that the table holds counts. */
static int eg_label_step(__u32 i, struct eg_label_walk *w)
{
	const struct eg_image *head = eg_image_head(w->image);
	const struct eg_name *name = w->name;
	__u32 class, len = name->len;
	__u64 hash = w->hash;
	__u8 c;

	if (!head || i >= len)
		return 1;
	c = name->text[(len - 1 - i) & (EG_NAME_MAX - 1)];
	if (c == '.') {
		class = eg_name_find(w->image, eg_name_finish(hash, EG_NAME_BELOW));
		if (class)
			w->class = class;
	}
	w->hash = eg_name_hash_byte(hash, name_key, c);
	return 0;
}

static __always_inline __u16 eg_name_judge(EG_IMAGE image, __u32 gen, struct eg_name *name)
{
	const struct eg_image *head = eg_image_head(image);
	struct eg_label_walk w = { .image = image, .hash = eg_hash_start, .class = EG_CLASS_NONE };
	__u32 class;

	if (!head || !name)
		return EG_CLASS_NONE;
	if (head->name_mask) {
		w.name = name;
		bpf_loop(name->len, eg_label_step, &w, 0);
		class = eg_name_find(image, eg_name_finish(w.hash, 0));
		if (class)
			w.class = class;
	}
	name->judged = (__u64)gen << 16 | (w.class & 0xffff);
	return w.class;
}

static __always_inline __u16 eg_name_class_of(EG_IMAGE image, __u32 gen, __u64 key)
{
	struct eg_name *name = bpf_map_lookup_elem(&eg_names, &key);
	__u64 judged;

	if (!name)
		name = bpf_map_lookup_elem(&eg_names_seen, &key);
	if (!name || !name->len)
		return EG_NAME_FORGOTTEN;
	judged = name->judged;
	if (judged >> 16 == gen)
		return judged;
	return eg_name_judge(image, gen, name);
}

/* Its class in this image; EG_NAME_FORGOTTEN when its text was pushed out. */
static __noinline __u16 eg_name_class(EG_IMAGE image, __u32 gen, __u64 key)
{
	return eg_name_class_of(image, gen, key);
}

/* In the policy in force. Not static: the verifier looks at it once. */
__noinline int eg_name_class_now(__u64 key)
{
	EG_IMAGE image = eg_policy_now();
	const struct eg_image *head = image ? eg_image_head(image) : NULL;

	return head ? eg_name_class_of(image, head->gen, key) : EG_CLASS_NONE;
}

static __always_inline void eg_name_put(struct eg_name *name, const char *text, __u32 len)
{
	bpf_probe_read_kernel(name->text, EG_NAME_MAX, text);
	__sync_lock_test_and_set(&name->len, len); /* last: who sees it sees the text */
}

/* --- learning -------------------------------------------------------------------------------------------------- */

/* What an entry is worth; the least gives way, and only to what is worth as much. */
#define EG_WORTH_NOTHING 0 /* free or expired */
#define EG_WORTH_SHOW 1    /* not trusted */
#define EG_WORTH_LITTLE 2  /* trusted, and policy has no word for it */
#define EG_WORTH_SAME 3    /* of the same class as the new one */
#define EG_WORTH_MUCH 4

/*
 * By what is known without reading the other name's text: one that was not judged under this policy yet counts for much.
 */
static __always_inline __u32 eg_name_worth(const struct eg_addr_names *n, __u32 i, __u32 now,
					   __u32 gen, __u32 class)
{
	struct eg_name *name;
	__u64 key = n->hash[i];

	if (key == EG_NAME_BUSY)
		return EG_WORTH_MUCH + 1;
	if (!key || n->until_s[i] <= now)
		return EG_WORTH_NOTHING;
	if (!n->trusted[i])
		return EG_WORTH_SHOW;
	if (!gen)
		return EG_WORTH_LITTLE;
	name = bpf_map_lookup_elem(&eg_names, &key);
	if (!name)
		return EG_WORTH_NOTHING;
	if (name->judged >> 16 != gen)
		return EG_WORTH_MUCH;
	if ((name->judged & 0xffff) == EG_CLASS_NONE)
		return EG_WORTH_LITTLE;
	return (name->judged & 0xffff) == class ? EG_WORTH_SAME : EG_WORTH_MUCH;
}

static const struct eg_addr_names eg_no_names;

/* The address is called so until then. Tries, because another CPU may be just as fast. */
struct eg_call {
	struct eg_addr_names *names;
	__u64 key, least;
	__u32 until, now, told, gen, class, at;
	__u32 trusted;
};

static int eg_worth_step(__u32 i, struct eg_call *w)
{
	const struct eg_addr_names *n = w->names;
	__u64 worth;

	i &= EG_NAMES_OF_ADDR - 1;
	worth = (__u64)eg_name_worth(n, i, w->now, w->gen, w->class) << 32 | n->until_s[i];
	if (worth < w->least) {
		w->least = worth;
		w->at = i;
	}
	return 0;
}

/* Takes a place for the name; 1 when there is nothing more to do. */
static __always_inline int eg_name_place(struct eg_call *w)
{
	struct eg_addr_names *n = w->names;
	__u32 own = EG_WORTH_SHOW, at;
	__u64 old;

	if (w->trusted)
		own = w->class == EG_CLASS_NONE ? EG_WORTH_LITTLE : EG_WORTH_MUCH;
	w->least = ~0ULL;
	bpf_loop(EG_NAMES_OF_ADDR, eg_worth_step, w, 0);
	if (w->least >> 32 > own)
		return 1; /* all that is there is worth more */
	at = w->at & (EG_NAMES_OF_ADDR - 1);
	old = n->hash[at];
	if (old == EG_NAME_BUSY ||
	    __sync_val_compare_and_swap(&n->hash[at], old, EG_NAME_BUSY) != old)
		return 0;
	n->until_s[at] = w->until;
	n->told[at] = w->told;
	n->trusted[at] = w->trusted;
	__sync_lock_test_and_set(&n->hash[at], w->key);
	return 1;
}

/* Is it called so already? Then for how long is all that changes. */
static __always_inline int eg_name_longer(struct eg_call *w)
{
	struct eg_addr_names *n = w->names;
	__u32 i;

	for (i = 0; i < EG_NAMES_OF_ADDR; i++) {
		if (n->hash[i] != w->key)
			continue;
		if (!w->trusted && n->trusted[i])
			return 1; /* an answer that nobody trusts keeps nothing alive */
		if (n->until_s[i] < w->until || (w->trusted && !n->trusted[i]))
			n->until_s[i] = w->until;
		n->trusted[i] |= w->trusted;
		n->told[i] = w->told;
		return 1;
	}
	return 0;
}

/* One of the addresses that an answer gave. Not static: the verifier looks at it once. */
__noinline int eg_addr_learn(struct eg_dns_walk *d, __u32 i)
{
	struct eg_call w = {};
	__u64 now_ns;
	__u32 ttl, k;

	if (!d)
		return 0;
	i &= EG_DNS_FOUND - 1;
	w.names = bpf_map_lookup_elem(&eg_addr_names, d->found[i]);
	if (!w.names) {
		bpf_map_update_elem(&eg_addr_names, d->found[i], &eg_no_names, BPF_NOEXIST);
		w.names = bpf_map_lookup_elem(&eg_addr_names, d->found[i]);
		if (!w.names)
			return 0;
	}
	ttl = d->found_ttl[i];
	if (ttl > EG_TTL_MAX_S)
		ttl = ttl >> 31 ? 0
				: EG_TTL_MAX_S; /* RFC 2181: the highest bit is nobody's to set */
	if (ttl < EG_NAME_TTL_MIN_NS / EG_NS)
		ttl = EG_NAME_TTL_MIN_NS / EG_NS;
	now_ns = bpf_ktime_get_ns();
	w.told = now_ns >> 16;
	w.now = now_ns / EG_NS;
	w.until = w.now + ttl + EG_NAME_GRACE_NS / EG_NS;
	w.key = d->found_hash;
	w.gen = d->gen;
	w.class = d->class;
	w.trusted = d->trusted;
	if (eg_name_longer(&w))
		return 0;
	for (k = 0; k < 3; k++)
		if (eg_name_place(&w))
			break;
	return 0;
}

static int eg_addr_learn_step(__u32 i, struct eg_dns_walk **d)
{
	return eg_addr_learn(*d, i);
}

/* The name that the answer is about; 1: it is kept. */
static __always_inline int eg_name_keep(struct eg_dns_walk *d)
{
	__u64 key = d->found_hash;
	struct eg_name *name;

	if (!key || !d->found_len || d->found_len >= EG_NAME_MAX)
		return 0;
	name = bpf_map_lookup_elem(&eg_names, &key);
	if (!name) {
		bpf_map_update_elem(&eg_names, &key, &eg_no_name, BPF_NOEXIST);
		name = bpf_map_lookup_elem(&eg_names, &key);
		if (!name)
			return 0;
	}
	if (!name->len)
		eg_name_put(name, d->name, d->found_len);
	return 1;
}

/* All that the walk found. */
static __always_inline void eg_names_learn_found(struct eg_dns_walk *d)
{
	if (!d->n_found || !eg_name_keep(d))
		return;
	d->gen = policy_gen;
	d->class = eg_name_class_now(d->found_hash);
	bpf_loop(d->n_found, eg_addr_learn_step, &d, 0);
}

/* --- asking ---------------------------------------------------------------------------------------------------- */

struct eg_name_list {
	__u64 key[EG_ADDR_NAMES];
};

struct eg_names_rank {
	const struct eg_addr_names *names;
	struct eg_name_list *ret;
	__u64 now_ns;
};

/* Place i & 7 in the search for rank i >> 3 of the list: the best that is below the one before it. */
static int eg_names_rank(__u32 i, struct eg_names_rank *r)
{
	__u32 k = i / EG_NAMES_OF_ADDR & (EG_ADDR_NAMES - 1);
	__u64 *to = &r->ret->key[k], *last = &r->ret->key[(k - 1) & (EG_ADDR_NAMES - 1)];
	__u64 rank = eg_name_rank(r->names, i & (EG_NAMES_OF_ADDR - 1), r->now_ns);

	if (rank > *to && (!k || rank < *last))
		*to = rank;
	return 0;
}

/* For records: keys of names, the best first. In a loop that the verifier walks once: it would tell apart all orders. */
__noinline int eg_names_list(struct eg_addr *remote, struct eg_name_list *ret, __u64 now_ns)
{
	struct eg_names_rank r = { .ret = ret, .now_ns = now_ns };
	__u32 k;

	if (!remote || !ret)
		return 0;
	for (k = 0; k < EG_ADDR_NAMES; k++)
		ret->key[k] = 0;
	r.names = bpf_map_lookup_elem(&eg_addr_names, remote);
	if (!r.names)
		return 0;
	bpf_loop(EG_ADDR_NAMES * EG_NAMES_OF_ADDR, eg_names_rank, &r, 0);
	for (k = 0; k < EG_ADDR_NAMES; k++)
		if (ret->key[k])
			ret->key[k] = r.names->hash[ret->key[k] & (EG_NAMES_OF_ADDR - 1)];
	return 0;
}

static __always_inline void eg_names_of(const __u8 remote[16], __u64 now_ns,
					__u64 names[EG_ADDR_NAMES])
{
	struct eg_addr a;

	__builtin_memcpy(a.addr, remote, 16);
	eg_names_list(&a, (struct eg_name_list *)names, now_ns);
}

struct eg_names_walk {
	EG_IMAGE image;
	const struct eg_addr_names *names;
	struct eg_facts *facts;
	__u32 gen, from;
};

static int eg_names_classes_step(__u32 i, struct eg_names_walk *w)
{
	const struct eg_addr_names *n = w->names;
	struct eg_facts *f = w->facts;
	__u64 key;
	__u32 class;

	i &= EG_NAMES_OF_ADDR - 1;
	key = n->hash[i];
	if (!key || key == EG_NAME_BUSY || !n->trusted[i] || n->until_s[i] <= w->from)
		return 0;
	class = eg_name_class_of(w->image, w->gen, key);
	if (class == EG_NAME_FORGOTTEN)
		return 0;
	f->names[f->n_names & (EG_FACT_NAMES - 1)] = class;
	f->n_names++;
	return 0;
}

/* For policy: classes of the trusted names that were in force at some time since `born_ns`. 0. */
static __noinline int eg_names_classes(EG_IMAGE image, __u32 gen, const __u8 *remote, __u64 born_ns,
				       struct eg_facts *f)
{
	struct eg_names_walk w = { .image = image, .facts = f, .gen = gen };
	struct eg_addr a;

	if (!remote || !f)
		return 0;
	f->n_names = 0;
	w.from = bpf_ktime_get_ns() / EG_NS;
	if (born_ns && born_ns / EG_NS < w.from)
		w.from = born_ns / EG_NS;
	__builtin_memcpy(a.addr, remote, 16);
	w.names = bpf_map_lookup_elem(&eg_addr_names, &a);
	if (w.names)
		bpf_loop(EG_NAMES_OF_ADDR, eg_names_classes_step, &w, 0);
	return 0;
}
