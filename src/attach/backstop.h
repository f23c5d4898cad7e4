/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backstop at tc egress (bpf/backstop.h) on every interface of this network namespace but loopback. Filters of others
 * stay as they are: ours has a handle of its own at the first free priority, and is known by its program's name.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct attach;

/* With attach_config.backstop; else all three do nothing. 0, or -errno when not even one interface could be had. */
int backstop_start(struct attach *a);
void backstop_tick(
	struct attach *a,
	uint64_t now_ns); /* interfaces that came since, filters that somebody took away */
void backstop_stop(struct attach *a);
/* Whoever put them there: number of filters taken away. */
size_t backstop_disarm(void);
