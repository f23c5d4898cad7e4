/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to guard/. Budgets of the policy in force: what they stand at is asked of the history, by the question that `egret cost` asks,
 * when a policy is loaded and about once a minute; the log says once a month that one will be passed, and that it is.
 *
 * A budget is its text: it outlives loads and restarts (STATE/policy/budgets), and ends with its month.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct guard;
struct json;
struct loop_source;

struct budgets {
	json_t *now;  /* as last answered: an array; NULL: not yet */
	json_t *told; /* {TEXT: [begin of the month, enum budget_told]} */
	uint32_t gen; /* of the policy that was asked for */
	uint64_t due_ns, asked_ns;
	pid_t pid; /* that answers; 0: none */
	int fd;
	struct loop_source *source;
	struct buf answer;
	bool failing; /* no answer could be had, and that was said */
};

void budgets_read(struct guard *g);
void budgets_tick(struct guard *g); /* once a second */
void budgets_stop(struct guard *g); /* nothing is asked any more */
void budgets_done(struct guard *g);

/* What the history answered: its lines, of which the last counts. False: it is no answer. */
bool budgets_take(struct guard *g, struct str answer);
/* The member "budgets" of an object; nothing before the first answer. */
void budgets_put(const struct guard *g, struct json *j);
