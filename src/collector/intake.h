/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of agents become batches of the collector's own spool, each once. A batch is taken when it is on disk, together with whose
 * it is (store/spool.h, collector/had.h): batches are put in, then all of them are committed by one sync, then each is answered.
 *
 * What comes from an agent is hostile: only statements of the schema, only whole rows, of one host, which `may` allows. So that one
 * agent does not spoil the batch of others, its rows are of few days, and so are those of a batch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/had.h"
#include "store/spool.h"

#define INTAKE_WHY_MAX 192
#define INTAKE_PACKED_MAX (SPOOL_BATCH_BYTES + SPOOL_ROW_ROOM + (1U << 20))

struct intake;

struct intake_config {
	const char *dir;    /* made when absent: `had`, and the spool in INTAKE_SPOOL */
	uint64_t max_bytes; /* of the spool */
	uint64_t wait_ns;   /* so long a batch of fewer than 10,000 flows or names waits for more */
};
#define INTAKE_SPOOL "spool"

int intake_open(struct intake **ret,
		const struct intake_config *cfg); /* -errno; logs why, and what is amiss */
struct intake *intake_free(struct intake *in);    /* what is not committed was not taken */

struct intake_batch {
	struct str statement, body;
	struct str spool, name;                   /* SHIP_SPOOL_HEADER, SHIP_BATCH_HEADER */
	bool (*may)(void *ctx, const char *host); /* may whoever sends it tell of that host? */
	void *ctx;
};

/* 0: intake_commit(), and then intake_has() says whether it is taken; in *ret_tag which it is. Else a status of HTTP, and in words why. */
unsigned intake_put(struct intake *in, const struct intake_batch *b, struct spool_tag *ret_tag,
		    char why[INTAKE_WHY_MAX]);
int intake_commit(struct intake *in); /* -errno: some of them are not taken */
bool intake_has(const struct intake *in, const struct spool_tag *tag);

int intake_keep_house(struct intake *in); /* once a second; -errno: batches cannot be closed */

struct intake_stats {
	uint64_t batches, rows, bytes; /* taken; as they came, packed */
	uint64_t again;                /* came once more */
	uint64_t refused;              /* with a status; but for those that came too early: */
	uint64_t busy;                 /* the spool is full or failing */
	uint64_t commits;
	struct had_stats had;
	struct spool_stats spool;
};
void intake_stats(const struct intake *in, struct intake_stats *ret);
