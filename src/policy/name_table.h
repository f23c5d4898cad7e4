/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of hosts on their way into an image: hashed as the kernel hashes them (bpf/name_hash.h), each with the set of its
 * atoms. The longest entry that a name matches decides alone, so each is given what the entries above it say, too.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "policy/classes.h"

/*
 * The hashes that eg_fact_name() takes: the name's own, then those of its parents, the top-level domain last. Of names
 * with more than EG_LABELS_MAX labels: its own, and those of the uppermost EG_LABELS_MAX - 1 parents. Upper case is taken
 * as lower case, one dot at the end is left out. Number of hashes; 0: not a name (empty, too long).
 */
unsigned name_hashes(struct str name, uint64_t key, uint64_t ret[EG_LABELS_MAX]);

struct name_table {
	uint64_t key;
	struct sets *sets;
	uint64_t *hash; /* 0: free */
	uint32_t *set, *chain;
	uint8_t *n_chain;
	size_t n, cap;
	uint64_t *chains; /* of each entry, the hashes under which parents would be found */
	size_t n_chains, cap_chains;
};
/* -EINVAL: no name, or too many labels for a wildcard; -ENOMEM. */
int policy_name_add(struct name_table *t, struct str name, bool exact, bool below, uint32_t atom);
void name_table_done(struct name_table *t);

/* The table as the image has it: no entry is further from its place than EG_PROBES_MAX. */
struct name_slots {
	uint64_t *hash;
	uint16_t *class;
	uint32_t capacity; /* 0: no names */
};
/* Empties `t`. */
int name_table_place(struct name_slots *ret, struct name_table *t, struct source *names);
void name_slots_done(struct name_slots *s);
