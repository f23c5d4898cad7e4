/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the SQLite store: sums by the id of a key in its file, while rows of the file are added up. */
#pragma once

#include "store/sum_code.h"

/* A cache line. */
struct tally {
	uint64_t flows, up, down, up_packets, down_packets, refused;
	int64_t first_s; /* its first bucket; INT64_MAX: nothing yet */
	int64_t last_s;  /* end of the last piece */
};

struct tallies {
	struct tally *by_id;
	uint32_t *ids; /* those that have something, n of them */
	size_t room, n;
	uint32_t max_id; /* of the file: what lies above is damage */
};

/* `bucket_s` is where it is told to belong, `time_s` what its last is counted from. 0, -EBADMSG, -ENOMEM. */
int tallies_add(struct tallies *t, const struct sum_entry *e, int64_t bucket_s, int64_t time_s);
void tallies_clear(struct tallies *t);
void tallies_done(struct tallies *t);
