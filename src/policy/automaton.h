/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Globs to one deterministic automaton over bytes, whose states tell which of them match: what the kernel runs over the
 * path of a program and of a cgroup (struct eg_dfa). Many globs cost what one costs; globs with many wildcards may need
 * more states than there is room for, and are refused then.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "policy/classes.h"

#define AUTOMATON_STATES_MAX 65535U

/* What is put in: globs, each with the number that stands in the sets of states that accept it. */
struct globs;
int globs_new(struct globs **ret);
struct globs *globs_free(struct globs *g);
/*
 * PATH: '*' is any run of bytes but '/', '?' one byte but '/', '**' any run; "/" "**" "/" also matches one '/'.
 * TEXT: '*' is any run of bytes, '?' one byte.
 * CGROUP: a PATH, and all below it.
 * UNIT: the glob of a unit's name. A cgroup is in the unit when the first component of its path that is no slice is it,
 * or, for slices, one of the slices before: nothing below a unit can pass for another one, whoever makes cgroups there.
 */
enum glob_kind { GLOB_PATH, GLOB_TEXT, GLOB_CGROUP, GLOB_UNIT };
int globs_add(struct globs *g, enum glob_kind kind, struct str glob, uint32_t number);

/* State 0 is dead, 1 the start. */
struct automaton {
	uint32_t n_states, n_classes;
	uint8_t class_of[256];
	uint16_t *trans;  /* [n_states * n_classes] */
	uint32_t *accept; /* [n_states]: set of numbers, of the sets given */
};
/* -E2BIG: too many states; -ENOMEM. */
int automaton_new(struct automaton **ret, const struct globs *g, struct sets *accept);
struct automaton *automaton_free(struct automaton *a);
uint32_t automaton_run(const struct automaton *a, struct str s); /* the set of numbers that match */
