/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What detection says of one command and all it starts, without a first day: there is nothing to learn from, so what counts is what
 * a flow or a program is in itself (channel, identity, intel, dns) more than how rare it is. The feeds are those of this host's
 * egretd, when it has any. Where executables come from is read only when there is something to weigh.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct exec_detect;
struct pipeline;
struct record;
struct sink;

/* Watches the pipeline's flows. Findings also go to `sink` as records (NULL: not), as they are told. */
int exec_detect_new(struct exec_detect **ret, struct pipeline *pipeline, struct sink *sink);
struct exec_detect *exec_detect_free(struct exec_detect *x); /* before the pipeline */

void exec_detect_record(struct exec_detect *x, const struct record *r);
void exec_detect_tick(struct exec_detect *x, uint64_t now_ns);
/* All of it, heaviest first; nothing when nothing was found. */
void exec_detect_print(struct exec_detect *x, FILE *to, unsigned width);
