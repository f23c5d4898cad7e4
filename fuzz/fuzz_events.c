/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of events into a small flow table, where everything collides: few addresses, few flows, two
 * streams, times that jump. Payloads are taken from the input, so seeds carry real first bytes. Afterwards nothing may
 * be left that somebody forgot to give back, and the totals must be those of the events.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/time.h"
#include "decode/dns.h"
#include "flow/flow.h"
#include "flow/nat.h"
#include "flow/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t n;
};

static uint64_t checksum;

static uint8_t u8(struct input *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->p++;
}

static uint16_t u16(struct input *in)
{
	uint16_t v = u8(in);

	return (uint16_t)(v << 8 | u8(in));
}

static struct str take(struct input *in, size_t n)
{
	struct str s;

	if (n > in->n)
		n = in->n;
	s = (struct str){ (const char *)in->p, n };
	in->p += n;
	in->n -= n;
	return s;
}

/* Reads every byte, so that a sanitizer sees what is not there. */
static void touch(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		checksum += (uint8_t)s.p[i];
}

static void touch_flow(const struct flow *f)
{
	char id[32];

	if (f->nat)
		touch((struct str){ (const char *)f->nat, sizeof(*f->nat) });
	touch(text_str(f->name));
	touch(text_str(f->ja3));
	touch(text_str(f->ja4));
	for (size_t i = 0; i < f->n_names; i++) {
		touch(text_str(f->names[i]->asked));
		for (size_t k = 0; k < f->names[i]->n_chain; k++)
			touch(text_str(f->names[i]->chain[k]));
	}
	for (const struct proc *p = f->proc; p; p = p->parent) {
		touch(proc_name(p));
		touch(text_str(p->args));
	}
	flow_community_id(f, id);
	touch(str_of(id));
}

static uint64_t told; /* refusals that records tell of */

static bool rule_words(void *ctx, uint32_t gen, uint16_t rule, struct verdict_rule *ret)
{
	ret->text = STR("deny to example.org");
	ret->log = rule & 1;
	ret->alert = rule & 2;
	return gen & 1;
}

static void touch_certificate(const struct record_certificate *c)
{
	touch(c->subject);
	touch(c->issuer);
	touch(c->common_name);
	touch(c->serial);
	if (c->x509)
		touch(c->x509->der);
}

static void on_record(void *ctx, const struct record *r)
{
	if (r->flow)
		touch_flow(r->flow);
	switch (r->type) {
	case RECORD_TLS:
	case RECORD_QUIC:
		touch(r->tls->sni);
		touch(r->tls->ja3_string);
		touch(r->tls->ja4_raw);
		touch(r->tls->user_agent);
		touch(r->tls->ja3s_string);
		touch(r->tls->server_alpn);
		if (r->tls->certificate)
			touch_certificate(r->tls->certificate);
		for (size_t i = 0; i < r->tls->n_alpns; i++)
			touch(r->tls->alpns[i]);
		break;
	case RECORD_HTTP:
		touch(r->http->request.method);
		touch(r->http->request.url);
		touch(r->http->request.host);
		touch(r->http->request.user_agent);
		if (r->http->response)
			touch(r->http->response->content_type);
		break;
	case RECORD_SMTP:
		touch(r->smtp->helo);
		touch(r->smtp->mail_from);
		for (size_t i = 0; i < r->smtp->n_rcpt; i++)
			touch(r->smtp->rcpt_to[i]);
		break;
	case RECORD_SSH:
		touch(r->ssh->client.software_version);
		touch(r->ssh->server.software_version);
		break;
	case RECORD_DNS:
		for (size_t i = 0; i < r->dns->n_answers; i++)
			touch(r->dns->answers[i].rdata);
		break;
	case RECORD_DROP:
		told += r->drop->calls + r->drop->packets;
		/* fall through */
	case RECORD_ALERT:
	case RECORD_FINDING:
		if (r->drop->proc)
			touch(proc_name(r->drop->proc));
		if (r->drop->rule)
			touch(r->drop->rule->text);
		for (size_t i = 0; i < r->drop->n_names; i++)
			touch(text_str(r->drop->names[i]->asked));
		break;
	case RECORD_PACKET_SOCKET:
		touch(proc_name(r->proc));
		break;
	case RECORD_POLICY:
		touch(r->policy->group);
		break;
	case RECORD_FLOW:
	case RECORD_STATS:
		break;
	}
}

static void fill_key(struct event_key *k, struct input *in)
{
	static const uint16_t ports[] = { 53, 443, 80, 25, 22, 40000, 40001, 5353 };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };
	uint8_t a[4] = { 10, 0, 0, 0 }, b = u8(in);

	a[3] = b & 1;
	k->src = addr_from_v4(a);
	a[3] = b >> 1 & 1;
	k->dst = addr_from_v4(a);
	k->proto = protos[b >> 2 & 3];
	b = u8(in);
	k->sport = ports[b & 7];
	k->dport = ports[b >> 3 & 7];
	k->zone = b >> 7;
}

static void fill_counts(struct event_counts *c, struct input *in)
{
	c->tx_packets = u16(in);
	c->tx_bytes = c->tx_packets * 100;
	c->rx_packets = u8(in);
	c->tx_payload = u8(in) & 1 ? UINT64_MAX : c->tx_bytes;
}

static void fill_packet(struct event_packet *p, struct input *in)
{
	uint8_t b = u8(in);

	p->packets = b & 1;
	p->cut = b & 2;
	p->tcp_flags = u8(in);
	p->seq = (uint32_t)u16(in) + (b & 4 ? 0xffff8000u : 0);
	p->ack = (uint32_t)u16(in) + (b & 8 ? 0xffff8000u : 0);
	p->payload = take(in, u16(in) & (b & 16 ? 0x7ff : 0x3f));
	p->payload_bytes = (uint32_t)p->payload.n + (p->cut ? b : 0);
	p->ip_bytes = 40 + p->payload_bytes;
}

static void fill_proc(struct event_proc *p, struct input *in)
{
	uint8_t b = u8(in);

	p->change = b % (PROC_PACKET_SOCKET + 1);
	/* Far above any pid_max: nothing is read of this host's processes. */
	p->pid = 0x7fff0000u + (u8(in) & 7);
	p->ppid = 0x7fff0000u + (u8(in) & 7);
	p->start_ns = (b >> 4) * NSEC_PER_SEC;
	p->uid = u8(in) & 1;
	p->exe = take(in, b & 15);
	p->args = take(in, u8(in) & 63);
}

static void fill_verdict(struct event_verdict *v, struct input *in)
{
	uint8_t b = u8(in), c = u8(in);

	*v = (struct event_verdict){ .gen = b & 3,
				     .rule = b >> 2 & 7,
				     .action = 1 + (b >> 5 & 3),
				     .refused = c & 1,
				     .would_refuse = c & 2,
				     .final = c & 4,
				     .summary = c & 8,
				     .at = c >> 4 & 3,
				     .calls = c & 1 ? c >> 6 : 0,
				     .packets = c & 1 ? 1 : 0,
				     .bytes = c,
				     .cookie = b & 3 };
	v->who = (struct event_open){ .pid = 0x7fff0000u + (c >> 2 & 7), .n_names = 1 };
	v->who.names[0] = take(in, c & 31);
}

static void fill_fact(struct event_fact *f, struct http_request *q, struct input *in)
{
	f->kind = u8(in) & 1 ? FACT_TLS : FACT_HTTP;
	f->sni = q->host = take(in, u8(in) & 31);
	f->ja3 = f->ja4 = f->tls_version = take(in, u8(in) & 63);
	f->subject = f->issuer = f->fingerprint = f->ja3s = f->ja3;
	f->covers_sni = f->ja3.n & 1 ? FACT_YES : FACT_UNKNOWN;
	f->http = q;
}

static void one_event(struct flow_table *t, struct input *in, uint64_t *now, bool live,
		      uint64_t *packets)
{
	struct event e = { 0 };
	struct http_request q = { 0 };
	uint8_t b = u8(in);

	*now += b & 0x80 ? (uint64_t)u8(in) * NSEC_PER_SEC : NSEC_PER_MSEC;
	e.time_ns = b & 0x40 ? *now - NSEC_PER_SEC : *now;
	e.type = live           ? b % (EVENT_TICK + 1)
		 : (b & 7) == 0 ? EVENT_CLOSE
		 : (b & 7) == 1 ? EVENT_FACT
				: EVENT_PACKET;
	e.dir = !live ? EVENT_DIR_NONE : b & 0x20 ? EVENT_DIR_TX : EVENT_DIR_RX;
	fill_key(&e.key, in);
	switch (e.type) {
	case EVENT_PACKET:
		fill_packet(&e.packet, in);
		*packets += e.packet.packets;
		break;
	case EVENT_OPEN:
		b = u8(in);
		e.open = (struct event_open){ .cookie = b & 3,
					      .pid = 0x7fff0000u + (b >> 2 & 7),
					      .uid = b >> 5 & 1,
					      .inbound = b & 0x40,
					      .owner_unknown = b & 0x80,
					      .forwarded = (b & 0x83) == 0x80,
					      .n_names = 1 };
		e.open.names[0] = take(in, u8(in) & 31);
		break;
	case EVENT_COUNT:
		fill_counts(&e.count, in);
		break;
	case EVENT_CLOSE:
		fill_counts(&e.close.counts, in);
		e.close.end = u8(in) % (END_FORCED + 1);
		break;
	case EVENT_PROC:
		fill_proc(&e.proc, in);
		break;
	case EVENT_FACT:
		e.dir = EVENT_DIR_NONE;
		fill_fact(&e.fact, &q, in);
		break;
	case EVENT_VERDICT:
		fill_verdict(&e.verdict, in);
		break;
	case EVENT_NAT:
		e.nat.change = u8(in) % (NAT_UNKNOWN + 1);
		fill_key(&e.nat.after, in);
		break;
	case EVENT_LOSS:
		e.loss.reason = u8(in);
		e.loss.count = 1;
		break;
	case EVENT_TICK:
		break;
	}
	flow_table_event(t, &e);
}

static void walk(void *ctx, const struct flow *f)
{
	size_t *n = ctx;

	touch_flow(f);
	(*n)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct flow_config cfg = { .max_flows = 12, .max_streams = 2 };
	struct proc_table_config procs = { .max = 8 };
	struct flow_table_stats stats;
	struct flow_table *t;
	uint64_t now = 1700000000 * NSEC_PER_SEC, packets = 0;
	uint8_t mode = u8(&in);
	size_t n = 0;

	if (intern_new(&cfg.texts, 64) < 0 || name_table_new(&cfg.names, cfg.texts, 4) < 0)
		abort();
	procs.texts = cfg.texts;
	if (mode & 1 && proc_table_new(&cfg.procs, &procs) < 0)
		abort();
	cfg.report_every_ns = mode & 2 ? NSEC_PER_SEC : 0;
	if (flow_table_new(&t, &cfg, (struct record_out){ on_record, NULL }) < 0)
		abort();
	flow_table_set_verdicts(t, (struct verdict_source){ .rule = rule_words },
				(struct flow_judge){ 0 });
	told = 0;
	while (in.n)
		one_event(t, &in, &now, mode & 1, &packets);
	flow_table_each(t, walk, &n);
	flow_table_stats(t, &stats);
	if (stats.flows_now != n || n > cfg.max_flows || (!(mode & 1) && stats.packets < packets))
		abort();
	flow_table_finish(t);
	if (told != stats.refused_calls + stats.refused_packets)
		abort(); /* a refusal is in no record */
	flow_table_free(t);
	proc_table_free(cfg.procs);
	name_table_free(cfg.names);
	if (intern_count(cfg.texts))
		abort(); /* a reference was not given back */
	intern_free(cfg.texts);
	return 0;
}
