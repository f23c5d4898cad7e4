/* SPDX-License-Identifier: Apache-2.0 */
/* Inside src/detect: words that many detectors share. */
#pragma once

#include <stdlib.h>

#include "detect/dossier.h"

/*
 * Was this said of the pair, at least as loudly, and are there flows enough to show? Saying it again would weigh the pair anew
 * for nothing: a flow comes as often as it likes.
 */
static inline bool was_said(const struct pair *p, enum evidence_id id, int db)
{
	const struct dossier *file = p->dossier;

	for (unsigned i = 0; file && file->n_flows == FINDING_FLOWS && i < file->n; i++)
		if (file->evidence[i]->id == id)
			return abs(file->evidence[i]->db) >= abs(db);
	return false;
}

/* Outside of what is ours: on the Internet, or where the reader of a recording said so (`--inside`). */
static inline bool is_outside(const struct flow *f)
{
	return addr_class(&f->key.dst) == ADDR_INTERNET ||
	       (!f->live && f->direction == FLOW_EGRESS);
}
