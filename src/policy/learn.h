/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From recorded traffic to the smallest readable policy that allows it. Every flow is a need: somebody, somewhere, a port.
 * Needs are made general where that says the same in fewer words (three names of one registered domain are its
 * wildcard, many programs of one unit are the unit, many addresses without names are `internet`), then joined.
 *
 * What comes out is not trusted: the caller judges the recording again by it, tells what would still be refused
 * (learn_refused()), and asks for the text anew.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "policy/subject.h"

struct learn;

/* `only_app`: a path, name or glob; other programs' flows are left out, and no `default` is written. NULL: all. */
int learn_new(struct learn **ret, const char *only_app);
struct learn *learn_free(struct learn *l);

/*
 * From now on by segments, those of `p` (borrowed): which opens flows to which, at which ports, whoever it is. What lies in none of them
 * is told by its network. Before the first learn_add().
 */
int learn_by_segments(struct learn *l, const struct policy *p);
/* Segments that might be defined: the private networks that were seen. Nothing when there were none. */
int learn_suggest_segments(struct learn *l, struct buf *out);
/* The last text's expectations do not hold, as where segments overlap: without those of refusals. */
void learn_expect_less(struct learn *l);

void learn_add(struct learn *l, const struct recorded *r);
/* The last text would refuse this flow: it gets a rule as narrow as can be. */
void learn_refused(struct learn *l, const struct recorded *r);
bool learn_wants(const struct learn *l, const struct recorded *r);

/* The policy; `head` (comment lines) goes before it. -E2BIG: too many different needs; -ENOMEM. */
int learn_text(struct learn *l, struct str head, struct buf *out);

struct learn_counts {
	uint64_t flows,
		left_out;  /* left out: refused then, opened by the other side, of other programs */
	size_t triples;    /* different (program, name or address, port) */
	size_t statements; /* of the last text */
};
const struct learn_counts *learn_counts(const struct learn *l);
