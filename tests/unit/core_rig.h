/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence said of pairs by hand, and the findings that come of it. */
#pragma once

#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/dossier.h"

#define T0 (1767225600ULL * NSEC_PER_SEC)
#define MINUTE (60 * NSEC_PER_SEC)
#define HOUR (3600 * NSEC_PER_SEC)
#define DAY (24 * HOUR)
#define TOLD_MAX 256

struct told {
	char id[FINDING_ID_MAX];
	enum finding_state state;
	enum severity severity;
	enum finding_class class;
	int score_db;
	unsigned entities;
	bool acked;
	size_t n_evidence, n_flows;
	char peer[64], detector[32], explain[1024];
};

struct rig {
	struct intern *texts;
	struct detect *d;
	struct told told[TOLD_MAX];
	size_t n;
	uint64_t now_ns;
};

static inline void rig_told(void *ctx, const struct finding *f)
{
	struct rig *r = ctx;
	struct told *t = &r->told[r->n++];

	assert_true(r->n < TOLD_MAX);
	*t = (struct told){ .state = f->state,
			    .severity = f->severity,
			    .class = f->class,
			    .score_db = f->score_db,
			    .entities = f->entities,
			    .acked = f->acked,
			    .n_evidence = f->n_evidence,
			    .n_flows = f->n_flows };
	memcpy(t->id, f->id, sizeof(t->id));
	snprintf(t->peer, sizeof(t->peer), "%.*s", STR_FMT(f->peer));
	snprintf(t->detector, sizeof(t->detector), "%s", f->detector ? f->detector : "");
	snprintf(t->explain, sizeof(t->explain), "%.*s", STR_FMT(f->explain));
}

static inline void rig_config(struct rig *r, struct detect_config cfg)
{
	r->now_ns = T0;
	if (!r->texts)
		assert_ok(intern_new(&r->texts, 4000000));
	cfg.texts = r->texts;
	assert_ok(detect_new(&r->d, &cfg, (struct finding_out){ rig_told, r }));
	detect_tick(r->d, r->now_ns);
}

/* A host that has been watched for `warm_ns` already when it is new; 0: there is no first day. */
static inline void rig_new(struct rig *r, enum detect_vantage vantage, uint64_t warm_up_ns)
{
	memset(r, 0, sizeof(*r));
	rig_config(r, (struct detect_config){ .vantage = vantage, .warm_up_ns = warm_up_ns });
}

static inline void rig_free(struct rig *r)
{
	detect_free(r->d);
	assert_int_equal(intern_count(r->texts), 0); /* every reference was given back */
	intern_free(r->texts);
}

/* Time passes, a minute at a time as live. */
static inline void rig_pass(struct rig *r, uint64_t ns)
{
	uint64_t end = r->now_ns + ns;

	while (r->now_ns < end) {
		r->now_ns = MIN(r->now_ns + MINUTE, end);
		detect_tick(r->d, r->now_ns);
	}
}

static inline struct entity *rig_program(struct rig *r, const char *exe)
{
	struct text *t = intern_get(r->texts, str_of(exe));
	struct proc p = { .exe = t, .uid = 1000 };
	struct entity *e = entity_of_proc(r->d, &p);

	intern_put(r->texts, t);
	return e;
}

static inline struct entity *rig_machine(struct rig *r, uint32_t v4)
{
	struct addr a = addr_from_v4(&(uint32_t){ htonl(v4) });

	return entity_of_addr(r->d, &a);
}

static inline struct pair *rig_pair(struct rig *r, struct entity *e, const char *domain)
{
	struct pair *p = pair_of(r->d, e, peer_of_domain(r->d, str_of(domain)));

	assert_non_null(p);
	p->last_ns = r->d->now_ns;
	return p;
}

static inline void rig_say(struct rig *r, struct pair *p, enum evidence_id id, int db)
{
	p->last_ns = r->d->now_ns;
	detect_evidence(r->d, p, id,
			&(struct evidence_in){ .db = db,
					       .measured = 60,
					       .n = 20,
					       .flow_id = 4711,
					       .what = "what was seen",
					       .baseline = "what is usual" });
}

/* Medium at once: -60 + 40 + 3 + 2. */
static inline struct pair *make_case(struct rig *r, struct entity *e, const char *peer)
{
	struct pair *p = rig_pair(r, e, peer);

	rig_say(r, p, E_ONE_SIZE, 3);
	rig_say(r, p, E_LISTED_PRINT, 40);
	return p;
}

/* Medium by timing and DGA alone. */
static inline struct pair *noisy(struct rig *r, struct entity *e, const char *peer, int db)
{
	struct pair *p = rig_pair(r, e, peer);

	rig_say(r, p, E_REGULAR, 20);
	rig_say(r, p, E_STEADY, 4);
	rig_say(r, p, E_DGA_NX, db);
	return p;
}
