/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway (bpf/gateway.h) on the inside interfaces of this network namespace, by tc's clsact. Filters of others stay
 * as they are: ours has a handle of its own at the first free priority. An interface that is not there, or goes and comes
 * back, is taken up within a second.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct attach;
struct attach_config;

void gateway_configure(struct attach *a,
		       const struct attach_config *cfg); /* between open and load */
int gateway_start(struct attach *a);                     /* 0 or -errno */
/* Interfaces that came since, and the counters of flows: at each sweep, whose times the kernel has been told. */
int gateway_tick(struct attach *a, uint64_t now_ns);
void gateway_stop(struct attach *a); /* takes our filters away, unless they are pinned */
/* Whoever put them there: number of filters taken away. */
size_t gateway_disarm(void);
