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
#include "detect/cases.h"
#include "detect/dossier.h"

#define DAY_NS (86400 * NSEC_PER_SEC)
#define QUIET_NS DAY_NS
#define KEEP_CLOSED_NS (30 * DAY_NS)
#define KEEP_LOW_NS (7 * DAY_NS) /* what was never a case, after its last evidence */
#define LEARN_SPAN_NS (12 * 3600 * NSEC_PER_SEC) /* seen from one end of this to the other */
#define MORE_DB 5      /* an open case that grew by so much is told again */
#define BUDGET_A_DAY 3 /* new cases of timing and volume alone, per 100 entities */

int cases_new(struct detect *d)
{
	dossiers_new(d);
	d->cases = calloc(1, sizeof(*d->cases));
	return d->cases ? 0 : -ENOMEM;
}

void cases_free(struct detect *d)
{
	free(d->cases);
	d->cases = NULL;
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
static struct dossier *same_peer(struct detect *d, const struct dossier *file)
{
	struct dossier *first = NULL;

	if (!file->pair->peer->cases)
		return NULL;
	list_for_each(it, &d->dossier_list) {
		struct dossier *other = container_of(it, struct dossier, link);

		if (other != file && other->state == CASE_OPEN &&
		    other->pair->peer == file->pair->peer &&
		    (!first || other->opened_ns < first->opened_ns))
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
	f->entities = p->peer->cases;
	for (size_t i = 0; i < w->n; i++)
		if (w->lines[i].db > 0)
			add_attack(f, evidence_rows[w->lines[i].id].attack);
	for (const struct detector *const *det = detectors; *det; det++)
		if ((*det)->plot && w->detector && !strcmp((*det)->name, w->detector))
			(*det)->plot(p, f);
	explain(d, file, w, f);
}

static uint32_t groups_of(const struct weighed *w)
{
	uint32_t groups = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->lines[i].db > 0)
			groups |= 1U << evidence_rows[w->lines[i].id].group;
	return groups;
}

static void tell(struct detect *d, struct dossier *file, const struct weighed *w,
		 enum finding_state state)
{
	char entity[256], peer[256];
	struct finding f;

	file->told_db = w->score_db;
	file->told_ns = d->now_ns;
	file->told_groups = groups_of(w);
	fill(d, file, w, &f, entity, peer);
	f.state = state;
	if (f.acked && d->cfg.vantage != DETECT_FILE)
		return; /* kept and shown, not told */
	d->out.on_finding(d->out.ctx, &f);
}

/* As fill() has it, without the rest. */
static bool is_acked(const struct detect *d, const struct dossier *file, const struct weighed *w)
{
	const struct pair *p = file->pair;
	char entity[256], peer[256];
	struct finding f = { .detector = w->detector,
			     .entity = entity_label(p->entity, entity),
			     .exe = text_str(p->entity->exe),
			     .peer = peer_label(p->peer, peer),
			     .name = text_str(p->name) };

	return exceptions_cover(d, &f);
}

/* --- what is told --------------------------------------------------------------------------------------------------- */

#define G(id) (1U << GROUP_##id)

/* What may be told while there is nothing yet to compare with. */
static bool needs_no_baseline(const struct weighed *w)
{
	return w->alone || groups_of(w) & (G(CHANNEL) | G(INTEL) | G(DNS));
}

static bool needs_budget(const struct detect *d, const struct weighed *w)
{
	return d->cfg.vantage != DETECT_FILE && !needs_no_baseline(w) &&
	       !(groups_of(w) & G(IDENTITY));
}

static unsigned budget(const struct detect *d)
{
	return BUDGET_A_DAY * (unsigned)MAX((d->entities.used + 99) / 100, (size_t)1);
}

static bool budget_left(struct detect *d)
{
	struct cases *c = d->cases;

	if (!c->day_ns || detect_since(d, c->day_ns) >= DAY_NS) {
		c->day_ns = d->now_ns;
		c->spent = 0;
		c->said_over = false;
	}
	return c->spent < budget(d);
}

/* True: one more may be told today. */
static bool within_budget(struct detect *d, const struct dossier *file, const struct weighed *w)
{
	struct cases *c = d->cases;

	if (!needs_budget(d, w) || is_acked(d, file, w))
		return true;
	if (budget_left(d)) {
		c->spent++;
		return true;
	}
	if (!c->said_over)
		log_warn("more than %u new findings of timing or volume alone today: the rest are "
			 "kept and shown by 'egret findings --low'",
			 budget(d));
	c->said_over = true;
	return false;
}

static void hold(struct detect *d, struct dossier *file, enum case_held why)
{
	d->stats.held_back += !file->held;
	dossier_set(d, file, (enum case_state)file->state, why);
}

static void open_case(struct detect *d, struct dossier *file, const struct weighed *w)
{
	struct dossier *first;

	if (detect_warming(d) && !needs_no_baseline(w)) {
		hold(d, file, HELD_WARM_UP);
		return;
	}
	if (!within_budget(d, file, w)) {
		hold(d, file, HELD_BUDGET);
		return;
	}
	first = same_peer(d, file);
	file->opened_ns = file->last_ns;
	dossier_set(d, file, CASE_OPEN, NOT_HELD);
	if (first)
		memcpy(file->id, first->id, sizeof(file->id));
	else
		make_id(file);
	if (d->cfg.vantage != DETECT_FILE)
		tell(d, file, w, first ? FINDING_UPDATE : FINDING_OPEN);
}

static void weigh(struct detect *d, struct dossier *file, struct weighed *ret)
{
	fusion_weigh(d, file->pair, ret);
	file->severity = (uint8_t)MAX(file->severity, (uint8_t)ret->severity);
}

void cases_evidence(struct detect *d, struct pair *p)
{
	struct dossier *file = p->dossier;
	struct weighed w;

	weigh(d, file, &w);
	if (file->state != CASE_OPEN) {
		if (w.severity >= SEVERITY_MEDIUM)
			open_case(d, file, &w);
		return;
	}
	/* Of a recording everything is told at its end, when all there is to compare with is known. */
	if (d->cfg.vantage == DETECT_FILE)
		return;
	if (w.score_db >= file->told_db + MORE_DB || groups_of(&w) & ~file->told_groups ||
	    detect_since(d, file->told_ns) >= DAY_NS)
		tell(d, file, &w, FINDING_UPDATE);
}

void cases_seen_again(struct detect *d, struct pair *p)
{
	const struct dossier *file = p->dossier;

	if (file->state == CASE_CLOSED ||
	    (file->state == CASE_OPEN && detect_since(d, file->told_ns) >= DAY_NS))
		cases_evidence(d, p);
}

static void close_case(struct detect *d, struct dossier *file)
{
	struct weighed w;

	weigh(d, file, &w);
	dossier_set(d, file, CASE_CLOSED, NOT_HELD);
	file->closed_ns = d->now_ns;
	/* Others that talk to the same peer go on under its id. */
	tell(d, file, &w, file->pair->peer->cases ? FINDING_UPDATE : FINDING_CLOSED);
}

/* --- with time ------------------------------------------------------------------------------------------------------ */

/*
 * What was held and may be told now. Of those that rest on timing or volume alone one a minute, the heaviest first, as long as
 * the day's budget lasts.
 */
static void let_go(struct detect *d)
{
	bool room = budget_left(d);
	struct dossier *heaviest = NULL;
	struct weighed w, most = { 0 };

	list_for_each(it, &d->dossier_list) {
		struct dossier *file = container_of(it, struct dossier, link);

		if (!file->held || (file->held == HELD_BUDGET && !room))
			continue;
		weigh(d, file, &w);
		if (w.severity < SEVERITY_MEDIUM) {
			dossier_set(d, file, (enum case_state)file->state, NOT_HELD);
		} else if (!needs_budget(d, &w)) {
			open_case(d, file, &w);
		} else if (!room) {
			dossier_set(d, file, (enum case_state)file->state, HELD_BUDGET);
		} else if (!heaviest || w.score_db > most.score_db) {
			heaviest = file;
			most = w;
		}
	}
	if (heaviest)
		open_case(d, heaviest, &most);
}

static bool has_timing(const struct dossier *file)
{
	for (unsigned i = 0; i < file->n; i++)
		if (evidence_rows[file->evidence[i]->id].group == GROUP_TIMING)
			return true;
	return false;
}

/*
 * The first day is over: what was regular all that time and never more than low is ordinary here. Never what runs from a place
 * that intruders use, or was met in another way than by its timing: that would learn the intruder who was there first.
 */
static void learn(struct detect *d)
{
	struct weighed w;

	list_for_each(it, &d->dossier_list) {
		struct dossier *file = container_of(it, struct dossier, link);
		struct pair *p = file->pair;

		if (file->state != CASE_NONE || file->held || !has_timing(file) ||
		    p->last_ns < p->first_ns + LEARN_SPAN_NS)
			continue;
		weigh(d, file, &w);
		p->learned = file->severity <= SEVERITY_LOW && !needs_no_baseline(&w) &&
			     !(groups_of(&w) & G(IDENTITY));
	}
}

static void age(struct detect *d, struct dossier *file)
{
	uint64_t quiet_ns = detect_since(d, file->last_ns);

	if (file->state == CASE_OPEN && d->cfg.vantage != DETECT_FILE && quiet_ns >= QUIET_NS)
		close_case(d, file);
	else if (file->held == HELD_BUDGET && quiet_ns >= QUIET_NS)
		dossier_set(d, file, (enum case_state)file->state, NOT_HELD);
	else if ((file->state == CASE_CLOSED &&
		  detect_since(d, file->closed_ns) >= KEEP_CLOSED_NS) ||
		 (file->state == CASE_NONE && !file->held && d->cfg.vantage != DETECT_FILE &&
		  quiet_ns >= KEEP_LOW_NS))
		dossier_free(d, file->pair);
}

void cases_tick(struct detect *d)
{
	struct cases *c = d->cases;

	c->warmed |= detect_warming(d);
	if (c->warmed && !c->learned && !detect_warming(d)) {
		learn(d);
		c->learned = true;
	}
	for (struct list *it = d->dossier_list.next, *next; it != &d->dossier_list; it = next) {
		next = it->next;
		age(d, container_of(it, struct dossier, link));
	}
	if (!detect_warming(d))
		let_go(d);
}

/* What was a case when its evidence came is told if it still is one, with all there is to compare with. */
void cases_finish(struct detect *d)
{
	if (d->cfg.vantage != DETECT_FILE)
		return;
	list_for_each(it, &d->dossier_list) {
		struct dossier *file = container_of(it, struct dossier, link);
		struct weighed w;

		if (file->state != CASE_OPEN)
			continue;
		weigh(d, file, &w);
		if (w.severity >= SEVERITY_MEDIUM)
			tell(d, file, &w, FINDING_OPEN);
		else
			dossier_set(d, file, CASE_NONE, NOT_HELD);
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
