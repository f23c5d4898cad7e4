/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/replay.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"

#define WHO_BUCKETS 4096
#define WHO_MAX 65536

/* --- rows of (program, target, port) ----------------------------------------------------------------------------- */

struct row {
	struct row *next;
	uint64_t hash;
	struct replay_who who;
	char text[];
};

struct who_table {
	struct row *buckets[WHO_BUCKETS];
	size_t n, max;
	struct replay_who others;
	const struct replay_who **sorted;
};

int who_table_new(struct who_table **ret, size_t max)
{
	struct who_table *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->max = max;
	w->others = (struct replay_who){ .program = STR("(others)"),
					 .target = STR("-"),
					 .port = STR("-") };
	*ret = w;
	return 0;
}

struct who_table *who_table_free(struct who_table *w)
{
	if (!w)
		return NULL;
	for (size_t i = 0; i < WHO_BUCKETS; i++) {
		for (struct row *at = w->buckets[i], *next; at; at = next) {
			next = at->next;
			free(at);
		}
	}
	free(w->sorted);
	free(w);
	return NULL;
}

struct str recorded_port(const struct recorded *r, char text[16])
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = { { IPPROTO_TCP, "tcp" },     { IPPROTO_UDP, "udp" },
		      { IPPROTO_SCTP, "sctp" },   { IPPROTO_UDPLITE, "udplite" },
		      { IPPROTO_DCCP, "dccp" },   { IPPROTO_ICMP, "icmp" },
		      { IPPROTO_ICMPV6, "icmp6" } };
	const struct policy_subject *s = &r->subject;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].proto != s->proto)
			continue;
		if (flow_proto_has_ports(s->proto))
			snprintf(text, 16, "%u/%s", s->port, names[i].name);
		else
			snprintf(text, 16, "%s", names[i].name);
		return str_of(text);
	}
	snprintf(text, 16, "%u/ip", s->proto);
	return str_of(text);
}

struct str recorded_target(const struct recorded *r, char text[ADDR_TEXT_MAX])
{
	return r->name.n ? r->name : str_of(addr_format(&r->subject.remote, text));
}

static void add(struct replay_sum *sum, const struct recorded *r)
{
	sum->flows += r->flows;
	if (r->kind == RECORDED_DROP)
		sum->attempts += r->calls + r->packets;
	sum->up += r->up;
	sum->down += r->down;
}

static struct str keep(char **at, struct str s)
{
	struct str kept = { *at, s.n };

	if (s.n)
		memcpy(*at, s.p, s.n);
	(*at)[s.n] = 0;
	*at += s.n + 1;
	return kept;
}

static struct replay_who *find_row(struct who_table *w, const struct replay_who *key)
{
	uint64_t hash = hash_bytes(key->program.p ? key->program.p : "", key->program.n, key->rule);
	struct row *at;
	char *p;

	hash = hash_bytes(key->target.p, key->target.n, hash);
	hash = hash_bytes(key->port.p, key->port.n, hash);
	for (at = w->buckets[hash % WHO_BUCKETS]; at; at = at->next)
		if (at->hash == hash && at->who.rule == key->rule &&
		    str_eq(at->who.program, key->program) && str_eq(at->who.target, key->target) &&
		    str_eq(at->who.port, key->port))
			return &at->who;
	at = w->n < w->max ? malloc(sizeof(*at) + key->program.n + key->target.n + key->port.n + 3)
			   : NULL;
	if (!at)
		return &w->others;
	p = at->text;
	at->hash = hash;
	at->who = (struct replay_who){ .rule = key->rule };
	at->who.program = keep(&p, key->program);
	at->who.target = keep(&p, key->target);
	at->who.port = keep(&p, key->port);
	at->next = w->buckets[hash % WHO_BUCKETS];
	w->buckets[hash % WHO_BUCKETS] = at;
	w->n++;
	return &at->who;
}

void who_table_add(struct who_table *w, const struct recorded *r, uint16_t rule)
{
	char port[16], target[ADDR_TEXT_MAX];
	struct replay_who key = {
		.rule = rule,
		.program = r->program.n ? r->program : STR("(unknown)"),
		.target = recorded_target(r, target),
		.port = recorded_port(r, port),
	};

	add(&find_row(w, &key)->sum, r);
}

size_t who_table_count(const struct who_table *w)
{
	return w->n;
}

static int by_flows(const void *a, const void *b)
{
	const struct replay_who *x = *(const struct replay_who *const *)a,
				*y = *(const struct replay_who *const *)b;
	uint64_t nx = x->sum.flows + x->sum.attempts, ny = y->sum.flows + y->sum.attempts;
	int order;

	if (nx != ny)
		return nx < ny ? 1 : -1;
	order = strcmp(x->program.p, y->program.p);
	if (!order)
		order = strcmp(x->target.p, y->target.p);
	return order ? order : strcmp(x->port.p, y->port.p);
}

const struct replay_who *const *who_table_sorted(struct who_table *w, size_t limit, size_t *ret_n,
						 size_t *ret_more)
{
	size_t n = 0;

	free(w->sorted);
	w->sorted = calloc(w->n + 1, sizeof(*w->sorted));
	*ret_n = *ret_more = 0;
	if (!w->sorted)
		return NULL;
	for (size_t i = 0; i < WHO_BUCKETS; i++)
		for (const struct row *at = w->buckets[i]; at; at = at->next)
			w->sorted[n++] = &at->who;
	if (w->others.sum.flows || w->others.sum.attempts)
		w->sorted[n++] = &w->others;
	qsort(w->sorted, n, sizeof(*w->sorted), by_flows);
	*ret_n = limit && limit < n ? limit : n;
	*ret_more = n - *ret_n;
	return w->sorted;
}

/* --- sums by rule ------------------------------------------------------------------------------------------------ */

struct tally {
	struct judge *judge;
	struct tally_totals totals;
	struct replay_rule *rules; /* with the default and the implied allow */
	size_t n_rules;
	struct who_table *refused;
	struct judgement last;
};

int tally_new(struct tally **ret, struct judge *j)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->judge = j;
	t->n_rules = judge_policy(j)->n_rules + 2;
	t->rules = calloc(t->n_rules, sizeof(*t->rules));
	if (!t->rules || who_table_new(&t->refused, WHO_MAX) < 0) {
		tally_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

struct tally *tally_free(struct tally *t)
{
	if (!t)
		return NULL;
	who_table_free(t->refused);
	free(t->rules);
	free(t);
	return NULL;
}

const struct judgement *tally_add(struct tally *t, const struct recorded *r)
{
	struct judgement *v = &t->last;

	/* What was refused of a flow that has a record is counted with that. */
	if (!r->egress || (r->kind == RECORDED_DROP && r->flow_id)) {
		if (!r->egress)
			add(&t->totals.others, r);
		return NULL;
	}
	if (judge_flow(t->judge, r, v) < 0 || v->rule >= t->n_rules) {
		t->totals.failed++;
		return NULL;
	}
	add(&t->rules[v->rule].sum, r);
	t->rules[v->rule].unknown += v->needs_who ? r->flows : 0;
	add(v->needs_who ? &t->totals.unknown
	    : v->refuses ? &t->totals.refused
			 : &t->totals.passed,
	    r);
	if (v->refuses && !v->needs_who)
		who_table_add(t->refused, r, v->rule);
	return v;
}

const struct tally_totals *tally_totals(const struct tally *t)
{
	return &t->totals;
}

const struct replay_rule *tally_rule(const struct tally *t, size_t rule)
{
	return &t->rules[rule];
}

const struct replay_who *const *tally_refused(struct tally *t, size_t limit, size_t *ret_n,
					      size_t *ret_more)
{
	return who_table_sorted(t->refused, limit, ret_n, ret_more);
}
