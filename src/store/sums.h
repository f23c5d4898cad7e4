/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is summed, and over what: one key a combination of dimensions. A question for other dimensions (ports, addresses, arguments) is
 * answered from pieces of flows, as long as those are kept.
 */
#pragma once

#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

/* X(identifier, word of --by, title) */
#define STORE_DIMS(X)                          \
	X(APP, "app", "APP")                   \
	X(USER, "user", "USER")                \
	X(UNIT, "unit", "UNIT")                \
	X(CONTAINER, "container", "CONTAINER") \
	X(SEGMENT, "segment", "SEGMENT")       \
	X(NAME, "name", "NAME")                \
	X(DOMAIN, "domain", "DOMAIN")          \
	X(COUNTRY, "country", "COUNTRY")       \
	X(ASN, "asn", "ASN")                   \
	X(PROTOCOL, "protocol", "PROTOCOL")    \
	X(DIRECTION, "direction", "DIRECTION") \
	X(RULE, "rule", "RULE")                \
	X(VERDICT, "verdict", "VERDICT")

enum store_dim {
#define X(id, word, title) STORE_DIM_##id,
	STORE_DIMS(X)
#undef X
		STORE_DIM_COUNT
};

enum store_step { STORE_MINUTE, STORE_HOUR, STORE_DAY, STORE_STEP_COUNT };

/*
 * APP: path of the executable, else comm. NAME: the best name, else the address as text; past the limit of what one hour may bring
 * STORE_UNNAMED or STORE_FURTHER. ASN: "AS64496". VERDICT: as flow_verdict_word(). RULE: its text, else FILE:LINE. CONTAINER: its
 * name, else its id. Empty: not known, or none.
 */
struct store_key {
	struct str dim[STORE_DIM_COUNT];
};

struct store_row;

#define STORE_UNNAMED "(unnamed)" /* NAME of addresses without a name past the limit */
#define STORE_FURTHER "(further)" /* any dimension, past the limits of names or of keys */
#define STORE_NAMES_AN_HOUR \
	16384 /* different NAMEs that are names, and as many that are addresses */
#define STORE_KEYS_AN_HOUR \
	131072 /* then APP, USER, UNIT, CONTAINER, NAME, DOMAIN, RULE are STORE_FURTHER */

/* Under what a row is summed, limits apart. Points into the row and `scratch`. */
struct store_key_scratch {
	char address[ADDR_TEXT_MAX], asn[16], rule[320];
};
void store_row_key(const struct store_row *row, struct store_key_scratch *scratch,
		   struct store_key *ret);

struct store_sum {
	const struct store_key *key;
	uint64_t time_ns,
		last_ns; /* begin of the bucket; end of the last piece in it, to the second */
	uint64_t flows;  /* that began */
	uint64_t up_bytes, down_bytes, up_packets, down_packets;
	uint64_t refused; /* calls and packets */
};
