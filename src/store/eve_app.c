/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of the application protocols: what was read from the first bytes of a flow, under EVE's names. */
#include "store/eve_parts.h"

#include "flow/record.h"

static void put_filled(struct json *j, const char *key, struct str v)
{
	if (v.n)
		json_str(j, key, v);
}

static void put_answer(struct json *j, const struct dns_record *a)
{
	char text[16];

	json_object_begin(j, NULL);
	json_str(j, "rrname", a->name);
	json_text(j, "rrtype", dns_type_name(a->type, text));
	json_u64(j, "ttl", a->ttl);
	put_filled(j, "rdata", a->rdata);
	json_object_end(j);
}

/* {"A":["192.0.2.1","192.0.2.2"],"CNAME":["…"]}: each type once, in the order of its first answer. */
static void put_grouped(struct json *j, const struct dns_message *m)
{
	bool done[DNS_MAX_ANSWERS] = { false };
	char text[16];

	json_object_begin(j, "grouped");
	for (unsigned i = 0; i < m->n_answers; i++) {
		if (done[i] || !m->answers[i].rdata.n)
			continue;
		json_array_begin(j, dns_type_name(m->answers[i].type, text));
		for (unsigned k = i; k < m->n_answers; k++) {
			if (m->answers[k].type != m->answers[i].type || !m->answers[k].rdata.n)
				continue;
			done[k] = true;
			json_str(j, NULL, m->answers[k].rdata);
		}
		json_array_end(j);
	}
	json_object_end(j);
}

static void put_dns_flags(struct json *j, const struct dns_message *m)
{
	if (m->authoritative)
		json_bool(j, "aa", true);
	if (m->truncated)
		json_bool(j, "tc", true);
	if (m->recursion_desired)
		json_bool(j, "rd", true);
	if (m->recursion_available)
		json_bool(j, "ra", true);
	json_u64(j, "opcode", m->opcode);
}

static void put_dns(struct json *j, const struct dns_message *m)
{
	char text[16];

	json_object_begin(j, "dns");
	json_u64(j, "version", 3);
	json_text(j, "type", m->response ? "response" : "request");
	json_u64(j, "id", m->id);
	put_dns_flags(j, m);
	if (m->response)
		json_text(j, "rcode", dns_rcode_name(m->rcode, text));
	json_array_begin(j, "queries");
	for (unsigned i = 0; i < m->n_questions; i++) {
		json_object_begin(j, NULL);
		json_str(j, "rrname", m->questions[i].name);
		json_text(j, "rrtype", dns_type_name(m->questions[i].type, text));
		json_object_end(j);
	}
	json_array_end(j);
	if (m->n_answers) {
		json_array_begin(j, "answers");
		for (unsigned i = 0; i < m->n_answers; i++)
			put_answer(j, &m->answers[i]);
		json_array_end(j);
		put_grouped(j, m);
	}
	json_object_end(j);
}

static void put_http(struct json *j, const struct record_http *h)
{
	const struct http_request *q = &h->request;
	const struct http_response *a = h->response;

	json_object_begin(j, "http");
	put_filled(j, "hostname", q->host);
	put_filled(j, "url", q->url);
	put_filled(j, "http_user_agent", q->user_agent);
	put_filled(j, "http_method", q->method);
	if (q->method.n || a)
		json_text(j, "protocol",
			  (q->method.n ? q->minor : a->minor) ? "HTTP/1.1" : "HTTP/1.0");
	if (a) {
		put_filled(j, "http_content_type", a->content_type);
		if (a->status)
			json_u64(j, "status", a->status);
		if (a->has_length)
			json_u64(j, "length", a->length);
	}
	json_object_end(j);
}

static void put_smtp(struct json *j, const struct smtp_envelope *m)
{
	json_object_begin(j, "smtp");
	put_filled(j, "helo", m->helo);
	put_filled(j, "mail_from", m->mail_from);
	if (m->n_rcpt) {
		json_array_begin(j, "rcpt_to");
		for (unsigned i = 0; i < m->n_rcpt; i++)
			json_str(j, NULL, m->rcpt_to[i]);
		json_array_end(j);
	}
	json_object_end(j);
}

static void put_ssh_side(struct json *j, const char *key, const struct ssh_banner *b)
{
	if (!b->proto_version.n && !b->software_version.n)
		return;
	json_object_begin(j, key);
	put_filled(j, "proto_version", b->proto_version);
	put_filled(j, "software_version", b->software_version);
	json_object_end(j);
}

static void put_ssh(struct json *j, const struct record_ssh *s)
{
	json_object_begin(j, "ssh");
	put_ssh_side(j, "client", &s->client);
	put_ssh_side(j, "server", &s->server);
	json_object_end(j);
}

void eve_put_app(struct json *j, const struct record *r)
{
	switch (r->type) {
	case RECORD_DNS:
		put_dns(j, r->dns);
		break;
	case RECORD_TLS:
		eve_put_tls(j, r->tls);
		break;
	case RECORD_QUIC:
		eve_put_quic(j, r->tls);
		break;
	case RECORD_HTTP:
		put_http(j, r->http);
		break;
	case RECORD_SMTP:
		put_smtp(j, r->smtp);
		break;
	case RECORD_SSH:
		put_ssh(j, r->ssh);
		break;
	case RECORD_FLOW:
	case RECORD_STATS:
	case RECORD_PACKET_SOCKET:
	case RECORD_DROP:
	case RECORD_ALERT:
	case RECORD_FINDING:
	case RECORD_POLICY:
		break;
	}
}
