/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generated names: a program that looks for the one registered name among the hundreds its generator makes. What is weighed is
 * not a name but the row of names a client is told do not exist (dga_seq.h); a finding is of the client and the resolver it asked. A
 * name that does exist is worth a little, and more when it follows such a row.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/dga_seq.h"
#include "detect/state.h"
#include "flow/domain.h"

#define NXDOMAIN 3
#define MAX_CLIENTS 16384
#define ASKED_SLOTS 8192
#define AFTER_ROW_NS (3600 * NSEC_PER_SEC)

/* Who was told last that a name does not exist: what others here ask for too is nobody's generator. */
struct asked {
	uint32_t name, client;
};

struct dga_watch {
	struct pool clients;
	struct asked asked[ASKED_SLOTS];
	uint64_t lost; /* clients that found no room */
};

static int start(struct detect *d)
{
	d->dga = calloc(1, sizeof(*d->dga));
	if (!d->dga)
		return -ENOMEM;
	pool_init(&d->dga->clients, sizeof(struct dga_seq), MAX_CLIENTS);
	return 0;
}

static void stop(struct detect *d)
{
	if (!d->dga)
		return;
	pool_done(&d->dga->clients);
	free(d->dga);
	d->dga = NULL;
}

static void forget_entity(struct detect *d, struct entity *e)
{
	if (e->dga && d->dga)
		pool_put(&d->dga->clients, e->dga);
	e->dga = NULL;
}

/* Who asks for others: their names are not his. */
static bool asks_for_others(const struct entity *e)
{
	return e->is_resolver || e->class == PROGRAM_MTA;
}

static bool others_ask(struct detect *d, const struct entity *e, struct str label)
{
	uint64_t h = hash_bytes(label.p, label.n, d->seed);
	struct asked *a = &d->dga->asked[h % ASKED_SLOTS];
	bool others = a->name == (uint32_t)(h >> 32) && a->client && a->client != e->id;

	*a = (struct asked){ (uint32_t)(h >> 32), e->id };
	return others;
}

static void say(struct detect *d, struct entity *e, const struct record *r,
		const struct dga_verdict *v)
{
	const struct flow *f = r->flow;
	struct peer *resolver = peer_of_addr(d, &f->key.dst, f->key.dport, f->key.proto);
	struct pair *p = resolver ? pair_of(d, e, resolver) : NULL;
	bool words = v->kind == DGA_WORDS;
	int db = v->weight;
	char what[128], baseline[128];
	struct str one = dga_seq_example(e->dga, 0), two = dga_seq_example(e->dga, 1);

	if (!p)
		return;
	/* Advertisers' names are generated, too, and resolvers that block them say that they do not exist. */
	if (e->class == PROGRAM_BROWSER)
		db = db * 2 / 5;
	if (db <= 0)
		return;
	snprintf(what, sizeof(what), "%u names that do not exist, %s: %.*s%s%.*s", v->names,
		 words ? "words put together" : "as a program makes them up", STR_FMT(one),
		 two.n ? ", " : "", STR_FMT(two));
	snprintf(baseline, sizeof(baseline), "names people chose look so: p = 1e%.0f",
		 (double)v->log10_p);
	detect_evidence(d, p, words ? E_DGA_WORDS : E_DGA_NX,
			&(struct evidence_in){ .db = db,
					       .measured = (double)v->log10_p,
					       .n = v->names,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
}

static void not_found(struct detect *d, struct entity *e, const struct record *r, struct str label,
		      struct str suffix)
{
	struct dga_verdict v;

	if (!e->dga)
		e->dga = pool_get(&d->dga->clients);
	if (!e->dga) {
		d->dga->lost++;
		return;
	}
	if (dga_counts(label, suffix) && !others_ask(d, e, label) &&
	    dga_seq_nxdomain(e->dga, label, suffix, d->now_ns, d->seed, &v) && v.weight)
		say(d, e, r, &v);
}

/* A name that exists, found after a row of such that do not: this is the one that was registered. */
static void found(struct detect *d, struct entity *e, const struct record *r, struct str name,
		  struct str label, struct str suffix)
{
	int db = e->dga && e->dga->names >= 5 && d->now_ns - e->dga->since_ns < AFTER_ROW_NS
			 ? dga_answered_weight(label, suffix)
			 : 0;
	struct text *text;
	struct pair *p;
	char what[128];

	if (db <= 0)
		return;
	text = intern_get(d->cfg.texts, name);
	p = text ? pair_of_name(d, e, text) : NULL;
	intern_put(d->cfg.texts, text);
	if (!p)
		return;
	snprintf(what, sizeof(what),
		 "%.*s looks made up, and came after %u names that do not exist",
		 (int)MIN(label.n, (size_t)40), label.p, e->dga->names);
	detect_evidence(
		d, p, E_DGA_NAME,
		&(struct evidence_in){
			.db = db, .n = e->dga->names, .flow_id = r->flow->id, .what = what });
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	const struct dns_message *m = r->type == RECORD_DNS ? r->dns : NULL;
	struct str label, suffix;
	struct entity *e;

	if (!m || !m->response || !m->n_questions || r->flow->app == APP_MDNS ||
	    r->flow->app == APP_LLMNR || !domain_split(m->questions[0].name, &label, &suffix))
		return;
	e = entity_of_client(d, r->flow);
	if (!e || asks_for_others(e))
		return;
	if (m->rcode == NXDOMAIN)
		not_found(d, e, r, label, suffix);
	else if (m->n_answers)
		found(d, e, r, m->questions[0].name, label, suffix);
}

static size_t memory(const struct detect *d)
{
	return sizeof(*d->dga) + pool_bytes(&d->dga->clients);
}

const struct detector detect_dga = {
	.name = "dga",
	.start = start,
	.stop = stop,
	.record = record,
	.forget_entity = forget_entity,
	.memory = memory,
};
