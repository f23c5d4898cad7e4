/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record, one line of JSON. The order is that of reading: when and what, between whom, what it was, how much,
 * who did it, and what only egret knows. What is not known is not written.
 */
#include "store/eve_parts.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/time.h"
#include "decode/packet.h"
#include "detect/finding.h"
#include "flow/domain.h"
#include "flow/machines.h"
#include "flow/nat.h"
#include "flow/record.h"
#include "policy/locate.h"

static const char *event_type(enum record_type t)
{
	static const char *const names[] = {
		[RECORD_FLOW] = "flow",
		[RECORD_DNS] = "dns",
		[RECORD_TLS] = "tls",
		[RECORD_QUIC] = "quic",
		[RECORD_HTTP] = "http",
		[RECORD_SMTP] = "smtp",
		[RECORD_SSH] = "ssh",
		[RECORD_STATS] = "stats",
		[RECORD_PACKET_SOCKET] = "notice",
		[RECORD_DROP] = "drop",
		[RECORD_ALERT] = "alert",
		[RECORD_FINDING] = "alert",
		[RECORD_POLICY] = "notice",
	};

	return names[t];
}

static const char *vantage_name(enum eve_vantage v)
{
	static const char *const names[] = { "host", "gateway", "file" };

	return names[v];
}

/* `called`: what is refused at connect() has no end of its own yet. */
static void put_ends(struct json *j, const struct event_key *k, bool called)
{
	bool ports = flow_proto_has_ports(k->proto);
	char text[8];

	if (!called || !addr_is_unset(&k->src))
		eve_put_addr(j, "src_ip", &k->src);
	if (ports && (!called || k->sport))
		json_u64(j, "src_port", k->sport);
	eve_put_addr(j, "dest_ip", &k->dst);
	if (ports)
		json_u64(j, "dest_port", k->dport);
	json_text(j, "proto", flow_proto_name(k->proto, text));
	if (k->proto != IPPROTO_ICMP && k->proto != IPPROTO_ICMPV6)
		return;
	json_u64(j, "icmp_type", k->sport);
	if (!flow_icmp_is_asked(k->proto, k->sport))
		json_u64(j, "icmp_code", k->dport);
}

static void put_begin(struct json *j, const struct eve_format *fmt, const struct record *r)
{
	const struct flow *f = r->flow;
	bool drop = r->type == RECORD_DROP || r->type == RECORD_ALERT;
	char text[32];

	eve_put_time(j, "timestamp", r->time_ns);
	if (f) {
		json_u64(j, "flow_id", f->id);
		if (fmt->vantage != EVE_FILE)
			json_text(j, "in_iface",
				  eve_iface_name(f->ifindex, f->key.zone, r->time_ns));
	}
	json_text(j, "event_type", event_type(r->type));
	if (f) {
		put_ends(j, &f->key, false);
		json_text(j, "app_proto", app_name(f->app));
		flow_community_id(f, text);
		json_text(j, "community_id", text);
	} else if (drop && !r->drop->summary) {
		put_ends(j, &r->drop->key, true);
		if (r->drop->app)
			json_text(j, "app_proto", app_name((enum app_proto)r->drop->app));
	}
	if (r->type == RECORD_FINDING)
		eve_put_finding_ends(j, r->finding);
	json_text(j, "host", fmt->host);
}

static void put_flow(struct json *j, const struct record *r)
{
	const struct flow *f = r->flow;
	const struct flow_half *up = &f->half[TO_SERVER], *down = &f->half[TO_CLIENT];
	uint64_t end_ns = f->last_ns > f->start_ns ? f->last_ns : f->start_ns;

	json_object_begin(j, "flow");
	json_u64(j, "pkts_toserver", up->packets);
	json_u64(j, "pkts_toclient", down->packets);
	json_u64(j, "bytes_toserver", up->bytes);
	json_u64(j, "bytes_toclient", down->bytes);
	eve_put_time(j, "start", f->start_ns);
	eve_put_time(j, "end", end_ns);
	json_u64(j, "age", (end_ns - f->start_ns) / NSEC_PER_SEC);
	json_text(j, "state", flow_state_name(f->state));
	if (r->flow_ends)
		json_text(j, "reason", flow_end_name(f->end));
	json_bool(j, "alerted", f->verdict.alerted);
	json_object_end(j);
}

static const char *tcp_state(const struct flow *f)
{
	if (f->state == FLOW_CLOSED)
		return "closed";
	if (f->state == FLOW_ESTABLISHED)
		return "established";
	return f->half[TO_CLIENT].tcp_flags & TCP_SYN ? "syn_recv" : "syn_sent";
}

static void put_hex(struct json *j, const char *key, uint8_t v)
{
	static const char hex[] = "0123456789abcdef";

	json_str(j, key, (struct str){ (char[]){ hex[v >> 4], hex[v & 15] }, 2 });
}

static void put_tcp(struct json *j, const struct flow *f)
{
	static const struct {
		uint8_t flag;
		const char *name;
	} flags[] = { { TCP_SYN, "syn" }, { TCP_FIN, "fin" }, { TCP_RST, "rst" },
		      { TCP_PSH, "psh" }, { TCP_ACK, "ack" }, { TCP_URG, "urg" },
		      { TCP_ECE, "ecn" }, { TCP_CWR, "cwr" } };
	uint8_t up = f->half[TO_SERVER].tcp_flags, down = f->half[TO_CLIENT].tcp_flags;

	json_object_begin(j, "tcp");
	if (up | down) {
		put_hex(j, "tcp_flags", up | down);
		put_hex(j, "tcp_flags_ts", up);
		put_hex(j, "tcp_flags_tc", down);
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if ((up | down) & flags[i].flag)
			json_bool(j, flags[i].name, true);
	json_text(j, "state", tcp_state(f));
	json_object_end(j);
}

/* The answer whose question became the flow's name; without a name, the newest. */
static const struct name *answer_of(const struct flow *f)
{
	for (unsigned i = 0; i < f->n_names; i++)
		if (f->names[i]->asked == f->name)
			return f->names[i];
	return !f->name && f->n_names ? f->names[0] : NULL;
}

static void put_names(struct json *j, const struct flow *f)
{
	const struct name *answer = answer_of(f);
	struct str domain;

	if (f->name) {
		json_str(j, "name", text_str(f->name));
		json_text(j, "name_source", name_source_name(f->name_source));
	}
	/* Whether DNS gave the name, too, is what rules of a policy ask. */
	if (f->n_names > 1 || (f->n_names && (f->names[0]->asked != f->name ||
					      f->name_source != f->names[0]->source))) {
		json_array_begin(j, "names");
		for (unsigned i = 0; i < f->n_names; i++)
			json_str(j, NULL, text_str(f->names[i]->asked));
		json_array_end(j);
	}
	if (answer && answer->n_chain) {
		json_array_begin(j, "cname_chain");
		for (unsigned i = 0; i < answer->n_chain; i++)
			json_str(j, NULL, text_str(answer->chain[i]));
		json_array_end(j);
	}
	domain = f->name ? domain_of_text(f->name) : STR_NONE;
	if (domain.n)
		json_str(j, "registered_domain", domain);
}

/* Only the words for what is missing: absent where nobody could know (a capture). */
static const char *identity_gap(const struct flow *f)
{
	if (!f->live || f->forwarded)
		return NULL;
	if (f->owner_unknown)
		return "unknown: the kernel could not tell who owns the socket";
	if (!f->proc)
		return "unknown: no process was noted for the socket";
	if (f->proc->exe_state == EXE_UNKNOWN)
		return "partial: the process was gone before its executable could be read";
	return NULL;
}

static void put_payload(struct json *j, const struct flow *f)
{
	uint64_t up = f->half[TO_SERVER].payload, down = f->half[TO_CLIENT].payload;

	if (!f->payload_known)
		return;
	json_u64(j, "payload_toserver", up);
	json_u64(j, "payload_toclient", down);
	if (up || down)
		eve_put_ratio(j, "pcr", up, down);
}

static void put_tcp_health(struct json *j, const struct flow *f)
{
	/* 0 is a count only where each packet was looked at, not live and not from a log of flows. */
	bool counted = !f->live && (f->half[TO_SERVER].tcp_flags | f->half[TO_CLIENT].tcp_flags);

	if (!f->rtt_us && !f->retransmits && !f->resets && !counted)
		return;
	json_object_begin(j, "tcp");
	if (f->rtt_us)
		json_u64(j, "rtt_us", f->rtt_us);
	if (f->retransmits || counted)
		json_u64(j, "retransmits", f->retransmits);
	if (f->resets || counted)
		json_u64(j, "resets", f->resets);
	json_object_end(j);
}

/* The machine inside whose flow a gateway forwards. */
static void put_machine(struct json *j, const struct machine *m)
{
	char mac[MAC_TEXT_MAX];

	if (!m || !machine_source(m))
		return;
	json_object_begin(j, "machine");
	if (m->name)
		json_str(j, "name", text_str(m->name));
	if (m->has_mac)
		json_text(j, "mac", mac_format(m->mac, mac));
	json_text(j, "source", machine_source(m));
	json_object_end(j);
}

/* Where the flow's ends are on the other side of NAT. */
static void put_nat(struct json *j, const struct flow *f)
{
	bool ports = flow_proto_has_ports(f->key.proto);

	if (!f->nat)
		return;
	json_object_begin(j, "nat");
	eve_put_addr(j, "src_ip", &f->nat->src);
	if (ports)
		json_u64(j, "src_port", f->nat->sport);
	eve_put_addr(j, "dest_ip", &f->nat->dst);
	if (ports)
		json_u64(j, "dest_port", f->nat->dport);
	json_object_end(j);
}

static void put_flow_egret(struct json *j, const struct flow *f)
{
	put_payload(j, f);
	if (f->key.proto == IPPROTO_TCP)
		put_tcp_health(j, f);
	json_u64(j, "seq", f->seq);
	/* text and binary say nothing that the protocol does not */
	if (f->app == APP_UNKNOWN && f->first == FIRST_RANDOM)
		json_text(j, "first", flow_first_name(f->first));
	if (f->ja3)
		json_str(j, "ja3", text_str(f->ja3));
	if (f->ja4)
		json_str(j, "ja4", text_str(f->ja4));
}

/* The other side's place in the world, and which parts of our network are involved. */
static void put_places(struct json *j, struct locator *l, const struct flow *f)
{
	bool ours_opened = flow_up_side(f) == TO_SERVER;
	const struct location *is;

	json_object_begin(j, "segment");
	json_str(j, "from", locator_find(l, &f->key.src)->segment);
	json_str(j, "to", locator_find(l, &f->key.dst)->segment);
	json_object_end(j);
	is = locator_find(l, ours_opened ? &f->key.dst : &f->key.src);
	if (is->country[0])
		json_text(j, "country", is->country);
	if (is->asn)
		json_u64(j, "asn", is->asn);
	if (is->as_org.n)
		json_str(j, "as_org", is->as_org);
}

static void put_egret(struct json *j, const struct eve_format *fmt, const struct record *r)
{
	const struct flow *f = r->flow;

	json_object_begin(j, "egret");
	json_text(j, "direction", flow_direction_name(f->direction));
	json_text(j, "vantage", vantage_name(f->forwarded ? EVE_GATEWAY : fmt->vantage));
	json_bool(j, "mid_stream", f->mid_stream);
	put_names(j, f);
	if (r->type == RECORD_FLOW)
		eve_put_verdict(j, &f->verdict);
	put_machine(j, f->machine);
	json_text(j, "identity", identity_gap(f));
	if (f->proc)
		json_text(j, "exe_note", proc_exe_note(f->proc));
	if (r->type == RECORD_FLOW)
		put_nat(j, f);
	if (r->type == RECORD_FLOW && fmt->locator)
		put_places(j, fmt->locator, f);
	if (r->type == RECORD_FLOW)
		put_flow_egret(j, f);
	if (r->type == RECORD_TLS || r->type == RECORD_QUIC)
		eve_put_tls_egret(j, r->tls);
	json_object_end(j);
}

/* Losses first: whoever reads only the beginning still learns what is missing from all the rest. */
static void put_stats(struct json *j, const struct flow_table_stats *s)
{
	uint64_t lost = 0;

	for (int i = 0; i < LOSS_COUNT; i++)
		lost += s->loss[i];
	json_object_begin(j, "stats");
	json_u64(j, "lost_total", lost);
	json_object_begin(j, "lost");
	for (int i = 0; i < LOSS_COUNT; i++)
		json_u64(j, loss_name((enum loss_reason)i), s->loss[i]);
	json_object_end(j);
	json_object_begin(j, "unreported");
	json_u64(j, "pkts_tx", s->unreported.tx_packets);
	json_u64(j, "bytes_tx", s->unreported.tx_bytes);
	json_u64(j, "pkts_rx", s->unreported.rx_packets);
	json_u64(j, "bytes_rx", s->unreported.rx_bytes);
	json_object_end(j);
	json_object_begin(j, "refused");
	json_u64(j, "calls", s->refused_calls);
	json_u64(j, "pkts", s->refused_packets);
	json_u64(j, "bytes", s->refused_bytes);
	json_object_end(j);
	json_u64(j, "flows_now", s->flows_now);
	json_u64(j, "flows_total", s->flows_total);
	json_u64(j, "packets", s->packets);
	json_u64(j, "bytes", s->bytes);
	json_u64(j, "memory_bytes", s->memory_bytes);
	json_object_end(j);
}

static void put_packet_socket(struct json *j, const struct eve_format *fmt, const struct proc *p)
{
	eve_put_who(j, fmt, p);
	json_object_begin(j, "egret");
	json_text(j, "vantage", vantage_name(fmt->vantage));
	if (p)
		json_text(j, "exe_note", proc_exe_note(p));
	json_object_begin(j, "notice");
	json_text(j, "kind", "packet_socket");
	json_text(j, "text",
		  "a packet socket was opened: what is sent through it bypasses IP and is not in "
		  "flow records");
	json_object_end(j);
	json_object_end(j);
}

/* What became of a version of the fleet's policy here. */
static void put_policy(struct json *j, const struct eve_format *fmt, const struct record_policy *p)
{
	json_object_begin(j, "egret");
	json_text(j, "vantage", vantage_name(fmt->vantage));
	json_object_begin(j, "notice");
	json_text(j, "kind", "fleet_policy");
	json_text(j, "text", p->state);
	json_u64(j, "version", p->version);
	if (p->group.n)
		json_str(j, "group", p->group);
	if (p->stage.n)
		json_str(j, "stage", p->stage);
	if (p->file.n)
		json_str(j, "policy", p->file);
	if (p->reason.n)
		json_str(j, "reason", p->reason);
	json_u64(j, "rules", p->rules);
	json_f64(j, "refusals_before", p->before);
	json_f64(j, "refusals_after", p->after);
	json_u64(j, "watched", p->watched);
	json_u64(j, "would_refuse", p->would_refuse);
	json_object_end(j);
	json_object_end(j);
}

static void put_drop_egret(struct json *j, const struct eve_format *fmt, const struct record *r)
{
	const struct proc *p = r->drop->proc;

	json_object_begin(j, "egret");
	if (r->flow) {
		json_text(j, "direction", flow_direction_name(r->flow->direction));
		put_names(j, r->flow);
		put_machine(j, r->flow->machine);
	}
	eve_put_drop_egret(j, r);
	json_text(j, "vantage", vantage_name(r->drop->forwarded ? EVE_GATEWAY : fmt->vantage));
	if (p)
		json_text(j, "exe_note", proc_exe_note(p));
	json_object_end(j);
}

static void put_drop_record(struct json *j, const struct eve_format *fmt, const struct record *r)
{
	if (r->type == RECORD_ALERT)
		eve_put_alert(j, r);
	else
		eve_put_drop(j, r);
	if (r->drop->summary)
		eve_put_program(j, r->drop->proc);
	else
		eve_put_who(j, fmt, r->drop->proc);
	put_drop_egret(j, fmt, r);
}

static void put_finding_record(struct json *j, const struct eve_format *fmt,
			       const struct finding *f)
{
	eve_put_finding_alert(j, f);
	eve_put_who(j, fmt, f->proc);
	json_object_begin(j, "egret");
	json_text(j, "vantage", vantage_name(fmt->vantage));
	if (f->proc)
		json_text(j, "exe_note", proc_exe_note(f->proc));
	eve_put_finding(j, f);
	json_object_end(j);
}

static void put_flow_record(struct json *j, const struct eve_format *fmt, const struct record *r)
{
	if (r->type == RECORD_FLOW) {
		put_flow(j, r);
		if (r->flow->key.proto == IPPROTO_TCP)
			put_tcp(j, r->flow);
	} else {
		eve_put_app(j, r);
	}
	eve_put_who(j, fmt, r->flow->proc);
	put_egret(j, fmt, r);
}

void eve_format(const struct eve_format *fmt, const struct record *r, struct buf *out)
{
	struct json j = JSON_INIT(out);
	size_t from = out->n;

	json_object_begin(&j, NULL);
	put_begin(&j, fmt, r);
	if (r->type == RECORD_STATS)
		put_stats(&j, r->stats);
	else if (r->type == RECORD_PACKET_SOCKET)
		put_packet_socket(&j, fmt, r->proc);
	else if (r->type == RECORD_POLICY)
		put_policy(&j, fmt, r->policy);
	else if (r->type == RECORD_DROP || r->type == RECORD_ALERT)
		put_drop_record(&j, fmt, r);
	else if (r->type == RECORD_FINDING)
		put_finding_record(&j, fmt, r->finding);
	else
		put_flow_record(&j, fmt, r);
	json_object_end(&j);
	buf_putc(out, '\n');
	if (out->failed)
		out->n = from; /* never half a line */
}
