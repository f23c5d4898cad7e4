/* SPDX-License-Identifier: Apache-2.0 */
/* Country and autonomous system of addresses, from the user's own .mmdb files (MaxMind DB format 2.0). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct geo;

/* Either path may be NULL or absent. -errno with words in `error`. */
int geo_open(struct geo **ret, const char *country_path, const char *asn_path, char error[256]);
struct geo *geo_free(struct geo *g);
bool geo_knows_countries(const struct geo *g); /* false of NULL, as the next */
bool geo_knows_systems(const struct geo *g);

/* Of one address. What is not known is 0 and empty; `as_org` is borrowed from the file, of at most 255 bytes. */
struct geo_facts {
	char country[3];
	uint32_t asn;
	struct str as_org;
};
void geo_find(struct geo *g, const struct addr *a, struct geo_facts *ret); /* NULL: knows nothing */

/* Calls back for each range, in order. -ENOENT: no such database; -ESRCH: no such country or system in it. */
int geo_country(struct geo *g, const char country[3],
		int (*fn)(void *ctx, const struct addr *lo, const struct addr *hi), void *ctx);
int geo_asn(struct geo *g, uint32_t asn,
	    int (*fn)(void *ctx, const struct addr *lo, const struct addr *hi), void *ctx);
