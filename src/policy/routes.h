/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `interface NAME` of a segment stands for: the addresses to which this host's routes lead by that interface, in the main
 * table of its own network namespace: each network less the smaller ones in it that lead elsewhere. Not the default route,
 * link-local and multicast.
 */
#pragma once

#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

struct policy;

/* Number of ranges, or -errno. */
int routes_by(struct str interface,
	      void (*fn)(void *ctx, const struct addr *lo, const struct addr *hi), void *ctx);

/* Of all interfaces that this policy's segments name: another number when what they stand for has changed; 0: there are none. */
uint64_t routes_stamp(const struct policy *p);
