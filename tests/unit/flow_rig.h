/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of the flow table: a table with all it borrows, packets in one line each, and the records it writes
 * as lines of text, so that a test says what came out in the words a reader knows.
 */
#pragma once

#include "test.h"

#include <netinet/in.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "decode/packet.h"
#include "flow/flow.h"
#include "flow/record.h"

#define T0 (1700000000 * NSEC_PER_SEC)
#define S "10.0.0.1" /* whoever opens, in most tests */
#define D "192.0.2.9"

struct rig {
	struct intern *texts;
	struct name_table *names;
	struct proc_table *procs;
	struct flow_table *t;
	struct buf out;
	uint64_t now; /* of the next event */
	bool stats;   /* also tell of stats records */
};

static inline struct addr rig_addr(const char *text)
{
	struct addr a;

	assert_ok(addr_parse(str_of(text), &a));
	return a;
}

static inline void rig_put_drop(struct buf *out, const struct record_drop *d)
{
	static const char *const at[] = { "connect", "send", "packet", "backstop" };

	buf_printf(out, " %s %lu/%lu/%lu", at[d->at], d->calls, d->packets, d->bytes);
	if (d->summary)
		buf_puts(out, " summary");
	if (d->proc)
		buf_printf(out, " by %.*s", STR_FMT(proc_name(d->proc)));
	if (d->n_names)
		buf_printf(out, " to %s", d->names[0]->asked->p);
	if (d->rule)
		buf_printf(out, " [%.*s]", STR_FMT(d->rule->text));
}

static inline void rig_on_record(void *ctx, const struct record *r)
{
	static const char *const types[] = { "flow",  "dns",     "tls",   "quic",          "http",
					     "smtp",  "ssh",     "stats", "packet-socket", "drop",
					     "alert", "finding", "policy" };
	struct rig *g = ctx;
	const struct flow *f = r->flow;
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];

	if (r->type == RECORD_STATS && !g->stats)
		return;
	buf_printf(&g->out, "%s", types[r->type]);
	if (f)
		buf_printf(&g->out, " %s:%u>%s:%u", addr_format(&f->key.src, a), f->key.sport,
			   addr_format(&f->key.dst, b), f->key.dport);
	if (f && f->app)
		buf_printf(&g->out, " %s", app_name(f->app));
	if (f && f->name)
		buf_printf(&g->out, " %s(%s)", f->name->p, name_source_name(f->name_source));
	switch (r->type) {
	case RECORD_FLOW:
		buf_printf(&g->out, " %lu/%lu", f->half[0].packets, f->half[1].packets);
		if (f->half[0].payload || f->half[1].payload)
			buf_printf(&g->out, " payload %lu/%lu", f->half[0].payload,
				   f->half[1].payload);
		if (f->retransmits)
			buf_printf(&g->out, " again %u", f->retransmits);
		if (f->resets)
			buf_printf(&g->out, " resets %u", f->resets);
		if (f->rtt_us)
			buf_printf(&g->out, " rtt %u", f->rtt_us);
		if (f->mid_stream)
			buf_puts(&g->out, " mid");
		if (f->owner_unknown)
			buf_puts(&g->out, " unowned");
		if (f->proc)
			buf_printf(&g->out, " by %.*s", STR_FMT(proc_name(f->proc)));
		buf_printf(&g->out, " %s", flow_state_name(f->state));
		if (r->flow_ends)
			buf_printf(&g->out, " %s", flow_end_name(f->end));
		break;
	case RECORD_TLS:
	case RECORD_QUIC:
		buf_printf(&g->out, " [%.*s %s]", STR_FMT(r->tls->sni),
			   r->tls->version ? r->tls->version : "-");
		if (r->tls->answered)
			buf_printf(&g->out, " by 0x%04x", r->tls->cipher);
		if (r->tls->certificate)
			buf_printf(&g->out, " certificate %.*s",
				   STR_FMT(r->tls->certificate->common_name));
		break;
	case RECORD_HTTP:
		buf_printf(&g->out, " [%.*s %.*s %.*s %u]", STR_FMT(r->http->request.method),
			   STR_FMT(r->http->request.host), STR_FMT(r->http->request.url),
			   r->http->response ? r->http->response->status : 0);
		break;
	case RECORD_DNS:
		buf_printf(&g->out, " [%s %.*s %u]", r->dns->response ? "r" : "q",
			   STR_FMT(r->dns->questions[0].name), r->dns->n_answers);
		break;
	case RECORD_SMTP:
		buf_printf(&g->out, " [%.*s %.*s]", STR_FMT(r->smtp->helo),
			   STR_FMT(r->smtp->mail_from));
		break;
	case RECORD_SSH:
		buf_printf(&g->out, " [%.*s %.*s]", STR_FMT(r->ssh->client.software_version),
			   STR_FMT(r->ssh->server.software_version));
		break;
	case RECORD_STATS:
		for (int i = 0; i < LOSS_COUNT; i++)
			if (r->stats->loss[i])
				buf_printf(&g->out, " %s=%lu", loss_name(i), r->stats->loss[i]);
		break;
	case RECORD_DROP:
	case RECORD_ALERT:
	case RECORD_FINDING:
		rig_put_drop(&g->out, r->drop);
		break;
	case RECORD_POLICY:
		buf_printf(&g->out, " %s %lu", r->policy->state, r->policy->version);
		break;
	case RECORD_PACKET_SOCKET:
		buf_printf(&g->out, " %.*s", STR_FMT(proc_name(r->proc)));
		break;
	}
	buf_putc(&g->out, '\n');
}

/* cfg: only limits and `inside`; `live`: with a process table. */
static inline void rig_start(struct rig *g, struct flow_config cfg, bool live)
{
	struct proc_table_config procs = { .max = 64, .boot_unix_ns = T0 - 1000 * NSEC_PER_SEC };

	*g = (struct rig){ .now = T0, .out = BUF_INIT(1 << 20) };
	assert_ok(intern_new(&g->texts, 10000));
	assert_ok(name_table_new(&g->names, g->texts, 1000));
	procs.texts = cfg.texts = g->texts;
	cfg.names = g->names;
	if (live)
		assert_ok(proc_table_new(&g->procs, &procs));
	cfg.procs = g->procs;
	assert_ok(flow_table_new(&g->t, &cfg, (struct record_out){ rig_on_record, g }));
}

/* Everything goes, and nothing may be left that somebody forgot to give back. */
static inline void rig_stop(struct rig *g)
{
	g->t = flow_table_free(g->t);
	g->procs = proc_table_free(g->procs);
	g->names = name_table_free(g->names);
	assert_int_equal(intern_count(g->texts), 0);
	g->texts = intern_free(g->texts);
	buf_done(&g->out);
}

#define rig_expect(g, want) rig_expect_at(g, want, __FILE__, __LINE__)
static inline void rig_expect_at(struct rig *g, const char *want, const char *file, int line)
{
	test_assert_str(buf_str(&g->out), want, file, line);
	buf_clear(&g->out);
}

static inline void rig_finish(struct rig *g)
{
	flow_table_finish(g->t);
}

static inline struct event rig_event(struct rig *g, enum event_type type, uint8_t proto,
				     const char *src, uint16_t sport, const char *dst,
				     uint16_t dport)
{
	return (struct event){ .type = type,
			       .time_ns = g->now,
			       .key = { .src = rig_addr(src),
					.dst = rig_addr(dst),
					.sport = sport,
					.dport = dport,
					.proto = proto } };
}

static inline void rig_wait(struct rig *g, uint64_t ns)
{
	struct event e = { .type = EVENT_TICK };

	g->now += ns;
	e.time_ns = g->now;
	flow_table_event(g->t, &e);
}

static inline void rig_udp(struct rig *g, const char *src, uint16_t sport, const char *dst,
			   uint16_t dport, struct str payload)
{
	struct event e = rig_event(g, EVENT_PACKET, IPPROTO_UDP, src, sport, dst, dport);

	e.packet = (struct event_packet){ .packets = 1,
					  .ip_bytes = 28 + (uint32_t)payload.n,
					  .payload_bytes = (uint32_t)payload.n,
					  .payload = payload };
	flow_table_event(g->t, &e);
	g->now += NSEC_PER_MSEC;
}

/* One side of a TCP connection as the test plays it: sequence numbers run by themselves. */
struct rig_tcp {
	struct rig *g;
	const char *client, *server;
	uint16_t cport, sport;
	uint32_t seq[2]; /* next of client and server */
};

static inline struct rig_tcp rig_tcp(struct rig *g, uint16_t cport, uint16_t sport)
{
	return (struct rig_tcp){ g, S, D, cport, sport, { 1000, 0xfffffff0u } };
}

/* A segment as given; `side` sent it. */
static inline void rig_segment(struct rig_tcp *c, int side, uint8_t flags, uint32_t seq,
			       struct str payload)
{
	struct event e = rig_event(c->g, EVENT_PACKET, IPPROTO_TCP, side ? c->server : c->client,
				   side ? c->sport : c->cport, side ? c->client : c->server,
				   side ? c->cport : c->sport);

	e.packet = (struct event_packet){ .packets = 1,
					  .ip_bytes = 40 + (uint32_t)payload.n,
					  .seq = seq,
					  .ack = c->seq[!side],
					  .tcp_flags = flags,
					  .payload_bytes = (uint32_t)payload.n,
					  .payload = payload };
	flow_table_event(c->g->t, &e);
	c->g->now += NSEC_PER_MSEC;
}

/* The next segment of a side. */
static inline void rig_send(struct rig_tcp *c, int side, struct str payload)
{
	rig_segment(c, side, TCP_ACK | TCP_PSH, c->seq[side], payload);
	c->seq[side] += (uint32_t)payload.n;
}

static inline void rig_flags(struct rig_tcp *c, int side, uint8_t flags)
{
	rig_segment(c, side, flags, c->seq[side], STR_NONE);
	c->seq[side] += !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

static inline void rig_connect(struct rig_tcp *c)
{
	rig_flags(c, 0, TCP_SYN);
	rig_flags(c, 1, TCP_SYN | TCP_ACK);
	rig_flags(c, 0, TCP_ACK);
}

static inline void rig_close(struct rig_tcp *c)
{
	rig_flags(c, 0, TCP_FIN | TCP_ACK);
	rig_flags(c, 1, TCP_FIN | TCP_ACK);
	rig_flags(c, 0, TCP_ACK);
}

static inline void rig_u16(struct buf *b, size_t v)
{
	buf_putc(b, (char)(v >> 8));
	buf_putc(b, (char)v);
}

/* A ClientHello of TLS 1.2 with a server name and `pad` bytes of padding (RFC 7685), in one record. */
static inline struct str rig_hello(struct buf *b, const char *sni, size_t pad)
{
	size_t n = strlen(sni), extensions = 4 + 5 + n + 4 + pad,
	       body = 2 + 32 + 1 + 4 + 2 + 2 + extensions;

	buf_clear(b);
	buf_put(b, "\x16\x03\x01", 3);
	rig_u16(b, body + 4);
	buf_put(b, "\x01\x00", 2);
	rig_u16(b, body);
	buf_put(b, "\x03\x03", 2);
	for (int i = 0; i < 32; i++)
		buf_putc(b, (char)(i * 7));
	buf_put(b, "\x00\x00\x02\x13\x01\x01\x00", 7);
	rig_u16(b, extensions);
	rig_u16(b, 0);
	rig_u16(b, 5 + n);
	rig_u16(b, 3 + n);
	buf_putc(b, 0);
	rig_u16(b, n);
	buf_puts(b, sni);
	rig_u16(b, 21);
	rig_u16(b, pad);
	for (size_t i = 0; i < pad; i++)
		buf_putc(b, 0);
	assert_false(b->failed);
	return buf_str(b);
}

/* What a server of TLS 1.3 answers: version, no session, cipher 0x1301, supported_versions. */
#define RIG_SERVER_HELLO                             \
	STR("\x16\x03\x03\0\x32\x02\0\0\x2e\x03\x03" \
	    "0123456789abcdef0123456789abcdef"       \
	    "\0\x13\x01\0\0\x06\0\x2b\0\x02\x03\x04")

static inline void rig_dns_name(struct buf *b, const char *name)
{
	struct str rest = str_of(name), label;

	while (str_cut(&rest, '.', &label)) {
		buf_putc(b, (char)label.n);
		buf_put_str(b, label);
	}
	buf_putc(b, 0);
}

/* A question for A, or with `addr` the answer: through CNAME `cname` if that is not NULL. */
static inline struct str rig_dns(struct buf *b, const char *name, const char *cname,
				 const char *addr, uint32_t ttl)
{
	buf_clear(b);
	buf_put(b, "\x12\x34", 2);
	buf_put(b, addr ? "\x81\x80" : "\x01\x00", 2);
	rig_u16(b, 1);
	rig_u16(b, !addr ? 0 : cname ? 2 : 1);
	rig_u16(b, 0);
	rig_u16(b, 0);
	rig_dns_name(b, name);
	buf_put(b, "\0\1\0\1", 4);
	if (addr && cname) {
		rig_dns_name(b, name);
		buf_put(b, "\0\5\0\1", 4);
		rig_u16(b, ttl >> 16);
		rig_u16(b, ttl);
		rig_u16(b, strlen(cname) + 2);
		rig_dns_name(b, cname);
	}
	if (addr) {
		struct addr a = rig_addr(addr);

		rig_dns_name(b, cname ? cname : name);
		buf_put(b, "\0\1\0\1", 4);
		rig_u16(b, ttl >> 16);
		rig_u16(b, ttl);
		rig_u16(b, 4);
		buf_put(b, a.b + 12, 4);
	}
	assert_false(b->failed);
	return buf_str(b);
}
