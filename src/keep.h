/* SPDX-License-Identifier: Apache-2.0 */
/* History as egret.conf wants it, in the folder "history" of the state. */
#pragma once

#include <stdint.h>

#include "config.h"
#include "store/keeper.h"

/* 0 and *ret, which stays NULL with `store off`; or -errno, which is logged. `boot` tells this run from others. */
int keep_history(struct keeper **ret, const struct config *c, struct flow_table *flows,
		 const char *host, uint64_t boot);
