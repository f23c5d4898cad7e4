/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tor, told by the shape of its client's TLS hello (decode/appproto.h). Its directory of relays is a list like any other: addresses
 * on it are found by `intel`. Whether Tor may be used is a matter of policy; by whom it is used is not: of a program from a folder that
 * anybody may write to, identity adds up.
 */
#include <stdio.h>

#include "detect/detectors.h"
#include "detect/say.h"

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	/* No answer gave it the name: Tor makes it up. */
	bool made_up = f->name && !f->n_names;
	int db = made_up || f->key.dport == 9001 ? evidence_rows[E_TOR].most
						 : evidence_rows[E_TOR].most - 4;
	char what[128];

	if (f->app != APP_TOR || was_said(s->pair, E_TOR, db))
		return;
	snprintf(what, sizeof(what), "TLS as Tor's own client speaks it%s%.60s",
		 f->name ? ", calling its peer " : "", f->name ? f->name->p : "");
	detect_evidence(
		d, s->pair, E_TOR,
		&(struct evidence_in){ .db = db,
				       .n = s->pair->flows,
				       .flow_id = f->id,
				       .what = what,
				       .baseline = made_up ? "a name nobody asked for" : NULL });
	if (made_up)
		detect_evidence(
			d, s->pair, E_MADE_UP_NAME,
			&(struct evidence_in){ .flow_id = f->id,
					       .what = "its name stands in no DNS answer" });
}

const struct detector detect_tor = {
	.name = "tor",
	.flow = flow,
};
