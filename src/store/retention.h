/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the SQLite store: what is too old or too much goes, the oldest detail first. */
#pragma once

#include <stdint.h>

#include "store/store.h"

struct retention {
	uint64_t disk_bytes, oldest_ns; /* as of the last run */
	uint64_t clock_offset_ns,
		doubt_until_ns; /* a clock that jumps forward is believed after an hour */
};

/* `open_day` is being written: it stays. The thread must have no transaction open. */
void retention_run(struct retention *r, const struct store_config *cfg, uint64_t now_ns,
		   int64_t open_day);
