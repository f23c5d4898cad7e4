/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which batches of which spools a collector has had: what comes again is not taken again. Numbers of a spool are kept as ranges;
 * agents send nearly in order, so that there is about one for each time an egretd was started. In one file, replaced as a whole.
 *
 * Bounded: of a spool the lowest range is forgotten when it has too many; a spool that was silent for 30 days is forgotten, and of too
 * many the one that was silent longest, if for a day. A batch that is forgotten, and comes again, counts twice: that takes an answer
 * that got lost just then, so it is counted, and no more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/spool.h"

#define HAD_SPOOLS_MAX 65536
#define HAD_RANGES 16

struct had;

/* From the folder's file, if there is one. -EBADMSG: it was damaged and is set aside; *ret is good, and knows nothing. */
int had_open(struct had **ret, int folder, uint64_t now_s);
struct had *had_free(struct had *h);

bool had_has(const struct had *h, const struct spool_tag *t);
int had_reserve(struct had *h, const uint8_t id[16],
		uint64_t now_s); /* so that had_add() has room; -ENOSPC, -ENOMEM */
void had_add(struct had *h, const struct spool_tag *t, uint64_t now_s);
/* Onto disk, if anything changed. -errno: not all of it is there; also when had_add() had no room. */
int had_save(struct had *h, uint64_t now_s);

struct had_stats {
	uint64_t spools;
	uint64_t forgotten; /* ranges and spools, since had_open() */
};
void had_stats(const struct had *h, struct had_stats *ret);
