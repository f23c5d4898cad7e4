/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to history/: the largest groups of a fleet by a name and more, without reading all there are. A group with a name has moved no more
 * than the name has; so only names that moved as much as the last of the groups that are shown can have one of those (the threshold
 * algorithm: Fagin, Lotem and Naor, "Optimal aggregation algorithms for middleware", 2003). Names alone are in small sums.
 */
#pragma once

#include "history/scan.h"

/*
 * In *ret, the caller's: the `limit` largest groups of the question, by `size`, which is to be what it sorts by, and a sum; and all others as
 * groups_others(). In *total what all of them moved. 0: done; 1: all have to be read, and there is nothing in either.
 */
int largest_groups(struct scan *s, uint64_t (*size)(const struct group *g), struct groups **ret,
		   struct moved *total);
