/* SPDX-License-Identifier: Apache-2.0 */
/* Dossiers and cases in the state file. */
#include <stdio.h>
#include <string.h>

#include "detect/cases.h"
#include "detect/dossier.h"
#include "detect/state.h"

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
	state_u64(o, d->cases->warmed);
	state_u64(o, d->cases->learned);
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
		state_u64(o, file->n_flows);
		for (unsigned i = 0; i < file->n_flows; i++)
			state_u64(o, file->flows[i]);
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
	e = dossier_line(d, file, (enum evidence_id)id, read.db);
	if (!e)
		return;
	read.id = (enum evidence_id)id;
	*e = read;
}

/* A dossier that nothing was made of is read all the same: what follows it stands behind it. */
static void load_one(struct detect *d, struct state_in *in)
{
	struct pair *p = state_get_pair(in);
	struct dossier none = { 0 }, *made = p ? dossier_get(d, p) : NULL;
	struct dossier *file = made ? made : &none;
	enum case_state state = (enum case_state)state_get_most(in, CASE_CLOSED);
	enum case_held held;
	uint64_t n;
	struct str id;

	file->severity = (uint8_t)state_get_most(in, SEVERITY_CRITICAL);
	held = (enum case_held)state_get_most(in, HELD_BUDGET);
	id = state_get_str(in);
	snprintf(file->id, sizeof(file->id), "%.*s", STR_FMT(id));
	file->told_db = (int)state_get_i64(in);
	file->told_groups = (uint32_t)state_get_most(in, UINT32_MAX);
	file->last_ns = state_get_u64(in);
	file->opened_ns = state_get_u64(in);
	file->told_ns = state_get_u64(in);
	file->closed_ns = state_get_u64(in);
	n = state_get_most(in, DOSSIER_EVIDENCE);
	for (uint64_t i = 0; i < n && !in->bad; i++)
		load_evidence(d, in, made);
	n = state_get_most(in, FINDING_FLOWS);
	for (uint64_t i = 0; i < n && !in->bad; i++)
		dossier_keep_flow(file, state_get_u64(in));
	if (made && !in->bad)
		dossier_set(d, made, state, held);
}

int cases_load(struct detect *d, struct state_in *in)
{
	uint64_t n;

	d->cases->warmed = state_get_most(in, 1);
	d->cases->learned = state_get_most(in, 1);
	n = state_get_most(in, in->rest.n);
	for (uint64_t i = 0; i < n && !in->bad; i++)
		load_one(d, in);
	return 0;
}
