/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of `egret usage` and `egret cost` as people and spreadsheets read it. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* `by`: the words of --by, "app,name"; `rows`: an array of them, as answered; `end`: the last line. `width` 0: nothing is cut. */
int usage_print(FILE *to, const char *by, const json_t *rows, const json_t *end, unsigned width);
/* The same, and below it prices and budgets. */
int cost_print(FILE *to, const char *by, const json_t *rows, const json_t *end, unsigned width);
/* A head line and a line a row; all columns of an answer, whether or not they have something. */
void usage_print_csv(FILE *to, const char *by, const json_t *rows);
