/* SPDX-License-Identifier: Apache-2.0 */
/* What a filter is made of, for filter.c and for who turns it into another language: a program in postfix order. */
#pragma once

#include "base/addr.h"
#include "flow/filter_keys.h"

enum filter_op { FILTER_TERM, FILTER_AND, FILTER_OR, FILTER_NOT };
enum filter_compare { FILTER_EQUAL, FILTER_GREATER, FILTER_LESS, FILTER_AT_LEAST, FILTER_AT_MOST };

struct filter_step {
	enum filter_op op;
	const struct filter_key *key; /* NULL: a bare word */
	enum filter_compare compare;
	struct str text;
	uint64_t from, to; /* numbers: `from`; of a range of ports both ends, else `to` is 0 */
	struct cidr cidr;
};

/* NULL and none of an empty filter. */
const struct filter_step *filter_steps(const struct filter *f, size_t *ret_n);
