/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back of a fleet (store/ship_fleet.h), for agents that ask their collector instead of ClickHouse: the files that the collector's own sender fetched. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct hand_on {
	int fd;                /* the caller's */
	uint64_t offset, size; /* size 0: there is nothing to answer with, and no fd */
};

/* False: it is no such question. `folder` is the path of the collector's spool. */
bool hand_on(const char *folder, struct str statement, struct hand_on *ret);
