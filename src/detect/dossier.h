/* SPDX-License-Identifier: Apache-2.0 */
/* Inside fusion.c, cases.c and state.c: what has been said of a pair, and the case that came of it. */
#pragma once

#include "detect/engine.h"

#define DOSSIER_EVIDENCE 16

enum case_state { CASE_NONE, CASE_OPEN, CASE_CLOSED };

struct dossier {
	struct list link; /* in detect.dossier_list, idlest first */
	struct pair *pair;
	struct evidence *evidence[DOSSIER_EVIDENCE]; /* from detect.evidence */
	uint8_t n;
	uint8_t state;    /* enum case_state */
	uint8_t severity; /* enum severity, the highest told */
	bool held;        /* would have opened, but for warm-up or the noise budget */
	char id[FINDING_ID_MAX];
	int told_db;
	uint32_t told_groups; /* bit per evidence_group */
	uint64_t last_ns;     /* newest evidence */
	uint64_t opened_ns, told_ns, closed_ns;
	uint64_t flows[FINDING_FLOWS];
	uint8_t n_flows;
};

void dossier_free(struct detect *d, struct pair *p);           /* NULL dossier is fine */
struct dossier *dossier_get(struct detect *d, struct pair *p); /* made when new; NULL: no room */
