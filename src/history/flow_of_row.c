/* SPDX-License-Identifier: Apache-2.0 */
#include "history/flow_of_row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/intern.h"
#include "flow/flow.h"
#include "policy/verdict.h"

#define TEXTS_MAX (1U << 19) /* then all are forgotten: only those of one flow are in use */

struct flow_maker {
	struct intern *texts;
	struct flow flow;
	struct proc proc, up[STORE_ANCESTORS_MAX];
	struct workload workload;
	struct name names[NAMES_PER_ADDR];
	struct verdict_rule rule;
	struct flow_place place;
};

int flow_maker_new(struct flow_maker **ret)
{
	struct flow_maker *m = calloc(1, sizeof(*m));
	int r = m ? intern_new(&m->texts, TEXTS_MAX + 256) : -ENOMEM;

	if (r < 0) {
		free(m);
		return r;
	}
	*ret = m;
	return 0;
}

struct flow_maker *flow_maker_free(struct flow_maker *m)
{
	if (!m)
		return NULL;
	intern_free(m->texts);
	free(m);
	return NULL;
}

/* Everything that was made is forgotten. */
static bool begin(struct flow_maker *m)
{
	if (intern_count(m->texts) > TEXTS_MAX) {
		m->texts = intern_free(m->texts);
		if (intern_new(&m->texts, TEXTS_MAX + 256) < 0)
			return false;
	}
	m->flow = (struct flow){ .live = true };
	m->proc = (struct proc){ 0 };
	m->workload = (struct workload){ 0 };
	m->rule = (struct verdict_rule){ 0 };
	m->place = (struct flow_place){ 0 };
	return true;
}

static struct text *text_of(struct flow_maker *m, struct str s)
{
	return s.n ? intern_get(m->texts, s) : NULL;
}

static void set_ancestors(struct flow_maker *m, const struct store_who *w)
{
	struct proc *below = &m->proc;

	for (size_t i = 0; i < w->n_ancestors && i < STORE_ANCESTORS_MAX; i++) {
		m->up[i] = (struct proc){ .pid = w->ancestors[i].pid,
					  .exe = text_of(m, w->ancestors[i].exe),
					  .comm = text_of(m, w->ancestors[i].comm) };
		m->up[i].exe_state = m->up[i].exe ? EXE_FILE : EXE_UNKNOWN;
		below->parent = &m->up[i];
		below = &m->up[i];
	}
}

static void set_who(struct flow_maker *m, const struct store_who *w)
{
	m->workload = (struct workload){
		.cgroup = text_of(m, w->cgroup),
		.unit = text_of(m, w->unit),
		.container_id = text_of(m, w->container_id),
		.container_name = text_of(m, w->container_name),
		.container_image = text_of(m, w->container_image),
		.container_runtime = text_of(m, w->container_runtime),
	};
	m->proc = (struct proc){
		.pid = w->pid,
		.ppid = w->ppid,
		.start_unix_ns = w->start_ns,
		.uid = w->uid,
		.exe_state = (enum exe_state)w->exe_state,
		.exe = text_of(m, w->exe),
		.comm = text_of(m, w->comm),
		.args = text_of(m, w->args),
		.user = text_of(m, w->user),
		.workload = &m->workload,
	};
	set_ancestors(m, w);
	m->flow.proc = &m->proc;
}

static void add_name(struct flow_maker *m, struct text *asked, enum name_source source)
{
	if (!asked || m->flow.n_names == NAMES_PER_ADDR)
		return;
	m->names[m->flow.n_names] = (struct name){ .asked = asked, .source = (uint8_t)source };
	m->flow.names[m->flow.n_names] = &m->names[m->flow.n_names];
	m->flow.n_names++;
}

static void set_peer(struct flow_maker *m, const struct store_peer *p)
{
	m->flow.name = text_of(m, p->name);
	m->flow.name_source = (enum name_source)p->name_source;
	for (size_t i = 0; i < p->n_names && i < STORE_NAMES_MAX; i++)
		add_name(m, text_of(m, p->names[i]), NAME_DNS);
	memcpy(m->place.country, p->country, sizeof(m->place.country));
	m->place.asn = p->asn;
	m->place.segment = p->segment;
	m->flow.place = &m->place;
}

static void set_rule(struct flow_maker *m, const struct store_rule *r)
{
	m->rule = (struct verdict_rule){ .action = r->action,
					 .line = r->line,
					 .file = r->file,
					 .text = r->text,
					 .note = r->note };
	m->flow.verdict.action = r->action;
	m->flow.verdict.would_refuse = r->would_refuse;
	m->flow.verdict.refused = r->refused;
	m->flow.verdict.final = true;
	if (r->text.n || r->line)
		m->flow.verdict.rule = &m->rule;
}

static void set_counters(struct flow *f, const struct store_row *row)
{
	struct flow_half *up, *down;

	f->direction = (enum flow_direction)row->direction;
	up = &f->half[flow_up_side(f)];
	down = &f->half[!flow_up_side(f)];
	up->bytes = row->up_bytes;
	up->packets = row->up_packets;
	up->payload = row->up_payload;
	down->bytes = row->down_bytes;
	down->packets = row->down_packets;
	down->payload = row->down_payload;
	f->half[TO_SERVER].tcp_flags = row->tcp_flags[0];
	f->half[TO_CLIENT].tcp_flags = row->tcp_flags[1];
	f->payload_known = row->payload_known;
	f->retransmits = row->retransmits;
	f->resets = row->resets;
	f->rtt_us = row->rtt_us;
	f->verdict.calls = row->refused_calls;
	f->verdict.packets = row->refused_packets;
	f->verdict.bytes = row->refused_bytes;
}

const struct flow *flow_of_row(struct flow_maker *m, const struct store_row *row)
{
	struct flow *f = &m->flow;

	if (!begin(m))
		return NULL;
	f->key = row->key;
	f->id = row->flow_id;
	f->seq = row->seq;
	f->start_ns = row->start_ns;
	f->last_ns = row->to_ns;
	f->state = (enum flow_state)row->state;
	f->end = (enum event_end)row->end;
	f->app = (enum app_proto)row->app;
	f->mid_stream = row->mid_stream;
	f->forwarded = row->forwarded;
	f->ifindex = row->ifindex;
	f->ja3 = text_of(m, row->ja3);
	f->ja4 = text_of(m, row->ja4);
	set_rule(m, &row->rule);
	set_counters(f, row);
	if (row->has_who)
		set_who(m, &row->who);
	set_peer(m, &row->peer);
	m->place.host = row->host;
	return f;
}

static enum flow_direction direction_of(struct str word)
{
	for (int d = FLOW_EGRESS; d <= FLOW_INGRESS; d++)
		if (str_eq(word, str_of(flow_direction_name((enum flow_direction)d))))
			return (enum flow_direction)d;
	return FLOW_DIRECTION_UNKNOWN;
}

/* As flow_verdict_word() said it. */
static void set_verdict(struct flow_verdict *v, struct str word)
{
	static const uint8_t actions[] = { EG_ALLOW, EG_DENY, EG_REJECT, EG_AUDIT };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(actions); i++) {
		struct flow_verdict guess = { .action = actions[i / 2], .would_refuse = i % 2 };

		if (str_eq(word, str_of(flow_verdict_word(&guess)))) {
			*v = guess;
			return;
		}
	}
}

const struct flow *flow_of_key(struct flow_maker *m, const struct store_key *key)
{
	const struct str *d = key->dim;
	struct flow *f = &m->flow;
	uint64_t asn;
	bool is_path;

	if (!begin(m))
		return NULL;
	is_path = d[STORE_DIM_APP].n && d[STORE_DIM_APP].p[0] == '/';
	m->workload.unit = text_of(m, d[STORE_DIM_UNIT]);
	m->workload.container_name = text_of(m, d[STORE_DIM_CONTAINER]);
	m->proc.workload = &m->workload;
	m->proc.user = text_of(m, d[STORE_DIM_USER]);
	m->proc.uid = UINT32_MAX;
	m->proc.exe = is_path ? text_of(m, d[STORE_DIM_APP]) : NULL;
	m->proc.comm = is_path ? NULL : text_of(m, d[STORE_DIM_APP]);
	f->proc = m->proc.exe || m->proc.comm ? &m->proc : NULL;
	if (addr_parse(d[STORE_DIM_NAME], &f->key.dst) < 0)
		f->name = text_of(m, d[STORE_DIM_NAME]);
	f->app = app_parse(d[STORE_DIM_PROTOCOL]);
	f->direction = direction_of(d[STORE_DIM_DIRECTION]);
	set_verdict(&f->verdict, d[STORE_DIM_VERDICT]);
	m->rule.text = d[STORE_DIM_RULE];
	f->verdict.rule = d[STORE_DIM_RULE].n ? &m->rule : NULL;
	m->place.segment = d[STORE_DIM_SEGMENT];
	snprintf(m->place.country, sizeof(m->place.country), "%.*s", STR_FMT(d[STORE_DIM_COUNTRY]));
	if (str_parse_u64(str_sub(d[STORE_DIM_ASN], 2, d[STORE_DIM_ASN].n), &asn) == 0)
		m->place.asn = (uint32_t)asn;
	f->place = &m->place;
	return f;
}
