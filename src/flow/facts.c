/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the decoders read becomes the flow's name and fingerprints, and a record. Facts that a log brings
 * (EVENT_FACT) take the same way.
 */
#include "base/addr.h"
#include "flow/table.h"

/* NULL: no room, and the loss was counted. */
struct text *facts_keep(struct flow_table *t, struct str s)
{
	struct text *text = intern_get(t->cfg.texts, s);

	if (!text)
		t->stats.loss[LOSS_TABLE_TEXTS]++;
	return text;
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
	text = facts_keep(t, (struct str){ lower, name.n });
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
		tls_log(t, f, &e->fact);
		break;
	case FACT_HTTP:
		log_http(t, f, &e->fact);
		break;
	}
}
