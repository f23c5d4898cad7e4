/* SPDX-License-Identifier: Apache-2.0 */
/* Where the kernel sends what is for an address. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct route;

int route_new(struct route **ret);
struct route *route_free(struct route *r);
/* The interface that leads there; *ret_own: the address is this host's. 0 or -errno (-ENETUNREACH …). */
int route_find(struct route *r, const struct addr *a, uint32_t *ret_ifindex, bool *ret_own);
