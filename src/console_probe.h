/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the ClickHouse of a console answers, and for how many hosts: asked every half minute like any question to the history, in a
 * process of its own, so that nobody waits for it.
 */
#pragma once

#include "answerer.h"

struct console_probe;
struct json;
struct loop;
struct metrics_out;

/* `in` but for the question; what it points to must stay. -errno. */
int console_probe_new(struct console_probe **ret, struct loop *loop,
		      const struct answerer_inputs *in);
struct console_probe *console_probe_free(struct console_probe *p);
/* Members of an object: answers, hosts, problem. */
void console_probe_status(const struct console_probe *p, struct json *j);
void console_probe_metrics(const struct console_probe *p, struct metrics_out *m);
