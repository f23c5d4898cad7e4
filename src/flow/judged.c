/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy's verdicts. On a live host the kernel decides and tells (EVENT_VERDICT): the flow keeps the latest verdict, and
 * what was refused becomes a `drop` record. No flow is made of what never left. In a capture nobody decided: a judge
 * that the reader brings is asked what a policy would have said.
 */
#include "flow/table.h"

#include "base/cleanup.h"

void flow_table_set_verdicts(struct flow_table *t, struct verdict_source source,
			     struct flow_judge judge)
{
	verdict_rules_done(&t->rules);
	t->rules.source = source;
	t->judge = judge;
}

static void set_rule(struct flow_verdict *v, struct verdict_rule *rule)
{
	verdict_rule_ref(rule);
	verdict_rule_put(v->rule);
	v->rule = rule;
}

static void emit(struct flow_table *t, enum record_type type, const struct event *e,
		 const struct flow *f, struct record_drop *drop)
{
	struct record r = { .type = type, .time_ns = e->time_ns, .flow = f, .drop = drop };
	struct name *names[NAMES_PER_ADDR];

	if (!f) {
		drop->n_names = name_table_find(t->cfg.names, NULL, &e->key.dst, t->now_ns, names);
		drop->names = names;
	}
	record_emit(t, &r);
	for (size_t i = 0; !f && i < drop->n_names; i++)
		name_put(t->cfg.names, names[i]);
}

static enum name_source source_of(uint8_t app)
{
	return app == APP_HTTP ? NAME_HTTP : app == APP_QUIC ? NAME_QUIC : NAME_SNI;
}

/* The bytes that said it were refused, and so never came here. */
static void learn_refused(struct flow_table *t, struct flow *f, const struct event_verdict *v)
{
	if (v->visible_name.n)
		facts_name(t, f, v->visible_name, source_of(v->app));
	if (f->app == APP_UNDECIDED && v->app > APP_UNKNOWN && v->app < APP_PROTO_COUNT)
		f->app = (enum app_proto)v->app;
}

/* The flow takes over the verdict; true when it was another one, or not yet for good. */
static bool take(struct flow *f, const struct event_verdict *v, struct verdict_rule *rule)
{
	struct flow_verdict *have = &f->verdict;
	bool news = have->action != v->action || have->rule != rule ||
		    have->refused != v->refused || (v->final && !have->final);

	set_rule(have, rule);
	have->action = v->action;
	have->visible = v->visible;
	have->app = v->app;
	have->final = v->final;
	have->refused = v->refused;
	have->would_refuse = v->would_refuse;
	have->calls += v->calls;
	have->packets += v->packets;
	have->bytes += v->bytes;
	return news;
}

static struct proc *owner(struct flow_table *t, const struct event *e, const struct flow *f)
{
	if (t->cfg.procs && !e->verdict.who.owner_unknown)
		return proc_table_find(t->cfg.procs, &e->verdict.who, e->time_ns);
	return f ? f->proc : NULL;
}

static void tell(struct flow_table *t, const struct event *e, struct flow *f,
		 struct verdict_rule *rule, const struct proc *p, bool news)
{
	const struct event_verdict *v = &e->verdict;
	struct record_drop drop = {
		.key = e->key,
		.proc = p,
		.rule = rule,
		.action = v->action,
		.app = v->app,
		.visible_name = v->visible_name,
		.visible_source = source_of(v->app),
		.at = v->at,
		.refused = v->refused,
		.would_refuse = v->would_refuse,
		.forwarded = v->who.forwarded,
		.calls = v->calls,
		.packets = v->packets,
		.bytes = v->bytes,
	};
	bool told = v->refused && (v->calls || v->packets) && !(rule && rule->quiet) &&
		    drops_take(t, e, rule, p);

	if (told)
		emit(t, RECORD_DROP, e, f, &drop);
	if (v->summary || !rule)
		return;
	if (f && news && v->final && rule->log)
		record_flow(t, f, false);
	if (!rule->alert || (f ? f->verdict.alerted || !(v->final || v->refused) : !told))
		return;
	if (f)
		f->verdict.alerted = true;
	emit(t, RECORD_ALERT, e, f, &drop);
}

void judged_event(struct flow_table *t, const struct event *e)
{
	const struct event_verdict *v = &e->verdict;
	struct verdict_rule *rule =
		verdict_rule_ref(verdict_rules_find(&t->rules, v->gen, v->rule));
	struct flow *f = NULL;
	enum flow_side side;
	struct proc *p;
	bool news = false;

	t->stats.refused_calls += v->calls;
	t->stats.refused_packets += v->packets;
	t->stats.refused_bytes += v->bytes;
	if (!v->summary) {
		live_learn_names(t, e, &v->who);
		f = flow_find(t, e, &side);
		/* The same addresses and ports, but a socket that has taken no part in this flow. */
		if (f && f->cookie && v->cookie && f->cookie != v->cookie)
			f = NULL;
	}
	p = proc_ref(owner(t, e, f));
	if (f) {
		news = take(f, v, rule);
		learn_refused(t, f, v);
	}
	tell(t, e, f, rule, p, news);
	if (p)
		proc_put(t->cfg.procs, p);
	verdict_rule_put(rule);
}

void judged_capture(struct flow_table *t, struct flow *f)
{
	uint32_t gen = 0;
	uint16_t rule = 0;

	if (!t->judge.judge)
		return;
	t->judge.judge(t->judge.ctx, f, &f->verdict, &gen, &rule);
	set_rule(&f->verdict, f->verdict.action ? verdict_rules_find(&t->rules, gen, rule) : NULL);
}
