/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of all logs but dns.log. */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "decode/packet.h"
#include "detect/finding.h"
#include "flow/record.h"
#include "store/zeek_row.h"

#define FLOW_FIELDS "ts uid id.orig_h id.orig_p id.resp_h id.resp_p "
#define FLOW_TYPES "time string addr port addr port "

const struct zeek_columns zeek_columns[ZEEK_FILES] = {
	[ZEEK_CONN] = { "conn",
			FLOW_FIELDS
			"proto service duration orig_bytes resp_bytes conn_state local_orig "
			"local_resp "
			"missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes "
			"tunnel_parents ip_proto community_id",
			FLOW_TYPES "enum string interval count count string bool bool count string "
				   "count count "
				   "count count set[string] count string" },
	[ZEEK_DNS] = { "dns",
		       FLOW_FIELDS "proto trans_id rtt query qclass qclass_name qtype qtype_name "
				   "rcode rcode_name "
				   "AA TC RD RA Z answers TTLs rejected",
		       FLOW_TYPES "enum count interval string count string count string count "
				  "string bool bool "
				  "bool bool count vector[string] vector[interval] bool" },
	[ZEEK_SSL] = { "ssl",
		       FLOW_FIELDS "version cipher curve server_name resumed last_alert "
				   "next_protocol established "
				   "ssl_history cert_chain_fps client_cert_chain_fps subject "
				   "issuer client_subject "
				   "client_issuer sni_matches_cert ja3 ja3s ja4",
		       FLOW_TYPES
		       "string string string string bool string string bool string vector[string] "
		       "vector[string] string string string string bool string string string" },
	[ZEEK_HTTP] = { "http",
			FLOW_FIELDS
			"trans_depth method host uri referrer version user_agent origin "
			"request_body_len response_body_len status_code status_msg info_code "
			"info_msg "
			"tags username password proxied orig_fuids orig_filenames orig_mime_types "
			"resp_fuids resp_filenames resp_mime_types",
			FLOW_TYPES
			"count string string string string string string string count count count "
			"string count string set[enum] string string set[string] vector[string] "
			"vector[string] vector[string] vector[string] vector[string] "
			"vector[string]" },
	[ZEEK_QUIC] = { "quic",
			FLOW_FIELDS
			"version client_initial_dcid client_scid server_scid server_name "
			"client_protocol history",
			FLOW_TYPES "string string string string string string string" },
	[ZEEK_NOTICE] = { "notice",
			  FLOW_FIELDS
			  "fuid file_mime_type file_desc proto note msg sub src dst p n peer_descr "
			  "actions email_dest suppress_for remote_location.country_code "
			  "remote_location.region remote_location.city remote_location.latitude "
			  "remote_location.longitude",
			  FLOW_TYPES
			  "string string string enum enum string string addr addr port count "
			  "string "
			  "set[enum] set[string] interval string string string double double" },
};

static void put_flow(struct buf *out, const struct flow *f, uint64_t time_ns)
{
	zeek_put_time(out, time_ns);
	zeek_put_uid(out, f->id);
	zeek_put_ends(out, &f->key);
}

static const char *proto_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		return "unknown_transport"; /* ip_proto says which */
	}
}

/* ---- conn.log ---- */

/* Where Zeek has another word for it. */
static const char *service_name(const struct flow *f)
{
	switch (f->app) {
	case APP_UNDECIDED:
	case APP_UNKNOWN:
		return NULL;
	case APP_TLS:
	case APP_TOR:
		return "ssl";
	case APP_QUIC:
		return f->ja4 ? "quic,ssl" : "quic"; /* the hello inside was read, or not */
	case APP_VNC:
		return "rfb";
	case APP_KERBEROS:
		return f->key.proto == IPPROTO_TCP ? "krb_tcp" : "krb";
	case APP_POSTGRES:
		return "postgresql";
	case APP_LDAP:
		return f->key.proto == IPPROTO_TCP ? "ldap_tcp" : "ldap_udp";
	default:
		return app_name(f->app);
	}
}

/* SYN and ACK of an opener whom nobody answered and who sent nothing: SYN/ACKs, whose SYN was not seen or never sent. */
static bool only_answers(const struct flow *f)
{
	const struct flow_half *h = &f->half[TO_SERVER];

	return !f->half[TO_CLIENT].packets && !h->payload &&
	       (h->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

/* What one side did to a TCP connection, as far as the union of its flags tells. */
struct tcp_side {
	bool syn, fin, rst;
};

/* A reset behind a proper end, and a FIN before a reset, do not decide: f->end says which came first. */
static struct tcp_side tcp_side(const struct flow *f, enum flow_side side)
{
	uint8_t flags = f->half[side].tcp_flags;
	bool reset = f->end == END_RESET || f->end == END_FAILED;

	return (struct tcp_side){ .syn = flags & TCP_SYN && (side == TO_CLIENT || !only_answers(f)),
				  .fin = flags & TCP_FIN && !reset,
				  .rst = flags & TCP_RST && reset };
}

/* The questions of Zeek's own script (base/protocols/conn), in its order. */
static const char *tcp_conn_state(const struct flow *f)
{
	struct tcp_side o = tcp_side(f, TO_SERVER), r = tcp_side(f, TO_CLIENT);
	const struct flow_half *down = &f->half[TO_CLIENT];

	if (!f->half[TO_SERVER].tcp_flags && !down->tcp_flags)
		return NULL;
	if (r.rst)
		return !o.syn ? "RSTRH" : r.syn ? "RSTR" : "REJ";
	if (o.rst)
		return r.syn ? "RSTO" : "RSTOS0";
	if (o.fin && r.fin)
		return "SF";
	if (o.fin)
		return r.syn ? "S2" : "SH";
	if (r.fin)
		return o.syn ? "S3" : "SHR";
	if (o.syn && r.syn)
		return "S1";
	return o.syn && (f->payload_known ? !down->payload : !down->packets) ? "S0" : "OTH";
}

static const char *conn_state(const struct flow *f)
{
	bool o = f->half[TO_SERVER].packets, r = f->half[TO_CLIENT].packets;

	if (f->key.proto == IPPROTO_TCP)
		return tcp_conn_state(f);
	if (f->key.proto != IPPROTO_UDP || (!o && !r))
		return "OTH";
	return o && r ? "SF" : o ? "S0" : "SHR";
}

/*
 * The letters that are known of a side, its letters in capitals for the opener: S or H (SYN with ACK), A, D, F, R. Each once, in the
 * order of a connection that goes well; which came first, and how often, is not kept.
 */
static void add_history(char **at, const struct flow *f, enum flow_side side, const char *letters)
{
	const struct flow_half *h = &f->half[side];
	uint8_t flags = h->tcp_flags;
	bool answers = side == TO_CLIENT || only_answers(f);
	/* Packets that are none of those with a letter of their own. */
	uint64_t others = h->packets,
		 own = !!(flags & TCP_SYN) + !!(flags & TCP_FIN) + !!(flags & TCP_RST);

	others -= others < own ? others : own;
	for (; *letters; letters++) {
		bool yes = *letters == 'S'   ? flags & TCP_SYN && !answers
			   : *letters == 'H' ? flags & TCP_SYN && answers
			   : *letters == 'A' ? flags & TCP_ACK && others
			   : *letters == 'D' ? f->payload_known && h->payload
			   : *letters == 'F' ? flags & TCP_FIN
					     : flags & TCP_RST;

		if (yes)
			*(*at)++ = (char)(side == TO_SERVER ? *letters : *letters | 0x20);
	}
}

static void put_history(struct buf *out, const struct flow *f)
{
	static const char *const stages[] = { "SH", "AD", "F", "R" };
	char text[16], *at = text;

	for (unsigned i = 0; i < 4; i++) {
		add_history(&at, f, TO_SERVER, stages[i]);
		add_history(&at, f, TO_CLIENT, stages[i]);
	}
	zeek_put(out, (struct str){ text, (size_t)(at - text) });
}

/* What counts as ours: told by the direction, where it tells. */
static void put_local(struct buf *out, const struct flow *f)
{
	if (f->direction != FLOW_EGRESS && f->direction != FLOW_INGRESS) {
		zeek_unset(out, 2);
		return;
	}
	zeek_put_bool(out, f->direction == FLOW_EGRESS);
	zeek_put_bool(out, f->direction == FLOW_INGRESS);
}

void zeek_conn_row(struct buf *out, const struct flow *f)
{
	const struct flow_half *up = &f->half[TO_SERVER], *down = &f->half[TO_CLIENT];
	bool has_payload = f->payload_known && flow_proto_has_ports(f->key.proto);
	char community[32];

	put_flow(out, f, f->start_ns);
	zeek_put_text(out, proto_name(f->key.proto));
	zeek_put_text(out, service_name(f));
	zeek_put_time(out, f->last_ns > f->start_ns ? f->last_ns - f->start_ns : 0);
	if (has_payload) {
		zeek_put_u64(out, up->payload);
		zeek_put_u64(out, down->payload);
	} else {
		zeek_unset(out, 2);
	}
	zeek_put_text(out, conn_state(f));
	put_local(out, f);
	zeek_unset(out, 1); /* missed_bytes */
	if (f->key.proto == IPPROTO_TCP || f->key.proto == IPPROTO_UDP)
		put_history(out, f);
	else
		zeek_unset(out, 1);
	zeek_put_u64(out, up->packets);
	zeek_put_u64(out, up->bytes);
	zeek_put_u64(out, down->packets);
	zeek_put_u64(out, down->bytes);
	zeek_unset(out, 1); /* tunnel_parents */
	zeek_put_u64(out, f->key.proto);
	flow_community_id(f, community);
	zeek_put_text(out, community);
	zeek_end_row(out);
}

/* ---- ssl.log, quic.log ---- */

/* "TLS 1.2" → "TLSv12", as Zeek has it. What the server chose; in QUIC there is one to choose from (RFC 9001 4.2). */
static void put_version(struct buf *out, const struct record *r)
{
	const struct record_tls *t = r->tls;
	const char *v =
		t->version && (t->version_chosen || r->type == RECORD_QUIC) ? t->version : "";
	const char *blank = strchr(v, ' ');
	char text[16];

	if (!blank) {
		zeek_put_text(out, v);
		return;
	}
	snprintf(text, sizeof(text), "%.*sv%.1s%s", (int)(blank - v), v, blank + 1, blank + 3);
	zeek_put_text(out, text);
}

static void put_cipher(struct buf *out, const struct record_tls *t, SSL *names)
{
	unsigned char code[2] = { (unsigned char)(t->cipher >> 8), (unsigned char)t->cipher };
	const SSL_CIPHER *c = t->answered ? SSL_CIPHER_find(names, code) : NULL;
	char text[16];

	snprintf(text, sizeof(text), "unknown-%u", t->cipher);
	zeek_put_text(out, c ? SSL_CIPHER_standard_name(c) : t->answered ? text : NULL);
}

static void put_fingerprint(struct buf *out, const struct record_certificate *c)
{
	struct zeek_list l = { .out = out };
	char text[65];

	if (c && (c->has_sha256 || c->has_sha1))
		zeek_list_add(&l, str_of(c->has_sha256 ? str_hex(c->sha256, sizeof(c->sha256), text)
						       : str_hex(c->sha1, sizeof(c->sha1), text)));
	zeek_list_end(&l);
}

void zeek_ssl_row(struct buf *out, const struct record *r, SSL *names)
{
	const struct record_tls *t = r->tls;
	const struct record_certificate *c = t->certificate;

	put_flow(out, r->flow, r->time_ns);
	put_version(out, r);
	put_cipher(out, t, names);
	zeek_unset(out, 1); /* curve */
	zeek_put(out, t->sni);
	zeek_unset(out, 2); /* resumed, last_alert */
	zeek_put(out, t->server_alpn);
	zeek_unset(out, 2); /* established, ssl_history */
	put_fingerprint(out, c);
	zeek_unset(out, 1); /* client_cert_chain_fps */
	zeek_put(out, c ? c->subject : STR_NONE);
	zeek_put(out, c ? c->issuer : STR_NONE);
	zeek_unset(out, 2); /* client_subject, client_issuer */
	if (c && c->covers_known)
		zeek_put_bool(out, c->covers_sni);
	else
		zeek_unset(out, 1);
	zeek_put_text(out, t->ja3);
	zeek_put_text(out, t->ja3s);
	zeek_put_text(out, t->ja4);
	zeek_end_row(out);
}

void zeek_quic_row(struct buf *out, const struct record *r)
{
	const struct record_tls *t = r->tls;

	put_flow(out, r->flow, r->time_ns);
	zeek_put_text(out, t->quic_version);
	zeek_unset(out, 3); /* connection ids */
	zeek_put(out, t->sni);
	zeek_put(out, t->n_alpns ? t->alpns[0] : STR_NONE);
	zeek_unset(out, 1); /* history */
	zeek_end_row(out);
}

/* ---- http.log ---- */

void zeek_http_row(struct buf *out, const struct record *r)
{
	const struct http_request *q = &r->http->request;
	const struct http_response *a = r->http->response;

	put_flow(out, r->flow, r->time_ns);
	zeek_unset(out, 1); /* trans_depth */
	zeek_put(out, q->method);
	zeek_put(out, q->host);
	zeek_put(out, q->url);
	zeek_unset(out, 1); /* referrer */
	if (q->method.n || a)
		zeek_put_text(out, (q->method.n ? q->minor : a->minor) ? "1.1" : "1.0");
	else
		zeek_unset(out, 1);
	zeek_put(out, q->user_agent);
	zeek_unset(out, 3); /* origin, request_body_len, response_body_len */
	if (a && a->status)
		zeek_put_u64(out, a->status);
	else
		zeek_unset(out, 1);
	zeek_unset(out, 13); /* status_msg … resp_mime_types */
	zeek_end_row(out);
}

/* ---- notice.log ---- */

/* "beacon" → "Egret::Beacon" */
static void put_note(struct buf *out, const char *detector)
{
	char text[64];

	snprintf(text, sizeof(text), "Egret::%c%s", detector[0] & ~0x20, detector + 1);
	zeek_put_text(out, text);
}

static void put_addr_or_unset(struct buf *out, const struct addr *a)
{
	if (a)
		zeek_put_addr(out, a);
	else
		zeek_unset(out, 1);
}

void zeek_notice_row(struct buf *out, const struct finding *f)
{
	const struct addr *src = f->has_source ? &f->source : NULL,
			  *dst = addr_is_unset(&f->addr) ? NULL : &f->addr;

	zeek_put_time(out, f->time_ns);
	if (f->n_flows)
		zeek_put_uid(out, f->flows[f->n_flows - 1]);
	else
		zeek_unset(out, 1);
	put_addr_or_unset(out, src);
	zeek_unset(out, 1); /* a finding is of many flows: it has no port of its own */
	put_addr_or_unset(out, dst);
	if (dst && f->port)
		zeek_put_u64(out, f->port);
	else
		zeek_unset(out, 1);
	zeek_unset(out, 3); /* fuid, file_mime_type, file_desc */
	zeek_put_text(out, dst ? proto_name(f->proto) : NULL);
	put_note(out, f->detector ?: "finding");
	zeek_put(out, f->explain);
	zeek_put(out, f->n_evidence ? str_of(f->evidence[0].what) : STR_NONE);
	put_addr_or_unset(out, src);
	put_addr_or_unset(out, dst);
	if (dst && f->port)
		zeek_put_u64(out, f->port);
	else
		zeek_unset(out, 1);
	zeek_put_u64(out, f->flows_total);
	zeek_unset(out, 1); /* peer_descr */
	zeek_put_text(out, "Notice::ACTION_LOG");
	zeek_unset(out, 7); /* email_dest, suppress_for, remote_location */
	zeek_end_row(out);
}
