/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an address lies: its country and autonomous system by the user's .mmdb files, its segment by the policy in force. Answers
 * are kept for 8,192 addresses, so that asking for each record is cheap. For one thread.
 */
#pragma once

#include <stdint.h>

#include "base/addr.h"

struct geo;
struct policy;
struct locator;

/* Texts are borrowed until the next locator_set_*(). */
struct location {
	/*
	 * The segment of the policy, of several the one that is defined first; else addr_class_name(): "internet", "private",
	 * "loopback" …
	 */
	struct str segment;
	char country[3];   /* ISO 3166-1, two capitals; empty: not known */
	uint32_t asn;      /* 0: not known */
	struct str as_org; /* as the file has it */
};

int locator_new(struct locator **ret);
struct locator *locator_free(struct locator *l);
void locator_set_geo(struct locator *l, struct geo *geo); /* borrowed until the next; NULL: none */
/* Names and ranges of its segments are copied. On failure, and with NULL, no segments are known. */
int locator_set_policy(struct locator *l, const struct policy *p);
/* Borrowed until the next call. */
const struct location *locator_find(struct locator *l, const struct addr *a);
