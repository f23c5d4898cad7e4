/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies and flows by the throw of dice, drawn from small pools so that they meet often. The same numbers come from the
 * same seed on any machine. Texts live for ever.
 */
#pragma once

#include "base/buf.h"
#include "policy/image.h"

struct dice {
	uint64_t state;
};
uint32_t dice_roll(struct dice *d, uint32_t sides); /* 0 .. sides - 1 */

#define RANDOM_NOW \
	1790000000 /* 2026-09-21; schedules and `until` of the policies change around it */
#define RANDOM_SPAN (14 * 86400)

void random_policy(struct dice *d, struct buf *text); /* one statement a line */
void random_subject(struct dice *d, struct policy_subject *ret);

/* compile_config.load_list for these policies. */
int random_load_list(void *ctx, const struct policy_list *l, struct list_sink sink,
		     struct list_report *report);

/* Everything that an unknown fact may turn out to be, as far as these policies tell it apart. */
struct random_world {
	const struct str *names;
	size_t n_names;
	const uint8_t *apps;
	size_t n_apps;
	const struct policy_container *containers; /* and none */
	size_t n_containers;
	struct addr *locals;
	size_t n_locals;
};
const struct random_world *random_world(void);
