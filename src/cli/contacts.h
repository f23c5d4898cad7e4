/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table that ends `egret exec` and `egret read`: who contacted what, one row for each different (program or
 * source host, name, address, port, protocol), with sums. Bounded: past the limit the rest becomes one last row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct contacts;
struct flow;

/* `verdicts`: rows also differ by what policy said, which is one more column. */
int contacts_new(struct contacts **ret, bool by_program, bool verdicts, size_t max_rows);
struct contacts *contacts_free(struct contacts *c);

void contacts_add(struct contacts *c, const struct flow *f); /* an ended flow */

/* Most bytes first, at most `limit` rows (0: all); `width` columns (0: no limit). */
void contacts_print(struct contacts *c, FILE *to, size_t limit, unsigned width);
size_t contacts_count(const struct contacts *c);
