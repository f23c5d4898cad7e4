/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions that nobody on the way can read: DNS over HTTPS, TLS and QUIC to the servers that policy knows (policy/doh.c), or by
 * its own port and protocol; and Encrypted Client Hello. Ordinary for browsers and resolvers, a choice for anything else: worth a
 * little beside other evidence, and nothing by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "detect/detectors.h"
#include "detect/doh.h"
#include "policy/compile.h"

#define DOT_PORT 853 /* RFC 7858, RFC 9250 */
#define ECH_OUTER_NAME "cloudflare-ech.com"

struct doh_watch {
	size_t n;
	struct addr servers[]; /* sorted */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct addr));
}

static int start(struct detect *d)
{
	struct doh_watch *w;
	size_t n = 0;

	for (const struct doh_server *s = doh_servers; s->name.n; s++)
		for (const char *const *a = s->addresses; a && *a; a++)
			n++;
	w = d->doh = calloc(1, sizeof(*w) + n * sizeof(*w->servers));
	if (!w)
		return -ENOMEM;
	for (const struct doh_server *s = doh_servers; s->name.n; s++)
		for (const char *const *a = s->addresses; a && *a; a++)
			if (addr_parse(str_of(*a), &w->servers[w->n]) == 0)
				w->n++;
	qsort(w->servers, w->n, sizeof(*w->servers), compare);
	return 0;
}

static void stop(struct detect *d)
{
	free(d->doh);
	d->doh = NULL;
}

bool doh_is_server(const struct detect *d, const struct addr *a)
{
	return bsearch(a, d->doh->servers, d->doh->n, sizeof(*d->doh->servers), compare);
}

static bool is_server_name(struct str name)
{
	for (const struct doh_server *s = doh_servers; s->name.n; s++) {
		size_t n = s->name.n;

		if (name.n >= n && str_eq(str_sub(name, name.n - n, n), s->name) &&
		    (name.n == n || name.p[name.n - n - 1] == '.'))
			return true;
	}
	return false;
}

static bool is_usual(const struct entity *e)
{
	return e->is_resolver || e->class == PROGRAM_BROWSER;
}

static int weight(const struct entity *e)
{
	if (!e->is_program)
		return 2; /* a machine with a browser, most likely */
	switch (e->class) {
	case PROGRAM_UNKNOWN:
	case PROGRAM_SHELL:
	case PROGRAM_INTERPRETER:
	case PROGRAM_RELAY:
		return 4;
	default:
		return 3;
	}
}

static void say(struct detect *d, struct pair *p, const struct flow *f, const char *how)
{
	char what[128];

	snprintf(what, sizeof(what), "asks for names over %s, which nobody on the way can read",
		 how);
	detect_evidence(d, p, E_DOH,
			&(struct evidence_in){ .db = weight(p->entity),
					       .measured = f->key.dport,
					       .n = p->flows,
					       .flow_id = f->id,
					       .what = what });
}

static bool offers(const struct record_tls *t, struct str protocol)
{
	for (unsigned i = 0; i < t->n_alpns; i++)
		if (str_eq(t->alpns[i], protocol))
			return true;
	return false;
}

static void say_ech(struct detect *d, struct pair *p, const struct flow *f)
{
	if (p->entity->is_program)
		detect_evidence(
			d, p, E_ECH,
			&(struct evidence_in){ .measured = 1,
					       .n = p->flows,
					       .flow_id = f->id,
					       .what = "hides the name behind " ECH_OUTER_NAME });
}

#define SEEN(id) \
	(1ULL << (id)) /* in sighting.said: a hello comes before its flow's pair is known */

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	bool quic = f->app == APP_QUIC;

	if (is_usual(s->pair->entity) || (f->app != APP_TLS && !quic))
		return;
	if (f->key.dport == DOT_PORT || s->said & SEEN(E_DOH))
		say(d, s->pair, f, quic ? "QUIC" : "TLS");
	else if (f->name && f->name_source != NAME_DNS && is_server_name(text_str(f->name)))
		say(d, s->pair, f, "HTTPS");
	else if (doh_is_server(d, &f->key.dst))
		say(d, s->pair, f, "HTTPS");
	if (s->said & SEEN(E_ECH))
		say_ech(d, s->pair, f);
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	const struct record_tls *t = r->tls;
	uint64_t seen;

	if ((r->type != RECORD_TLS && r->type != RECORD_QUIC) || !r->flow || !s || s->ignored)
		return;
	seen = offers(t, STR("dot")) || offers(t, STR("doq")) ? SEEN(E_DOH) : 0;
	seen |= t->ech && str_eq_nocase(t->sni, STR(ECH_OUTER_NAME)) ? SEEN(E_ECH) : 0;
	if (!(seen & ~s->said))
		return;
	s->said |= seen;
	if (s->pair && !is_usual(s->pair->entity)) {
		if (seen & SEEN(E_DOH))
			say(d, s->pair, r->flow, r->type == RECORD_QUIC ? "QUIC" : "TLS");
		if (seen & SEEN(E_ECH))
			say_ech(d, s->pair, r->flow);
	}
}

const struct detector detect_doh = {
	.name = "doh",
	.start = start,
	.stop = stop,
	.flow = flow,
	.record = record,
};
