/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarded flows and what conntrack says of them. Either may come first: a flow that begins looks for its translation, and a
 * translation for its flow. The flow keeps what it found; what conntrack forgets meanwhile does not take it away.
 */
#include "flow/nat.h"
#include "flow/table.h"

#define NAT_MAX 131072 /* as many as a gateway counts flows */

void translated_find(struct flow_table *t, struct flow *f)
{
	struct flow_nat nat;

	if (!t->nat || !nat_table_find(t->nat, &f->key, &nat))
		return;
	if (!f->nat)
		f->nat = pool_get(&t->nats);
	if (f->nat)
		*f->nat = nat;
}

void translated_swap(struct flow *f)
{
	struct flow_nat old;

	if (!f->nat)
		return;
	old = *f->nat;
	f->nat->src = old.dst;
	f->nat->dst = old.src;
	f->nat->sport = old.dport;
	f->nat->dport = old.sport;
}

void translated_let_go(struct flow_table *t, struct flow *f)
{
	if (f->nat)
		pool_put(&t->nats, f->nat);
}

/* The local end of a forwarded flow is the machine inside: which of the two that is, and on which side of the translation, is tried. */
static void tell_flow(struct flow_table *t, const struct event_key *k)
{
	struct event e = { .type = EVENT_NAT, .key = *k };
	enum flow_side side;
	struct flow *f;

	for (int i = 0; i < 2; i++) {
		f = flow_find(t, &e, &side);
		if (f && f->forwarded)
			translated_find(t, f);
		event_key_reverse(&e.key);
	}
}

void translated_event(struct flow_table *t, const struct event *e)
{
	if (!t->nat && nat_table_new(&t->nat, NAT_MAX) < 0) {
		t->stats.loss[LOSS_TABLE_NAT]++;
		return;
	}
	switch (e->nat.change) {
	case NAT_BEGINS:
		nat_table_add(t->nat, &e->key, &e->nat.after);
		tell_flow(t, &e->key);
		tell_flow(t, &e->nat.after);
		break;
	case NAT_ENDS:
		nat_table_del(t->nat, &e->key);
		break;
	case NAT_UNKNOWN:
		nat_table_clear(t->nat);
		break;
	}
}
