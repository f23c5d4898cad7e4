/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside src/detect: what is remembered across restarts. The file:
 *
 *     "EGRETDET", version (u32), bytes of the rest (u64), their XXH3 (u64), then sections: name, version, length, bytes
 *
 * Numbers in sections are LEB128, texts a length and bytes. A section of an unknown name or another version is passed over, so
 * that a detector may change what it keeps without costing the others their memory.
 */
#pragma once

#include "base/buf.h"
#include "detect/engine.h"

struct state_out {
	struct buf *buf;
};

struct state_in {
	struct detect *d;
	struct str rest;
	bool bad; /* something was cut off or out of range: all that follows reads as 0 */
	/* By the number they were written under; held, so that nothing that is read pushes out what was read before. */
	struct entity **entities;
	struct peer **peers;
	struct pair **pairs;
	size_t n_entities, n_peers, n_pairs;
};

void state_u64(struct state_out *o, uint64_t v);
void state_i64(struct state_out *o, int64_t v);
void state_f64(struct state_out *o, double v);
void state_str(struct state_out *o, struct str s);
void state_text(struct state_out *o, const struct text *t); /* NULL is empty */
void state_addr(struct state_out *o, const struct addr *a);
/* By number, in the order of detect.pair_lru; what stands in tables.c's section. */
void state_pair(struct state_out *o, const struct pair *p);
void state_entity(struct state_out *o, const struct entity *e);

uint64_t state_get_u64(struct state_in *in);
uint64_t state_get_most(struct state_in *in, uint64_t most); /* bad above it */
int64_t state_get_i64(struct state_in *in);
double state_get_f64(struct state_in *in);
struct str state_get_str(struct state_in *in);    /* borrowed from the file's bytes */
struct text *state_get_text(struct state_in *in); /* a reference; NULL when empty */
void state_get_addr(struct state_in *in, struct addr *ret);
struct pair *state_get_pair(struct state_in *in);     /* NULL: bad, or there was no room for it */
struct entity *state_get_entity(struct state_in *in); /* likewise */

/* tables.c, cases.c: their own sections. */
void tables_save(struct detect *d, struct state_out *o);
int tables_load(struct detect *d, struct state_in *in);
void tables_loaded(struct state_in *in); /* all is read: lets go of them */
void exceptions_save(struct detect *d, struct state_out *o);
int exceptions_load(struct detect *d, struct state_in *in);
void cases_save(struct detect *d, struct state_out *o);
int cases_load(struct detect *d, struct state_in *in);
