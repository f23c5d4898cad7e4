/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of detectors that look at flows: a struct detect, flows made by hand with what the flow table would know of them,
 * payload and records in one line each, and what was said of a flow's pair.
 */
#pragma once

#include "test.h"

#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/dossier.h"
#include "detect/popular.h"

#define T0 (1700000000 * NSEC_PER_SEC)
#define ME "10.0.0.5"
#define FAR "203.0.114.9" /* of the Internet, and of nobody in the tables */
#define NEAR "10.0.0.77"

struct drig {
	struct intern *texts;
	struct detect *d;
	uint64_t now, next_id;
	struct flow flows[4096];
	struct name names[64];
	struct proc proc;
	size_t n_flows, n_names;
	unsigned told; /* findings */
	enum severity worst;
	enum finding_class class;
};

static inline void drig_on_finding(void *ctx, const struct finding *f)
{
	struct drig *g = ctx;

	g->told++;
	if (f->severity > g->worst) {
		g->worst = f->severity;
		g->class = f->class;
	}
}

static inline struct drig *drig_new(enum detect_vantage vantage)
{
	struct drig *g = calloc(1, sizeof(*g));
	struct detect_config cfg = { .vantage = vantage };

	assert_non_null(g);
	assert_ok(intern_new(&g->texts, 10000));
	cfg.texts = g->texts;
	assert_ok(detect_new(&g->d, &cfg, (struct finding_out){ drig_on_finding, g }));
	g->now = T0;
	detect_tick(g->d, g->now);
	g->now += 2 * 86400 * NSEC_PER_SEC; /* warmed up */
	detect_tick(g->d, g->now);
	return g;
}

static inline struct addr drig_addr(const char *text)
{
	struct addr a;

	assert_ok(addr_parse(str_of(text), &a));
	return a;
}

/* What DNS had said of its address. */
static inline void drig_names(struct drig *g, struct flow *f, const char *asked)
{
	struct name *n = &g->names[g->n_names++ % ARRAY_SIZE(g->names)];

	*n = (struct name){ .refs = 1, .asked = intern_get(g->texts, str_of(asked)) };
	f->names[f->n_names++] = n;
	if (!f->name) {
		f->name = n->asked;
		f->name_source = NAME_DNS;
	}
}

static inline struct flow *drig_open(struct drig *g, const char *to, uint16_t port, uint8_t proto,
				     enum app_proto app)
{
	struct flow *f = &g->flows[g->n_flows++ % ARRAY_SIZE(g->flows)];

	*f = (struct flow){ .key = { .src = drig_addr(ME),
				     .dst = drig_addr(to),
				     .sport = 40000,
				     .dport = port,
				     .proto = proto },
			    .id = ++g->next_id,
			    .direction = FLOW_EGRESS,
			    .app = app,
			    .payload_known = true,
			    .start_ns = g->now,
			    .last_ns = g->now };
	/* As the flow table does: a recording does not call it leaving when it stays among private addresses. */
	f->live = g->d->cfg.vantage == DETECT_HOST;
	if (!f->live && addr_class(&f->key.dst) != ADDR_INTERNET)
		f->direction = FLOW_DIRECTION_UNKNOWN;
	return f;
}

static inline void drig_call(struct drig *g, struct flow *f, const char *name,
			     enum name_source source)
{
	f->name = intern_get(g->texts, str_of(name));
	f->name_source = source;
	(void)g;
}

static inline void drig_moves(struct drig *g, struct flow *f, enum flow_side side, uint64_t bytes,
			      double after_s)
{
	g->now += (uint64_t)(after_s * NSEC_PER_SEC);
	f->last_ns = g->now;
	f->half[side].packets++;
	f->half[side].payload += bytes;
	f->half[side].bytes += bytes + 40;
	detect_watch(g->d).on_data(g->d, f, side, bytes, g->now);
}

static inline void drig_tells(struct drig *g, struct record r)
{
	r.time_ns = g->now;
	detect_record(g->d, &r);
}

static inline void drig_ends(struct drig *g, struct flow *f)
{
	drig_tells(g, (struct record){ .type = RECORD_FLOW, .flow = f, .flow_ends = true });
}

static inline void drig_finish(struct drig *g)
{
	detect_finish(g->d, g->now);
}

/* Decibans said of the flow's pair; 0: nothing. */
static inline int drig_db(struct drig *g, const struct flow *f, enum evidence_id id)
{
	struct pair *p = pair_of_flow(g->d, f);

	assert_non_null(p);
	for (unsigned i = 0; p->dossier && i < p->dossier->n; i++)
		if (p->dossier->evidence[i]->id == id)
			return p->dossier->evidence[i]->db;
	return 0;
}

static inline enum severity drig_severity(struct drig *g, const struct flow *f)
{
	struct weighed w;

	fusion_weigh(g->d, pair_of_flow(g->d, f), &w);
	return w.severity;
}

static inline void drig_free(struct drig *g)
{
	detect_free(g->d);
	intern_free(g->texts);
	free(g);
}
