/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: a bounded table of counters that rise by what somebody else's numbers have grown, in the order they came. */
#pragma once

#include <stdbool.h>

#include "policy/keys.h"

struct rising_count {
	struct str id;  /* of the table */
	uint64_t seen;  /* the number, when it was last looked at */
	uint64_t value; /* what was counted so far */
	bool labelled;  /* it has a label of its own */
};

struct rising {
	struct keys ids;
	struct rising_count *counts;
	size_t n, max;
};

int rising_init(struct rising *r, size_t max);
void rising_done(struct rising *r);
void rising_clear(struct rising *r);
/* The count of an id, zeroed when it is new; NULL: no room. */
struct rising_count *rising_at(struct rising *r, struct str id);
