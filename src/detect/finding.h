/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finding: what the detectors concluded of one entity (a program, or a machine) and one peer, in a form that can be
 * written, listed and acted on. Plain data; borrowed, with all it points to, for the length of a callback.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "detect/evidence.h"

#define FINDING_ID_MAX 16
#define FINDING_FLOWS 16
#define FINDING_EVIDENCE 24
#define FINDING_PLOT 64

enum severity { SEVERITY_NONE, SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_CRITICAL };
const char *severity_name(enum severity s); /* "low" …; NULL for none */
int severity_parse(struct str word, enum severity *ret);

enum finding_state { FINDING_OPEN, FINDING_UPDATE, FINDING_CLOSED };
const char *finding_state_name(enum finding_state s); /* "open" … */

/* One line of evidence. Weights are those that count: already scaled, not yet capped by group. */
struct evidence {
	enum evidence_id id;
	int16_t db;
	double measured; /* in the unit that `what` names */
	uint64_t n;      /* observations behind it */
	uint64_t time_ns;
	char what[128];     /* "check-ins every 64 s ± 18 %" */
	char baseline[128]; /* "random traffic this regular: p = 1e-21"; may be empty */
};

struct finding {
	char id[FINDING_ID_MAX];
	enum finding_state state;
	enum severity severity;
	enum finding_class class;
	const char *detector; /* of the heaviest evidence that is not only context */
	int score_db;
	uint64_t opened_ns, time_ns;
	bool acked; /* an exception of the user covers it: kept, shown, not alerted */

	/* who */
	struct str entity; /* for people: "/tmp/.x (root)", "10.1.0.5" */
	struct str exe, user, container;
	struct addr source;
	bool has_source;
	const struct proc *proc; /* the latest; NULL unknown or gone */
	unsigned entities;       /* of this site that show the same peer now */

	/* whom */
	struct str peer; /* registrable domain, else "address:port" */
	struct str name; /* the name it was called by last; may be empty */
	struct addr addr;
	uint16_t port;
	uint8_t proto;

	uint64_t flows_total, up, down; /* of the pair, since first_ns */
	uint64_t first_ns, last_ns;
	uint64_t flows[FINDING_FLOWS];
	size_t n_flows;
	const struct evidence *evidence; /* heaviest first */
	size_t n_evidence;
	const char *attack[8];
	size_t n_attack;
	struct str response; /* what was, or would be, put in force because of it; empty: nothing */
	struct str explain;  /* one sentence a person can act on */

	/* What it looks like over time: check-ins (seconds of gaps) or volume (bytes a bucket), oldest first. */
	struct {
		const char *what; /* "gap, s"; NULL: nothing to draw */
		float at[FINDING_PLOT];
		size_t n;
	} plot;
};

struct finding_out {
	void (*on_finding)(void *ctx, const struct finding *f);
	void *ctx;
};
