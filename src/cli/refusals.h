/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second table that ends `egret exec --policy`: what was refused, how often, and by which line. One row for each
 * different (program, name or address, port, rule). Bounded: past the limit the rest becomes one last row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct flow;
struct record;
struct refusals;

int refusals_new(struct refusals **ret, size_t max_rows);
struct refusals *refusals_free(struct refusals *r);

void refusals_drop(struct refusals *r, const struct record *drop); /* RECORD_DROP */
void refusals_flow(struct refusals *r,
		   const struct flow *f); /* an ended flow that was let pass, and would not be */

bool refusals_any(const struct refusals *r);
void refusals_print(struct refusals *r, FILE *to, unsigned width);
