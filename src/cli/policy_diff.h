/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `egret policy diff` that write and read JSON, and where it has the policy before from. */
#pragma once

#include <jansson.h>

#include "policy/diff.h"

/* egretd's answer with the files of the policy in force, the caller's to decref; NULL: none, said. */
json_t *policy_in_force(void);

/* The policy of a file, or without `path` the one in force. 0; -errno, said. */
struct config;
struct offline;
int policy_open_before(struct offline *ret, const char *path, const struct config *config);

/* Prints one object; how many statements differ. `e`: NULL without traffic. */
size_t policy_diff_json(const struct policy_diff *d, struct effect *e, const struct policy *after,
			bool all);
