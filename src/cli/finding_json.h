/* SPDX-License-Identifier: Apache-2.0 */
/* A finding out of its record, as egretd's answers and eve.json hold it. */
#pragma once

#include <jansson.h>

#include "detect/finding.h"

struct finding_copy {
	struct finding f; /* points into the record and into what follows */
	struct evidence evidence[FINDING_EVIDENCE];
	char attack[8][16];
};

/* 0; -EINVAL: no alert of a finding. Valid as long as the record is. */
int finding_of_record(struct finding_copy *ret, const json_t *record);
