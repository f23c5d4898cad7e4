/* SPDX-License-Identifier: Apache-2.0 */
#include "store/row_flow.h"

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/finding.h"
#include "flow/domain.h"

#define LATE_NS (300 * NSEC_PER_SEC)

static void fill_workload(struct store_who *w, const struct workload *load)
{
	if (!load)
		return;
	w->cgroup = text_str(load->cgroup);
	w->unit = text_str(load->unit);
	w->container_id = text_str(load->container_id);
	w->container_name = text_str(load->container_name);
	w->container_image = text_str(load->container_image);
	w->container_runtime = text_str(load->container_runtime);
}

/* False: nobody knows. */
static bool fill_who(struct store_who *w, const struct proc *p)
{
	if (!p)
		return false;
	w->pid = p->pid;
	w->ppid = p->ppid;
	w->start_ns = p->start_unix_ns;
	w->has_uid = true;
	w->uid = p->uid;
	w->exe_state = (uint8_t)p->exe_state;
	w->exe = text_str(p->exe);
	w->comm = text_str(p->comm);
	w->args = text_str(p->args);
	w->user = text_str(p->user);
	fill_workload(w, p->workload);
	for (const struct proc *up = p->parent; up && w->n_ancestors < STORE_ANCESTORS_MAX;
	     up = up->parent) {
		w->ancestors[w->n_ancestors].pid = up->pid;
		w->ancestors[w->n_ancestors].exe = text_str(up->exe);
		w->ancestors[w->n_ancestors++].comm = text_str(up->comm);
	}
	return true;
}

static void add_names(struct store_peer *p, struct name *const *names, size_t n)
{
	for (size_t i = 0; i < n && p->n_names < STORE_NAMES_MAX; i++)
		if (!str_eq(text_str(names[i]->asked), p->name))
			p->names[p->n_names++] = text_str(names[i]->asked);
}

static void fill_rule(struct store_rule *ret, const struct verdict_rule *rule)
{
	if (!rule)
		return;
	ret->line = rule->line;
	ret->file = rule->file;
	ret->text = rule->text;
	ret->note = rule->note;
}

static void fill_place(struct store_row *row, const struct store_places *places)
{
	const struct addr *there = row->key_is_ours_dst ? &row->key.src : &row->key.dst;

	if (places && places->place && !addr_is_unset(there))
		places->place(places->ctx, there, &row->peer);
}

/* Counters never go back, but for those of a flow whose socket was counted anew. */
static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void fill_counts(struct store_row *row, const struct flow *f, const struct store_kept *kept)
{
	enum flow_side up = flow_up_side(f), down = !up;

	row->up_bytes = since(f->half[up].bytes, kept->half[up].bytes);
	row->down_bytes = since(f->half[down].bytes, kept->half[down].bytes);
	row->up_packets = since(f->half[up].packets, kept->half[up].packets);
	row->down_packets = since(f->half[down].packets, kept->half[down].packets);
	row->payload_known = f->payload_known;
	if (f->payload_known) {
		row->up_payload = since(f->half[up].payload, kept->half[up].payload);
		row->down_payload = since(f->half[down].payload, kept->half[down].payload);
	}
	row->tcp_flags[0] = f->half[TO_SERVER].tcp_flags;
	row->tcp_flags[1] = f->half[TO_CLIENT].tcp_flags;
	row->retransmits = f->retransmits;
	row->resets = f->resets;
	row->rtt_us = f->rtt_us;
	row->refused_calls = since(f->verdict.calls, kept->refused_calls);
	row->refused_packets = since(f->verdict.packets, kept->refused_packets);
	row->refused_bytes = since(f->verdict.bytes, kept->refused_bytes);
}

static void fill_times(struct store_row *row, const struct flow *f, const struct store_kept *kept,
		       bool ends, uint64_t now_ns)
{
	row->start_ns = f->start_ns;
	row->from_ns = kept->pieces ? kept->to_ns : f->start_ns;
	row->to_ns = MAX(f->last_ns, row->from_ns);
	if (ends && row->to_ns + LATE_NS < now_ns)
		row->to_ns = now_ns;
}

void store_row_of_flow(struct store_row *ret, const struct flow *f, const struct store_kept *kept,
		       bool ends, uint64_t boot, uint64_t now_ns, const struct store_places *places)
{
	static const struct store_kept none;

	kept = kept ? kept : &none;
	*ret = (struct store_row){
		.boot = boot, .flow_id = f->id, .seq = kept->pieces, .ends = ends
	};
	ret->key = f->key;
	ret->key_is_ours_dst = flow_up_side(f) == TO_CLIENT;
	fill_times(ret, f, kept, ends, now_ns);
	fill_counts(ret, f, kept);
	ret->state = (uint8_t)f->state;
	ret->end = (uint8_t)f->end;
	ret->direction = (uint8_t)f->direction;
	ret->app = (uint16_t)f->app;
	ret->mid_stream = f->mid_stream;
	ret->forwarded = f->forwarded;
	ret->ifindex = f->ifindex;
	ret->has_who = fill_who(&ret->who, f->proc);
	ret->peer.name = text_str(f->name);
	ret->peer.name_source = (uint8_t)f->name_source;
	ret->peer.domain = f->name ? domain_of_text(f->name) : STR_NONE;
	add_names(&ret->peer, f->names, f->n_names);
	fill_place(ret, places);
	ret->rule.action = f->verdict.action;
	ret->rule.would_refuse = f->verdict.would_refuse;
	ret->rule.refused = f->verdict.refused;
	fill_rule(&ret->rule, f->verdict.rule);
	ret->ja3 = text_str(f->ja3);
	ret->ja4 = text_str(f->ja4);
}

bool store_row_moved(const struct flow *f, const struct store_kept *kept)
{
	if (!kept)
		return f->half[0].packets || f->half[1].packets || f->verdict.calls ||
		       f->verdict.packets;
	return f->half[0].bytes != kept->half[0].bytes || f->half[1].bytes != kept->half[1].bytes ||
	       f->verdict.calls != kept->refused_calls ||
	       f->verdict.packets != kept->refused_packets;
}

void store_kept_now(struct store_kept *kept, const struct flow *f, const struct store_row *row)
{
	memcpy(kept->half, f->half, sizeof(kept->half));
	kept->to_ns = row->to_ns;
	kept->refused_calls = f->verdict.calls;
	kept->refused_packets = f->verdict.packets;
	kept->refused_bytes = f->verdict.bytes;
	kept->pieces++;
}

void store_name_of_record(struct store_name *ret, const struct record *r, uint64_t boot)
{
	const struct dns_message *m = r->dns;
	const struct flow *f = r->flow;

	*ret = (struct store_name){ .boot = boot, .time_ns = r->time_ns, .rcode = m->rcode };
	if (m->n_questions) {
		ret->name = m->questions[0].name;
		ret->type = m->questions[0].type;
	}
	for (size_t i = 0; i < m->n_answers && ret->n_answers < STORE_ANSWERS_MAX; i++) {
		ret->ttl = i ? MIN(ret->ttl, m->answers[i].ttl) : m->answers[i].ttl;
		ret->answers[ret->n_answers++] = m->answers[i].rdata;
	}
	if (!f)
		return;
	ret->flow_id = f->id;
	ret->resolver = f->key.dst;
	ret->port = f->key.dport;
	ret->has_who = fill_who(&ret->who, f->proc);
}

void store_finding_of_record(struct store_finding *ret, const struct record *r, uint64_t boot)
{
	const struct finding *f = r->finding;

	*ret = (struct store_finding){ .boot = boot,
				       .time_ns = r->time_ns,
				       .id = str_of(f->id),
				       .state = str_of(finding_state_name(f->state)),
				       .level = str_of(severity_name(f->severity)),
				       .class = str_of(finding_class_name(f->class)),
				       .detector = str_of(f->detector),
				       .entity = f->entity,
				       .peer = f->peer,
				       .name = f->name,
				       .score_db = f->score_db,
				       .acked = f->acked,
				       .addr = f->addr };
}

void store_row_of_drop(struct store_row *ret, const struct record *r, uint64_t boot,
		       const struct store_places *places)
{
	const struct record_drop *d = r->drop;
	struct store_peer *p = &ret->peer;

	*ret = (struct store_row){
		.boot = boot, .ends = true, .state = FLOW_CLOSED, .direction = FLOW_EGRESS
	};
	ret->key = d->key;
	ret->to_ns = r->time_ns;
	ret->start_ns = ret->from_ns = d->summary ? MIN(d->since_ns, r->time_ns) : r->time_ns;
	ret->app = d->app;
	ret->forwarded = d->forwarded;
	ret->refused_calls = d->calls;
	ret->refused_packets = d->packets;
	ret->refused_bytes = d->bytes;
	ret->has_who = fill_who(&ret->who, d->proc);
	if (d->visible_name.n) {
		p->name = d->visible_name;
		p->name_source = (uint8_t)d->visible_source;
	} else if (d->n_names) {
		p->name = text_str(d->names[0]->asked);
		p->name_source = d->names[0]->source;
	}
	p->domain = domain_of(p->name);
	add_names(p, d->names, d->n_names);
	fill_place(ret, places);
	ret->rule.action = d->action;
	ret->rule.would_refuse = d->would_refuse;
	ret->rule.refused = d->refused;
	fill_rule(&ret->rule, d->rule);
}
