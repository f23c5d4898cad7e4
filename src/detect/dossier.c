/* SPDX-License-Identifier: Apache-2.0 */
/* What has been said of a pair, bounded: what was never a case goes first, then what is over, an open case last. */
#include "detect/dossier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_DOSSIERS 16384
#define MAX_EVIDENCE 65536

void dossiers_new(struct detect *d)
{
	/* Open cases hold their pairs, and must leave some to those that come. */
	size_t most = MIN((size_t)MAX_DOSSIERS, d->pairs.max / 4 + 1);

	list_init(&d->dossier_list);
	pool_init(&d->dossiers, sizeof(struct dossier), most);
	pool_init(&d->evidence, sizeof(struct evidence), MAX_EVIDENCE);
}

void dossier_set(struct detect *d, struct dossier *file, enum case_state state, enum case_held held)
{
	bool was = file->state == CASE_OPEN, is = state == CASE_OPEN;

	file->pair->watching -= was || file->held;
	file->pair->watching += is || held;
	file->pair->peer->cases += (uint32_t)is - (uint32_t)was;
	d->stats.cases_open += (uint64_t)is - (uint64_t)was;
	file->state = (uint8_t)state;
	file->held = (uint8_t)held;
}

void dossier_free(struct detect *d, struct pair *p)
{
	struct dossier *file = p->dossier;

	if (!file)
		return;
	dossier_set(d, file, CASE_NONE, NOT_HELD);
	for (unsigned i = 0; i < file->n; i++)
		pool_put(&d->evidence, file->evidence[i]);
	list_del(&file->link);
	pool_put(&d->dossiers, file);
	p->dossier = NULL;
}

static int rank(const struct dossier *file)
{
	return file->state == CASE_OPEN ? 3 : file->held ? 2 : file->state == CASE_CLOSED ? 1 : 0;
}

static void put_last(struct detect *d, struct dossier *file)
{
	list_del(&file->link);
	list_push_back(&d->dossier_list, &file->link);
}

/* Cases that are passed over go behind the others, so that the next time the idlest of no case is found at once. */
static void evict(struct detect *d, const struct dossier *keep)
{
	struct dossier *worst = NULL;

	for (size_t left = d->dossiers.used; left && (!worst || rank(worst)); left--) {
		struct dossier *file = container_of(d->dossier_list.next, struct dossier, link);

		put_last(d, file);
		if (file != keep && (!worst || rank(file) < rank(worst)))
			worst = file;
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
	if (d->dossiers.used >= d->dossiers.max)
		evict(d, NULL);
	file = p->dossier = pool_get(&d->dossiers);
	if (!file)
		return NULL;
	file->pair = p;
	list_init(&file->link);
	list_push_back(&d->dossier_list, &file->link);
	return file;
}

struct evidence *dossier_line(struct detect *d, struct dossier *file, enum evidence_id id, int db)
{
	struct evidence *e, *lightest = NULL;

	for (unsigned i = 0; i < file->n; i++) {
		e = file->evidence[i];
		if (e->id == id)
			return e;
		if (!lightest || abs(e->db) < abs(lightest->db))
			lightest = e;
	}
	if (file->n == DOSSIER_EVIDENCE) {
		if (abs(db) <= abs(lightest->db))
			return NULL;
		d->stats.no_room++;
		*lightest = (struct evidence){ .id = id };
		return lightest;
	}
	if (d->evidence.used >= d->evidence.max)
		evict(d, file);
	e = pool_get(&d->evidence);
	if (e) {
		e->id = id;
		file->evidence[file->n++] = e;
	}
	return e;
}

void dossier_keep_flow(struct dossier *file, uint64_t id)
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
	int db = in->db ? in->db : evidence_rows[id].most;
	struct evidence *e = file ? dossier_line(d, file, id, db) : NULL;

	if (!e) {
		d->stats.no_room++;
		return;
	}
	if (in->flow_id)
		dossier_keep_flow(file, in->flow_id);
	file->last_ns = d->now_ns;
	put_last(d, file);
	if (e->n && abs(db) < abs(e->db)) {
		cases_seen_again(d, p);
		return;
	}
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
