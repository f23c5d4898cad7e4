/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain text tables for people: columns as wide as their widest cell, the elastic ones cut when the terminal is
 * narrow. Cells hold text from the network: control characters are shown as '?', and widths are counted in
 * characters, so that nothing in a name can move the cursor or hide a row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/str.h"

struct table;

struct table_column {
	const char *title;
	bool right;   /* numbers */
	bool elastic; /* may be cut to fit */
};

int table_new(struct table **ret, const struct table_column *columns, size_t n_columns);
struct table *table_free(struct table *t);
void table_cell(struct table *t, struct str text);           /* left to right, row by row */
void table_print(struct table *t, FILE *to, unsigned width); /* width 0: nothing is cut */

unsigned terminal_width(FILE *to); /* 0: not a terminal */
