/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to history: pieces of living flows each minute, of ended ones at once, refusals, answers of DNS, findings. What has moved since a
 * flow's last piece is in no file; keeper_overlay() hands it to whoever answers questions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/eve.h"
#include "store/row_flow.h"
#include "store/store.h"

struct flow_table;
struct json;
struct keeper;

/* Where they go: the history of this host, and beside it the spool of a fleet. */
enum keeper_store { KEEPER_HISTORY, KEEPER_FLEET, KEEPER_STORES };

struct keeper_config {
	struct {
		const struct store_kind *kind; /* NULL: off */
		struct store_config store;
	} to[KEEPER_STORES];
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
void keeper_host(struct keeper *k,
		 const struct store_host *h);        /* to the fleet, where there is one */
void keeper_tick(struct keeper *k, uint64_t now_ns); /* once a second */
bool keeper_keeps(const struct keeper *k, enum keeper_store which);
uint64_t keeper_lost(struct keeper *k,
		     enum loss_reason reason); /* LOSS_STORE_*, LOSS_SPOOL_DROP: rows so far */
void keeper_stats(struct keeper *k, enum keeper_store which,
		  struct store_stats *ret); /* all 0 where it is off */
void keeper_status(struct keeper *k, enum keeper_store which,
		   struct json *j); /* members of an object */

/* What is in no file yet, as rows of store/row_code.h one after the other, in a sealed memfd that is the caller's; or -errno. */
int keeper_overlay(struct keeper *k, uint64_t now_ns);
