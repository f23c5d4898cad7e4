/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is summed, and over what: one key a combination of dimensions. A question for other dimensions (ports, addresses, arguments) is
 * answered from pieces of flows, as long as those are kept.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

/* X(identifier, word of --by, title) */
#define STORE_DIMS(X)                        \
	X(APP, "app", "APP")                 \
	X(USER, "user", "USER")              \
	X(UNIT, "unit", "UNIT")              \
	X(CONTAINER, "container", "CONTAINER") \
	X(SEGMENT, "segment", "SEGMENT")     \
	X(NAME, "name", "NAME")              \
	X(DOMAIN, "domain", "DOMAIN")        \
	X(COUNTRY, "country", "COUNTRY")     \
	X(ASN, "asn", "ASN")                 \
	X(PROTOCOL, "protocol", "PROTOCOL")  \
	X(DIRECTION, "direction", "DIRECTION") \
	X(RULE, "rule", "RULE")              \
	X(VERDICT, "verdict", "VERDICT")

enum store_dim {
#define X(id, word, title) STORE_DIM_##id,
	STORE_DIMS(X)
#undef X
		STORE_DIM_COUNT
};

enum store_step { STORE_MINUTE, STORE_HOUR, STORE_DAY, STORE_STEP_COUNT };

/* APP: path of the executable, else comm. NAME: the best name, else the address as text, else (past the limit of addresses without a
 * name that one hour may bring) "(unnamed)". Empty: not known. */
struct store_key {
	struct str dim[STORE_DIM_COUNT];
};

struct store_sum {
	const struct store_key *key;
	uint64_t time_ns, last_ns;
	uint64_t flows; /* that began */
	uint64_t up_bytes, down_bytes, up_packets, down_packets;
	uint64_t refused; /* calls and packets */
};
