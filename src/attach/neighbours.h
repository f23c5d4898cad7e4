/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the kernel's neighbour tables (ARP, NDP) of this network namespace by netlink: what is there at the start, then changes. What the
 * socket had no room for is asked for again: only how it is now counts. Never waits; whoever owns it calls neighbours_read() on a beat.
 */
#pragma once

#include <stdint.h>

#include "base/addr.h"

struct neighbours;

/* mac NULL: the address has none any more. */
typedef void (*neighbour_fn)(void *ctx, uint32_t ifindex, const struct addr *addr,
			     const uint8_t mac[6]);

int neighbours_new(struct neighbours **ret, neighbour_fn fn, void *ctx);
struct neighbours *neighbours_free(struct neighbours *n);
void neighbours_read(struct neighbours *n);
