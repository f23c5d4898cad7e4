/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of `egret timeline`, and the small timeline in `egret who`, as charts; and as comma-separated values. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"

#define TIMELINE_COLUMNS 100 /* of a screen that is none */

/* Columns for the chart on a screen so wide: what names, numbers and frame leave. */
unsigned timeline_room(unsigned width);

/*
 * `series`: rows of an answer; `end`: its last line. A row a series, of bytes both ways, each on a scale of its own with its highest
 * column written; without --by (`by` NULL), what leaves and what comes in as two. 0, -ENOMEM.
 */
int timeline_print(FILE *to, const char *by, const json_t *series, const json_t *end,
		   unsigned width);
/* time, the words of --by, up, down, flows: a line a point that is not all 0. */
void timeline_print_csv(FILE *to, const char *by, const json_t *series, const json_t *end);
