/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the decoders read becomes the flow's name and fingerprints, and a record. Facts that a log brings
 * (EVENT_FACT) take the same way.
 */
#include "base/addr.h"
#include "flow/table.h"

static struct text *keep(struct flow_table *t, struct str s)
{
	struct text *text = intern_get(t->cfg.texts, s);

	if (!text)
		t->stats.loss[LOSS_TABLE_TEXTS]++;
	return text;
}

static void keep_once(struct flow_table *t, struct text **at, const char *s)
{
	if (!*at && s && *s)
		*at = keep(t, str_of(s));
}

/* A name that the client itself sent beats what its resolver was told about the address. */
static int rank(enum name_source s)
{
	switch (s) {
	case NAME_SNI:
	case NAME_QUIC:
		return 3;
	case NAME_HTTP:
		return 2;
	case NAME_DNS:
	case NAME_HOSTS:
		return 1;
	case NAME_NONE:
		break;
	}
	return 0;
}

/* Takes the name, lower-cased, unless a better one is known or it is none (an address, odd bytes). */
void facts_name(struct flow_table *t, struct flow *f, struct str name, enum name_source source)
{
	char lower[255];
	struct addr a;
	struct text *text;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!name.n || name.n > sizeof(lower) || rank(source) <= rank(f->name_source) ||
	    addr_parse(name, &a) == 0)
		return;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c == 0x7f)
			return;
		lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	text = keep(t, (struct str){ lower, name.n });
	if (!text)
		return;
	intern_put(t->cfg.texts, f->name);
	f->name = text;
	f->name_source = source;
}

/* Names of the responder's address, once: those that were known when the flow began, else the first later ones. */
void facts_dns_names(struct flow_table *t, struct flow *f)
{
	if (f->n_names || f->flags & FLOW_LOCAL_IS_DST)
		return;
	f->n_names = (uint8_t)name_table_find(t->cfg.names, f->live ? NULL : &f->key.src,
					      &f->key.dst, t->now_ns, f->names);
	if (!f->n_names || f->name_source != NAME_NONE)
		return;
	f->name = text_ref(f->names[0]->asked);
	f->name_source = f->names[0]->source;
}

static void emit_tls(struct flow_table *t, struct flow *f, const struct record_tls *tls, bool quic)
{
	struct record r = { .type = quic ? RECORD_QUIC : RECORD_TLS, .flow = f, .tls = tls };

	facts_name(t, f, tls->sni, quic ? NAME_QUIC : NAME_SNI);
	keep_once(t, &f->ja3, tls->ja3);
	keep_once(t, &f->ja4, tls->ja4);
	facts_dns_names(t, f);
	record_emit(t, &r);
}

void facts_hello(struct flow_table *t, struct flow *f, const struct tls_hello *h,
		 const char *quic_version)
{
	struct tls_fingerprint print;
	struct record_tls tls = { .sni = h->sni, .quic_version = quic_version, .ech = h->ech };
	char version[16];

	tls_fingerprint(h, &print);
	tls.version = tls_version_name(h->version, version);
	tls.n_alpns = h->n_alpns;
	memcpy(tls.alpns, h->alpns, sizeof(tls.alpns));
	if (print.ja3[0]) {
		buf_clear(&t->ja3);
		ja3_string(h, &t->ja3);
		tls.ja3 = print.ja3;
		tls.ja3_string = buf_str(&t->ja3);
	}
	if (print.ja4[0]) {
		buf_clear(&t->ja4);
		ja4_raw(h, &t->ja4);
		tls.ja4 = print.ja4;
		tls.ja4_raw = buf_str(&t->ja4);
	}
	if (f->app == APP_TLS && app_tls_is_tor_like(h))
		f->app = APP_TOR;
	emit_tls(t, f, &tls, h->transport == TLS_OVER_QUIC);
}

void facts_gquic(struct flow_table *t, struct flow *f, struct str sni, struct str ua,
		 const char *version)
{
	struct record_tls tls = { .sni = sni, .user_agent = ua, .quic_version = version };

	emit_tls(t, f, &tls, true);
}

void facts_smtp(struct flow_table *t, struct flow *f, const struct smtp_envelope *m)
{
	struct record r = { .type = RECORD_SMTP, .flow = f, .smtp = m };

	record_emit(t, &r);
}

void facts_ssh(struct flow_table *t, struct flow *f, const struct record_ssh *s)
{
	struct record r = { .type = RECORD_SSH, .flow = f, .ssh = s };

	record_emit(t, &r);
}

/* --- from a log --------------------------------------------------------------------------------------------------- */

static const char *copy(struct str s, char *to, size_t size)
{
	if (!s.n || s.n >= size)
		return NULL;
	memcpy(to, s.p, s.n);
	to[s.n] = 0;
	return to;
}

/* Zeek writes "TLSv13" and "DTLSv12" where everybody else writes "TLS 1.3" and "DTLS 1.2". */
static const char *log_version(struct str s, char text[24])
{
	struct str dtls = STR("DTLSv1"), tls = STR("TLSv1");
	struct str p = str_has_prefix(s, dtls) ? dtls : tls;

	if (!str_has_prefix(s, p) || s.n != p.n + 1)
		return copy(s, text, 24);
	memcpy(text, p.p, p.n - 2);
	text[p.n - 2] = ' ';
	text[p.n - 1] = '1';
	text[p.n] = '.';
	text[p.n + 1] = s.p[s.n - 1];
	text[p.n + 2] = 0;
	return text;
}

static void log_tls(struct flow_table *t, struct flow *f, const struct event_fact *fact)
{
	struct record_tls tls = { .sni = fact->sni };
	char ja3[JA3_HASH_MAX], ja4[JA4_MAX], version[24];

	tls.version = log_version(fact->tls_version, version);
	tls.ja3 = copy(fact->ja3, ja3, sizeof(ja3));
	tls.ja4 = copy(fact->ja4, ja4, sizeof(ja4));
	if (fact->alpn.n)
		tls.alpns[tls.n_alpns++] = fact->alpn;
	if (f->app == APP_UNDECIDED)
		f->app = fact->quic ? APP_QUIC : APP_TLS;
	emit_tls(t, f, &tls, fact->quic);
}

static void log_http(struct flow_table *t, struct flow *f, const struct event_fact *fact)
{
	struct http_response response = { .status = fact->http_status };
	struct record_http h = { .response = fact->http_status ? &response : NULL };
	struct record r = { .type = RECORD_HTTP, .flow = f, .http = &h };

	if (!fact->http)
		return;
	h.request = *fact->http;
	if (f->app == APP_UNDECIDED)
		f->app = APP_HTTP;
	facts_name(t, f, http_host_name(h.request.host), NAME_HTTP);
	record_emit(t, &r);
}

void facts_event(struct flow_table *t, const struct event *e)
{
	enum flow_side side;
	struct flow *f = flow_find(t, e, &side);

	if (!f) {
		f = flow_create(t, e, false);
		if (!f)
			return;
		f->flags |= FLOW_LOG;
		f->payload_known = false;
		payload_stop(t, f);
		flow_set_class(t, f, IDLE_LOG);
	}
	if (e->time_ns > f->last_ns)
		f->last_ns = e->time_ns;
	switch (e->fact.kind) {
	case FACT_DNS:
		if (f->app == APP_UNDECIDED)
			f->app = APP_DNS;
		if (e->fact.dns)
			dns_message_known(t, f, e->fact.dns->response ? TO_CLIENT : TO_SERVER,
					  e->fact.dns);
		break;
	case FACT_TLS:
		log_tls(t, f, &e->fact);
		break;
	case FACT_HTTP:
		log_http(t, f, &e->fact);
		break;
	}
}
