/* SPDX-License-Identifier: Apache-2.0 */
/* Country and autonomous system of addresses, from the user's own .mmdb files (MaxMind DB format 2.0). */
#pragma once

#include <stdint.h>

#include "base/addr.h"

struct geo;

/* Either path may be NULL or absent. -errno with words in `error`. */
int geo_open(struct geo **ret, const char *country_path, const char *asn_path, char error[256]);
struct geo *geo_free(struct geo *g);
/* Calls back for each range, in order. -ENOENT: no such database; -ESRCH: no such country or system in it. */
int geo_country(struct geo *g, const char country[3],
		int (*fn)(void *ctx, const struct addr *lo, const struct addr *hi), void *ctx);
int geo_asn(struct geo *g, uint32_t asn,
	    int (*fn)(void *ctx, const struct addr *lo, const struct addr *hi), void *ctx);
