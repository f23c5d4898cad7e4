/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose an address is, of ranges that may overlap: of several owners the lowest number's. Ranges are added, then sealed,
 * then asked for; 20 bytes a boundary. NAT64's addresses count as the IPv4 that they reach, as in a verdict.
 */
#pragma once

#include <stdint.h>

#include "base/addr.h"

#define OWNERS_NONE UINT32_MAX

struct owners;
int owners_new(struct owners **ret);
struct owners *owners_free(struct owners *o);
int owners_add(struct owners *o, uint32_t owner, const struct addr *lo, const struct addr *hi);
int owners_seal(struct owners *o); /* -ENOMEM, -E2BIG: overlaps too many ways */
uint32_t owners_find(const struct owners *o, const struct addr *a);
