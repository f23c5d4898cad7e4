/* SPDX-License-Identifier: Apache-2.0 */
/* Zones whose many names say nothing to a stranger, as data with reasons: dns_allow.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct dns_allow_row {
	const char *domain; /* registrable, by the public part of the list */
	const char *below;  /* labels in front of it; "": all of it */
	const char *why;
};
extern const struct dns_allow_row dns_allow_rows[];
extern const size_t n_dns_allow_rows;

const struct dns_allow_row *dns_allow_find(struct str domain); /* the first row of it; NULL: none */
/* `sub` is the part of a name before the domain of `row`. */
bool dns_allow_covers(const struct dns_allow_row *row, struct str sub);
