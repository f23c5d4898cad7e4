/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods of refusals. A program that is refused tries again, a thousand times a second if nothing holds it back. Of one
 * rule and program the first ten refusals of a second get a record each, the rest one record with exact sums at the
 * end of that second; and all together no more than RECORDS_MAX a second, however many programs take part. Nothing is
 * left out of the sums: who adds up calls, packets and bytes of all `drop` records has every refusal.
 */
#include "flow/table.h"

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"

#define GROUPS 512
#define OWN_RECORDS 10 /* a second, of one group */
#define RECORDS_MAX 1000
#define KEEP_NS (10 * NSEC_PER_SEC)

struct group {
	bool used;
	uint32_t gen;
	uint16_t rule_index;
	uint8_t action;
	struct verdict_rule *rule; /* references, NULL: not known */
	struct proc *proc;         /* the first one; the others are of the same program */
	uint64_t last_ns;
	uint32_t told;                            /* records of their own in this second */
	uint64_t calls, packets, bytes, since_ns; /* not told yet */
	enum verdict_at at;
};

struct drops {
	uint64_t next_ns;
	uint32_t told;
	struct group groups[GROUPS];
	struct group others; /* what found no room: sums of all rules and programs */
};

static const struct text *program(const struct proc *p)
{
	return !p ? NULL : p->exe ? p->exe : p->comm;
}

static bool is_pending(const struct group *g)
{
	return g->calls || g->packets || g->bytes;
}

static void add(struct group *g, const struct event *e)
{
	if (!is_pending(g))
		g->since_ns = e->time_ns;
	g->calls += e->verdict.calls;
	g->packets += e->verdict.packets;
	g->bytes += e->verdict.bytes;
	g->action = e->verdict.action;
	g->at = e->verdict.at;
}

static void tell_sums(struct flow_table *t, struct group *g)
{
	struct record_drop drop = {
		.proc = g->proc,
		.rule = g->rule,
		.action = g->action,
		.at = g->at,
		.refused = true,
		.calls = g->calls,
		.packets = g->packets,
		.bytes = g->bytes,
		.summary = true,
		.since_ns = g->since_ns,
	};

	if (!is_pending(g))
		return;
	record_emit(t, &(struct record){ .type = RECORD_DROP, .drop = &drop });
	g->calls = g->packets = g->bytes = 0;
}

static void let_go(struct flow_table *t, struct group *g)
{
	verdict_rule_put(g->rule);
	if (g->proc)
		proc_put(t->cfg.procs, g->proc);
	*g = (struct group){ 0 };
}

/* A group with sums gives way: they go to a record, or when there were enough of these, to the common sum. */
static void make_way(struct flow_table *t, struct group *g)
{
	struct drops *d = t->drops;

	if (is_pending(g) && d->told >= RECORDS_MAX) {
		if (!is_pending(&d->others))
			d->others.since_ns = g->since_ns;
		d->others.calls += g->calls;
		d->others.packets += g->packets;
		d->others.bytes += g->bytes;
		d->others.at = g->at;
	} else if (is_pending(g)) {
		d->told++;
		tell_sums(t, g);
	}
	let_go(t, g);
}

static struct group *group_of(struct flow_table *t, const struct event *e,
			      struct verdict_rule *rule, const struct proc *p)
{
	struct {
		const struct text *program;
		uint64_t gen, rule;
	} key = { program(p), e->verdict.gen, e->verdict.rule };
	struct group *g = &t->drops->groups[hash_bytes(&key, sizeof(key), t->seed) % GROUPS];

	if (g->used && g->gen == e->verdict.gen && g->rule_index == e->verdict.rule &&
	    program(g->proc) == key.program)
		return g;
	if (g->used)
		make_way(t, g);
	g->used = true;
	g->gen = e->verdict.gen;
	g->rule_index = e->verdict.rule;
	g->rule = verdict_rule_ref(rule);
	g->proc = proc_ref((struct proc *)p);
	return g;
}

bool drops_take(struct flow_table *t, const struct event *e, struct verdict_rule *rule,
		const struct proc *p)
{
	struct group *g;

	if (!t->drops) {
		t->drops = calloc(1, sizeof(*t->drops));
		if (!t->drops)
			return true; /* a record each, then */
		t->drops->next_ns = t->now_ns + NSEC_PER_SEC;
	}
	g = group_of(t, e, rule, p);
	g->last_ns = t->now_ns;
	if (!e->verdict.summary && g->told < OWN_RECORDS && t->drops->told < RECORDS_MAX) {
		g->told++;
		t->drops->told++;
		return true;
	}
	add(g, e);
	return false;
}

static void tell_all(struct flow_table *t)
{
	for (size_t i = 0; i < GROUPS; i++)
		tell_sums(t, &t->drops->groups[i]);
	tell_sums(t, &t->drops->others);
}

void drops_tick(struct flow_table *t)
{
	struct drops *d = t->drops;

	if (!d || t->now_ns < d->next_ns)
		return;
	tell_all(t);
	d->told = 0;
	d->next_ns = t->now_ns + NSEC_PER_SEC;
	for (size_t i = 0; i < GROUPS; i++) {
		struct group *g = &d->groups[i];

		g->told = 0;
		if (g->used && t->now_ns > g->last_ns + KEEP_NS)
			let_go(t, g);
	}
}

void drops_finish(struct flow_table *t)
{
	if (t->drops)
		tell_all(t);
}

struct drops *drops_free(struct flow_table *t)
{
	if (!t->drops)
		return NULL;
	for (size_t i = 0; i < GROUPS; i++)
		let_go(t, &t->drops->groups[i]);
	free(t->drops);
	return NULL;
}
