/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix of `egret segments`: who opens flows to whom, segment by segment. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#define SEGMENTS_COLUMNS 12 /* more segments to which flows go are one column "(others)" */

/*
 * `rows`: an array of {"from":…,"to":…,"up":…,"down":…,"flows":…,"refused":…}. Of each pair a cell: bytes both ways, flows, and
 * what was refused where anything was. Those that moved most come first, both ways. `width` 0: nothing is cut. -ENOMEM.
 */
int segments_print(FILE *to, const json_t *rows, unsigned width);
