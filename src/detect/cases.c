/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From scores to cases: one a pair, opened once, told again only when it is more than it was, closed after a quiet day. Live, a
 * site is warmed up first, and no more new cases of timing or volume alone are told than somebody can read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "detect/dossier.h"
#include "detect/state.h"

#define DAY_NS (86400 * NSEC_PER_SEC)
#define QUIET_NS DAY_NS
#define KEEP_CLOSED_NS (30 * DAY_NS)
#define MAX_DOSSIERS 16384
#define MAX_EVIDENCE 65536
#define MORE_DB 5      /* an open case that grew by so much is told again */
#define BUDGET_A_DAY 3 /* new cases of timing and volume alone, per 100 entities */
#define EXPLAIN_MAX 512

struct cases {
	uint64_t day_ns; /* the budget's day began */
	unsigned spent;  /* of it */
	bool said_over;
	char explain[EXPLAIN_MAX];
};

int cases_new(struct detect *d)
{
	list_init(&d->dossier_list);
	pool_init(&d->dossiers, sizeof(struct dossier), MAX_DOSSIERS);
	pool_init(&d->evidence, sizeof(struct evidence), MAX_EVIDENCE);
	d->cases = calloc(1, sizeof(*d->cases));
	return d->cases ? 0 : -ENOMEM;
}

void cases_free(struct detect *d)
{
	free(d->cases);
	d->cases = NULL;
}

/* --- dossiers ------------------------------------------------------------------------------------------------------- */

void dossier_free(struct detect *d, struct pair *p)
{
	struct dossier *file = p->dossier;

	if (!file)
		return;
	for (unsigned i = 0; i < file->n; i++)
		pool_put(&d->evidence, file->evidence[i]);
	list_del(&file->link);
	pool_put(&d->dossiers, file);
	p->dossier = NULL;
}

/* The idlest that never became a case; a case goes only when there is nothing else. */
static void evict_dossier(struct detect *d)
{
	struct dossier *worst = NULL;

	list_for_each(it, &d->dossier_list) {
		struct dossier *file = container_of(it, struct dossier, link);

		if (!worst || file->state == CASE_NONE)
			worst = file;
		if (file->state == CASE_NONE)
			break;
	}
	if (!worst)
		return;
	dossier_free(d, worst->pair);
	d->stats.evicted_dossiers++;
}

struct dossier *dossier_get(struct detect *d, struct pair *p)
{
	struct dossier *file = p->dossier;

	if (file)
		return file;
	if (d->dossiers.used >= d->dossiers.max || d->evidence.used + 1 >= d->evidence.max)
		evict_dossier(d);
	file = p->dossier = pool_get(&d->dossiers);
	if (!file)
		return NULL;
	file->pair = p;
	list_init(&file->link);
	list_push_back(&d->dossier_list, &file->link);
	return file;
}

static struct evidence *line_for(struct detect *d, struct dossier *file, enum evidence_id id)
{
	struct evidence *e;

	for (unsigned i = 0; i < file->n; i++)
		if (file->evidence[i]->id == id)
			return file->evidence[i];
	if (file->n == DOSSIER_EVIDENCE)
		return NULL;
	e = pool_get(&d->evidence);
	if (e) {
		e->id = id;
		file->evidence[file->n++] = e;
	}
	return e;
}

static void keep_flow(struct dossier *file, uint64_t id)
{
	for (unsigned i = 0; i < file->n_flows; i++)
		if (file->flows[i] == id)
			return;
	if (file->n_flows == FINDING_FLOWS) {
		memmove(file->flows + 1, file->flows + 2,
			(FINDING_FLOWS - 2) * sizeof(*file->flows));
		file->n_flows--; /* the first stays */
	}
	file->flows[file->n_flows++] = id;
}

void detect_evidence(struct detect *d, struct pair *p, enum evidence_id id,
		     const struct evidence_in *in)
{
	struct dossier *file = dossier_get(d, p);
	struct evidence *e = file ? line_for(d, file, id) : NULL;
	int db = in->db ? in->db : evidence_rows[id].most;

	if (!e) {
		d->stats.evicted_dossiers++;
		return;
	}
	if (in->flow_id)
		keep_flow(file, in->flow_id);
	file->last_ns = d->now_ns;
	list_del(&file->link);
	list_push_back(&d->dossier_list, &file->link);
	if (e->n && abs(db) < abs(e->db))
		return;
	e->db = (int16_t)db;
	e->measured = in->measured;
	e->n = MAX(in->n, (uint64_t)1);
	e->time_ns = d->now_ns;
	snprintf(e->what, sizeof(e->what), "%s", in->what);
	snprintf(e->baseline, sizeof(e->baseline), "%s", in->baseline ? in->baseline : "");
	cases_evidence(d, p);
}

void detect_retract(struct detect *d, struct pair *p, enum evidence_id id)
{
	struct dossier *file = p->dossier;

	for (unsigned i = 0; file && i < file->n; i++) {
		if (file->evidence[i]->id != id)
			continue;
		pool_put(&d->evidence, file->evidence[i]);
		file->evidence[i] = file->evidence[--file->n];
		return;
	}
}

/* --- telling -------------------------------------------------------------------------------------------------------- */

static void make_id(struct dossier *file)
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford's base 32 */
	char entity[256], peer[256];
	struct str e = entity_label(file->pair->entity, entity),
		   p = peer_label(file->pair->peer, peer);
	uint64_t h = hash_bytes(e.p, e.n, hash_bytes(p.p, p.n, file->opened_ns));

	for (int i = 0; i < 8; i++, h >>= 5)
		file->id[i] = digits[h & 31];
	file->id[8] = 0;
}

/* A case of the same peer that is open already: what follows belongs to it. */
static struct dossier *same_peer(struct detect *d, const struct dossier *file, unsigned *ret_n)
{
	struct dossier *first = NULL;

	*ret_n = 0;
	list_for_each(it, &d->dossier_list) {
		struct dossier *other = container_of(it, struct dossier, link);

		if (other->state != CASE_OPEN || other->pair->peer != file->pair->peer)
			continue;
		++*ret_n;
		if (other != file && (!first || other->opened_ns < first->opened_ns))
			first = other;
	}
	return first;
}

static void explain(struct detect *d, const struct dossier *file, const struct weighed *w,
		    struct finding *f)
{
	struct buf out = BUF_INIT(EXPLAIN_MAX - 1);
	size_t said = 0;

	buf_printf(&out, "%.*s to %.*s: ", STR_FMT(f->entity), STR_FMT(f->peer));
	for (size_t i = 0; i < w->n && said < 4; i++) {
		if (w->lines[i].db <= 0)
			continue;
		buf_printf(&out, "%s%s", said++ ? "; " : "", w->lines[i].what);
	}
	snprintf(d->cases->explain, EXPLAIN_MAX, "%.*s", STR_FMT(buf_str(&out)));
	buf_done(&out);
	f->explain = str_of(d->cases->explain);
}

static void add_attack(struct finding *f, const char *techniques)
{
	for (size_t i = 0; i < f->n_attack; i++)
		if (!strcmp(f->attack[i], techniques))
			return;
	if (*techniques && f->n_attack < ARRAY_SIZE(f->attack))
		f->attack[f->n_attack++] = techniques;
}

static void fill(struct detect *d, const struct dossier *file, const struct weighed *w,
		 struct finding *f, char entity[256], char peer[256])
{
	const struct pair *p = file->pair;

	*f = (struct finding){
		.severity = w->severity,
		.class = w->class,
		.detector = w->detector,
		.score_db = w->score_db,
		.opened_ns = file->opened_ns,
		.time_ns = file->last_ns,
		.entity = entity_label(p->entity, entity),
		.exe = text_str(p->entity->exe),
		.user = text_str(p->entity->user),
		.container = text_str(p->entity->container),
		.source = p->entity->addr,
		.has_source = !p->entity->is_program,
		.proc = p->proc,
		.peer = peer_label(p->peer, peer),
		.name = text_str(p->name),
		.addr = p->addr,
		.port = p->port,
		.proto = p->proto,
		.flows_total = p->flows,
		.up = p->up,
		.down = p->down,
		.first_ns = p->first_ns,
		.last_ns = p->last_ns,
		.n_flows = file->n_flows,
		.evidence = w->lines,
		.n_evidence = w->n,
	};
	memcpy(f->id, file->id, sizeof(f->id));
	memcpy(f->flows, file->flows, sizeof(f->flows));
	f->acked = exceptions_cover(d, f);
	same_peer(d, file, &f->entities);
	for (size_t i = 0; i < w->n; i++)
		if (w->lines[i].db > 0)
			add_attack(f, evidence_rows[w->lines[i].id].attack);
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->plot && w->detector && !strcmp((*det)->name, w->detector))
			(*det)->plot(p, f);
	explain(d, file, w, f);
}

static void tell(struct detect *d, struct dossier *file, const struct weighed *w,
		 enum finding_state state)
{
	char entity[256], peer[256];
	struct finding f;

	file->told_db = w->score_db;
	file->told_ns = d->now_ns;
	file->told_groups = 0;
	for (size_t i = 0; i < w->n; i++)
		if (w->lines[i].db > 0)
			file->told_groups |= 1U << evidence_rows[w->lines[i].id].group;
	file->severity = (uint8_t)MAX(file->severity, (uint8_t)w->severity);
	fill(d, file, w, &f, entity, peer);
	f.state = state;
	if (f.acked && d->cfg.vantage != DETECT_FILE)
		return; /* kept and shown, not told */
	d->out.on_finding(d->out.ctx, &f);
}

static bool has_group(const struct weighed *w, enum evidence_group g)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->lines[i].db > 0 && evidence_rows[w->lines[i].id].group == g)
			return true;
	return false;
}

/* What may be told while there is nothing yet to compare with. */
static bool needs_no_baseline(const struct weighed *w)
{
	return w->alone || has_group(w, GROUP_CHANNEL) || has_group(w, GROUP_INTEL) ||
	       has_group(w, GROUP_DNS);
}

/* True: one more may be told today. */
static bool within_budget(struct detect *d, const struct weighed *w)
{
	struct cases *c = d->cases;
	unsigned most = BUDGET_A_DAY * (unsigned)(1 + d->entities.used / 100);

	if (d->cfg.vantage == DETECT_FILE || needs_no_baseline(w) || has_group(w, GROUP_IDENTITY))
		return true;
	if (d->now_ns - c->day_ns >= DAY_NS) {
		c->day_ns = d->now_ns;
		c->spent = 0;
		c->said_over = false;
	}
	if (c->spent < most) {
		c->spent++;
		return true;
	}
	if (!c->said_over)
		log_warn("more than %u new findings of timing or volume alone today: the rest are "
			 "kept and shown by 'egret findings --low'",
			 most);
	c->said_over = true;
	return false;
}

static void open_case(struct detect *d, struct dossier *file, const struct weighed *w)
{
	struct dossier *first;
	unsigned n;

	if (!file->opened_ns || file->state == CASE_CLOSED)
		file->opened_ns = d->now_ns;
	if ((detect_warming(d) && !needs_no_baseline(w)) || (!file->held && !within_budget(d, w))) {
		d->stats.held_back += !file->held;
		file->held = true;
		return;
	}
	file->held = false;
	file->state = CASE_OPEN;
	first = same_peer(d, file, &n);
	if (first)
		memcpy(file->id, first->id, sizeof(file->id));
	else
		make_id(file);
	if (d->cfg.vantage != DETECT_FILE)
		tell(d, file, w, first ? FINDING_UPDATE : FINDING_OPEN);
}

void cases_evidence(struct detect *d, struct pair *p)
{
	struct dossier *file = p->dossier;
	struct weighed w;
	uint32_t groups = 0;

	fusion_weigh(d, p, &w);
	if (file->state != CASE_OPEN) {
		if (w.severity >= SEVERITY_MEDIUM)
			open_case(d, file, &w);
		return;
	}
	/* Of a recording everything is told at its end, when all there is to compare with is known. */
	if (d->cfg.vantage == DETECT_FILE)
		return;
	for (size_t i = 0; i < w.n; i++)
		if (w.lines[i].db > 0)
			groups |= 1U << evidence_rows[w.lines[i].id].group;
	if (w.score_db >= file->told_db + MORE_DB || groups & ~file->told_groups ||
	    d->now_ns - file->told_ns >= DAY_NS)
		tell(d, file, &w, FINDING_UPDATE);
}

static void look_again(struct detect *d, struct dossier *file)
{
	struct weighed w;

	if (file->held && !detect_warming(d)) {
		fusion_weigh(d, file->pair, &w);
		if (w.severity >= SEVERITY_MEDIUM) {
			open_case(d, file, &w);
		} else {
			file->held = false;
		}
	}
	if (file->state == CASE_OPEN && d->cfg.vantage != DETECT_FILE &&
	    d->now_ns - file->last_ns >= QUIET_NS) {
		fusion_weigh(d, file->pair, &w);
		file->state = CASE_CLOSED;
		file->closed_ns = d->now_ns;
		tell(d, file, &w, FINDING_CLOSED);
	}
}

void cases_tick(struct detect *d)
{
	for (struct list *it = d->dossier_list.next, *next; it != &d->dossier_list; it = next) {
		struct dossier *file = container_of(it, struct dossier, link);

		next = it->next;
		look_again(d, file);
		if (file->state == CASE_CLOSED && d->now_ns - file->closed_ns >= KEEP_CLOSED_NS)
			dossier_free(d, file->pair);
	}
}

uint64_t cases_open(const struct detect *d)
{
	uint64_t n = 0;

	list_for_each(it, &d->dossier_list)
		n += container_of(it, struct dossier, link)->state == CASE_OPEN;
	return n;
}

void cases_finish(struct detect *d)
{
	if (d->cfg.vantage != DETECT_FILE)
		return;
	list_for_each(it, &d->dossier_list) {
		struct dossier *file = container_of(it, struct dossier, link);
		struct weighed w;

		if (file->state != CASE_OPEN)
			continue;
		fusion_weigh(d, file->pair, &w);
		if (w.severity >= SEVERITY_MEDIUM)
			tell(d, file, &w, FINDING_OPEN);
		else
			file->state = CASE_NONE;
	}
}

/* --- asking --------------------------------------------------------------------------------------------------------- */

struct ranked {
	struct dossier *file;
	int db;
};

static int by_score(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return y->db - x->db;
}

void detect_each(struct detect *d, bool low, struct finding_out to)
{
	_cleanup_free_ struct ranked *all = calloc(d->dossiers.used + 1, sizeof(*all));
	char entity[256], peer[256];
	struct weighed w;
	size_t n = 0;

	if (!all)
		return;
	list_for_each(it, &d->dossier_list) {
		struct dossier *file = container_of(it, struct dossier, link);

		fusion_weigh(d, file->pair, &w);
		if (file->state != CASE_NONE || (low && w.severity >= SEVERITY_LOW))
			all[n++] = (struct ranked){ file, w.score_db };
	}
	qsort(all, n, sizeof(*all), by_score);
	for (size_t i = 0; i < n; i++) {
		struct finding f;

		fusion_weigh(d, all[i].file->pair, &w);
		fill(d, all[i].file, &w, &f, entity, peer);
		f.state = all[i].file->state == CASE_CLOSED ? FINDING_CLOSED : FINDING_OPEN;
		to.on_finding(to.ctx, &f);
	}
}

/* --- across restarts ------------------------------------------------------------------------------------------------ */

static void save_evidence(struct state_out *o, const struct evidence *e)
{
	/* By word: numbers change when rows are added. */
	state_str(o, str_of(evidence_rows[e->id].word));
	state_i64(o, e->db);
	state_f64(o, e->measured);
	state_u64(o, e->n);
	state_u64(o, e->time_ns);
	state_str(o, str_of(e->what));
	state_str(o, str_of(e->baseline));
}

void cases_save(struct detect *d, struct state_out *o)
{
	state_u64(o, d->dossiers.used);
	list_for_each(it, &d->dossier_list) {
		struct dossier *file = container_of(it, struct dossier, link);

		state_pair(o, file->pair);
		state_u64(o, file->state);
		state_u64(o, file->severity);
		state_u64(o, file->held);
		state_str(o, str_of(file->id));
		state_i64(o, file->told_db);
		state_u64(o, file->told_groups);
		state_u64(o, file->last_ns);
		state_u64(o, file->opened_ns);
		state_u64(o, file->told_ns);
		state_u64(o, file->closed_ns);
		state_u64(o, file->n);
		for (unsigned i = 0; i < file->n; i++)
			save_evidence(o, file->evidence[i]);
	}
}

static int evidence_of_word(struct str word)
{
	for (int i = 0; i < EVIDENCE_COUNT; i++)
		if (str_eq(str_of(evidence_rows[i].word), word))
			return i;
	return -1;
}

static void load_evidence(struct detect *d, struct state_in *in, struct dossier *file)
{
	int id = evidence_of_word(state_get_str(in));
	struct evidence read = { 0 }, *e;
	struct str what, baseline;

	read.db = (int16_t)state_get_i64(in);
	read.measured = state_get_f64(in);
	read.n = state_get_u64(in);
	read.time_ns = state_get_u64(in);
	what = state_get_str(in);
	baseline = state_get_str(in);
	snprintf(read.what, sizeof(read.what), "%.*s", STR_FMT(what));
	snprintf(read.baseline, sizeof(read.baseline), "%.*s", STR_FMT(baseline));
	if (in->bad || id < 0 || !file)
		return;
	e = line_for(d, file, (enum evidence_id)id);
	if (!e)
		return;
	read.id = (enum evidence_id)id;
	*e = read;
}

int cases_load(struct detect *d, struct state_in *in)
{
	uint64_t n = state_get_most(in, MAX_DOSSIERS);

	for (uint64_t i = 0; i < n && !in->bad; i++) {
		struct pair *p = state_get_pair(in);
		struct dossier none = { 0 }, *made = p ? dossier_get(d, p) : NULL;
		struct dossier *file = made ? made : &none;
		uint64_t lines;
		struct str id;

		file->state = (uint8_t)state_get_most(in, CASE_CLOSED);
		file->severity = (uint8_t)state_get_most(in, SEVERITY_CRITICAL);
		file->held = state_get_most(in, 1);
		id = state_get_str(in);
		snprintf(file->id, sizeof(file->id), "%.*s", STR_FMT(id));
		file->told_db = (int)state_get_i64(in);
		file->told_groups = (uint32_t)state_get_most(in, UINT32_MAX);
		file->last_ns = state_get_u64(in);
		file->opened_ns = state_get_u64(in);
		file->told_ns = state_get_u64(in);
		file->closed_ns = state_get_u64(in);
		lines = state_get_most(in, DOSSIER_EVIDENCE);
		for (uint64_t k = 0; k < lines && !in->bad; k++)
			load_evidence(d, in, made);
	}
	return 0;
}
