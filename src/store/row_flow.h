/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of history from flows, and from refusals that never became one. */
#pragma once

#include "flow/record.h"
#include "store/row.h"

/* What of a flow is in its pieces so far. All 0 before the first. */
struct store_kept {
	struct flow_half half[2];
	uint64_t to_ns, refused_calls, refused_packets, refused_bytes;
	uint32_t pieces;
};

/* Where an address lies; who has maps and lists fills segment, country, asn, as_org. Texts must live until the row is put. */
struct store_places {
	void (*place)(void *ctx, const struct addr *peer,
		      struct store_peer *ret); /* NULL: nothing is known */
	void *ctx;
};

/*
 * The piece that is to be kept now: what moved since `kept` (NULL: since the flow began). Texts are the flow's. `ends`: its last
 * piece, which counts as ended at now_ns when nothing moved for five minutes before.
 */
void store_row_of_flow(struct store_row *ret, const struct flow *f, const struct store_kept *kept,
		       bool ends, uint64_t boot, uint64_t now_ns,
		       const struct store_places *places);
bool store_row_moved(const struct flow *f,
		     const struct store_kept *kept); /* there is something to keep */
void store_kept_now(struct store_kept *kept, const struct flow *f,
		    const struct store_row *row); /* the row was put */

/* Of a RECORD_DNS that is a response; texts are the record's. */
void store_name_of_record(struct store_name *ret, const struct record *r, uint64_t boot);

/* Of a RECORD_FINDING: all but `record`. */
void store_finding_of_record(struct store_finding *ret, const struct record *r, uint64_t boot);

/* Of a RECORD_DROP without a flow. */
void store_row_of_drop(struct store_row *ret, const struct record *r, uint64_t boot,
		       const struct store_places *places);
