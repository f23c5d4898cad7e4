/* SPDX-License-Identifier: Apache-2.0 */
/* Inside dossier.c, fusion.c, cases.c and state.c: what has been said of a pair, and the case that came of it. */
#pragma once

#include "detect/engine.h"

#define DOSSIER_EVIDENCE 16

enum case_state { CASE_NONE, CASE_OPEN, CASE_CLOSED };

/* Would have opened, but for … */
enum case_held { NOT_HELD, HELD_WARM_UP, HELD_BUDGET };

struct dossier {
	struct list link; /* in detect.dossier_list; those of no case idlest first */
	struct pair *pair;
	struct evidence *evidence[DOSSIER_EVIDENCE]; /* from detect.evidence */
	uint8_t n;
	uint8_t state;    /* enum case_state */
	uint8_t severity; /* enum severity, the highest it ever weighed */
	uint8_t held;     /* enum case_held */
	char id[FINDING_ID_MAX];
	int told_db;
	uint32_t told_groups; /* bit per evidence_group */
	uint64_t last_ns;     /* newest evidence */
	uint64_t opened_ns, told_ns, closed_ns;
	uint64_t flows[FINDING_FLOWS];
	uint8_t n_flows;
};

void dossiers_new(struct detect *d);
void dossier_free(struct detect *d, struct pair *p);           /* NULL dossier is fine */
struct dossier *dossier_get(struct detect *d, struct pair *p); /* made when new; NULL: no room */
/* What an open or held case is about stays: a flood of other pairs does not push it out. */
void dossier_set(struct detect *d, struct dossier *file, enum case_state state,
		 enum case_held held);
/* The line of that evidence, made (n = 0) when new, in place of a lighter one when there is no room; NULL: it has to be left out. */
struct evidence *dossier_line(struct detect *d, struct dossier *file, enum evidence_id id, int db);
void dossier_keep_flow(struct dossier *file, uint64_t id);
