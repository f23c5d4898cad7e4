/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel offers, found by trying and never by version number. `egret doctor` prints the table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum feature_state { FEATURE_YES, FEATURE_NO, FEATURE_NO_RIGHTS };

struct feature {
	const char *name;     /* "cgroup_skb", "BTF", "ring buffer" … */
	const char *used_for; /* what egret does with it */
	const char *lost;     /* what is lost without it; NULL: egret cannot run without it */
	const char *remedy;   /* what would be done about it */
	const char *since;    /* kernel that brought it, as text only */
	enum feature_state state;
	char detail[128]; /* why, or where: "/sys/fs/cgroup/unified", "Operation not permitted" */
};

/* Fills at most `max` rows and returns how many there are. Needs no rights to run; says what it could not try. */
size_t features_probe(struct feature *ret, size_t max);
