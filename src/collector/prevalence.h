/* SPDX-License-Identifier: Apache-2.0 */
/* What a fleet contacts, for agents that ask their collector instead of ClickHouse: the file that the collector's own sender fetched. */
#pragma once

#include <stdint.h>

#include "base/str.h"

struct prevalence_part {
	int fd;                /* the caller's */
	uint64_t offset, size; /* size 0: there is nothing to answer with, and no fd */
};

/* False: it is no such question (store/ship_prevalence.h). `folder` is the path of the collector's spool. */
bool prevalence_answer(const char *folder, struct str statement, struct prevalence_part *ret);
