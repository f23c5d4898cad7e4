/* SPDX-License-Identifier: Apache-2.0 */
/* File sharing between peers: no intrusion, and on most sites not wanted. For the log; a rule of the policy can refuse it. */
#include "detect/detectors.h"
#include "detect/say.h"

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	int most = evidence_rows[E_P2P].most;

	if (f->app != APP_BITTORRENT || !is_outside(f) || was_said(s->pair, E_P2P, most))
		return;
	detect_evidence(d, s->pair, E_P2P,
			&(struct evidence_in){ .n = s->pair->flows,
					       .flow_id = f->id,
					       .what = "it speaks BitTorrent" });
}

const struct detector detect_p2p = {
	.name = "p2p",
	.flow = flow,
};
