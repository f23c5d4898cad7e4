/* SPDX-License-Identifier: Apache-2.0 */
/* History as egret.conf wants it, in the folder "history" of the state, and the spool of a fleet in "spool". */
#pragma once

#include <stdint.h>

#include "config.h"
#include "store/keeper.h"

struct locator;
struct loop;
struct shipper;

#define KEEP_PATH_MAX (sizeof(((struct config *)0)->state) + 32)
/* Where batches wait, and what comes back of the fleet lies; returns `path`, or NULL: there is no fleet. */
const char *keep_spool(const struct config *c, char path[KEEP_PATH_MAX]);
const char *keep_others(const struct config *c,
			char path[KEEP_PATH_MAX]); /* its file of other machines' policy */

/* 0 and *ret, which stays NULL where nothing is kept; or -errno, which is logged. `boot` tells this run from others. */
int keep_history(struct keeper **ret, const struct config *c, struct flow_table *flows,
		 struct locator *locator, const char *host, uint64_t boot);

/* What empties the spool, where there is one. 0; or -errno, which is logged. */
int keep_ship(struct shipper **ret, const struct config *c, struct loop *loop);
