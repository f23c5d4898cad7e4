// SPDX-License-Identifier: Apache-2.0
/* bpf/policy_eval.h by itself in the kernel: from what a flow is in bytes to classes, and from classes to verdicts. */
#include "bpf/policy.h"

#include "tests/bpf/evaluate.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct eg_facts facts[EVALUATE_BATCH] = {};
struct eg_verdict verdicts[EVALUATE_BATCH] = {};
struct evaluate_raw raws[EVALUATE_BATCH] = {};
struct evaluate_classes classes[EVALUATE_BATCH] = {};
struct eg_fold fold = {};
__u32 at = 0, failed = 0; /* the next one; how many could not be judged */

SEC("cgroup_skb/egress")
int evaluate(struct __sk_buff *skb)
{
	EG_IMAGE image = eg_policy_now();
	__u32 i = at++ & (EVALUATE_BATCH - 1);

	if (!image || eg_evaluate(image, &facts[i], &fold, &verdicts[i]))
		failed++;
	return 1;
}

static __noinline void group_bits(EG_IMAGE image, const struct evaluate_raw *r,
				  struct evaluate_classes *c)
{
	__u32 i;

	c->groups = 0;
	for (i = 0; i < EVALUATE_GIDS; i++)
		if (i < r->n_gids)
			c->groups |= eg_fact_gid(image, r->gids[i]);
}

SEC("cgroup_skb/egress")
int classify(struct __sk_buff *skb)
{
	EG_IMAGE image = eg_policy_now();
	__u32 i = at++ & (EVALUATE_BATCH - 1);
	struct evaluate_classes *c = &classes[i];
	const struct evaluate_raw *r = &raws[i];

	if (!image) {
		failed++;
		return 1;
	}
	c->from = eg_fact_addr(image, r->local);
	c->addr = eg_fact_addr(image, r->remote);
	c->port = eg_fact_port(image, r->proto, r->port, r->has_ports);
	c->user = eg_fact_user(image, r->uid);
	c->name = eg_fact_name(image, r->hash, r->n_hash);
	group_bits(image, r, c);
	return 1;
}
