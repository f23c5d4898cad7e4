/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to history: pieces of living flows each minute, of ended ones at once, refusals, findings. What has moved since a
 * flow's last piece is in no file; keeper_overlay() hands it to whoever answers questions.
 */
#pragma once

#include <stdint.h>

#include "store/eve.h"
#include "store/row_flow.h"
#include "store/store.h"

struct flow_table;
struct json;
struct keeper;

struct keeper_config {
	const struct store_kind *kind;
	struct store_config store;
	struct flow_table *flows;   /* borrowed, as the next two */
	struct eve_format format;   /* of findings */
	struct store_places places; /* may be empty */
	uint64_t boot;              /* of this run: rows bear it */
};

int keeper_new(struct keeper **ret, const struct keeper_config *cfg);
/* All others take NULL, which keeps nothing. */
int keeper_start(struct keeper *k); /* the thread that writes has the rights of now */
struct keeper *
keeper_free(struct keeper *k); /* after the flow table is finished; writes what is queued */

void keeper_record(struct keeper *k, const struct record *r);
void keeper_tick(struct keeper *k, uint64_t now_ns);             /* once a second */
uint64_t keeper_lost(struct keeper *k, enum loss_reason reason); /* LOSS_STORE_*: rows so far */
void keeper_status(struct keeper *k, struct json *j);            /* members of an object */

/* What is in no file yet, as rows of store/row_code.h one after the other, in a sealed memfd that is the caller's; or -errno. */
int keeper_overlay(struct keeper *k, uint64_t now_ns);
