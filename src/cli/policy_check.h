/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cli/: what `egret policy check` does, for whoever packs policies. */
#pragma once

struct policy;

/*
 * The policy of a file, checked as far as another machine than those it is for can: lists that are not here are empty. Messages go to
 * stderr. NULL: it could not be loaded.
 */
struct policy *policy_check_for_others(const char *path, const char *config);
