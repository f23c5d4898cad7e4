/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy against recorded traffic: each recorded flow judged, sums by rule, and who would be refused most. Bounded: past
 * the limit of different (program, name, port) the rest is one sum.
 */
#pragma once

#include "policy/judge.h"

struct replay_sum {
	uint64_t flows,
		attempts; /* attempts: calls and packets that were refused then, and never became a flow */
	uint64_t up, down;
};

struct replay_rule {
	struct replay_sum sum;
	uint64_t
		unknown; /* of these flows, those of which program or user would have to be known */
};

/* One (program, name or address, port) that this policy refuses, or that it decides otherwise than another. */
struct replay_who {
	struct replay_sum sum;
	uint16_t rule;
	struct str program, target, port; /* NUL-ended */
};

struct tally;

int tally_new(struct tally **ret, struct judge *j);
struct tally *tally_free(struct tally *t);

/* What was said of it; NULL: not a decision of policy (the other side opened it), or no image for its day. */
const struct judgement *tally_add(struct tally *t, const struct recorded *r);

struct tally_totals {
	struct replay_sum passed, refused,
		unknown;          /* unknown: cannot be decided without the program or user */
	struct replay_sum others; /* opened by the other side: not decided by policy */
	uint64_t failed;          /* no image for that day */
};
const struct tally_totals *tally_totals(const struct tally *t);
/* By rule; p->n_rules is the default, one more the implied allow. */
const struct replay_rule *tally_rule(const struct tally *t, size_t rule);
/* Those refused, most flows first, at most `limit`; *ret_more: how many there are beyond. Borrowed. */
const struct replay_who *const *tally_refused(struct tally *t, size_t limit, size_t *ret_n,
					      size_t *ret_more);

/* A table of such rows for other uses (diff). */
struct who_table;
int who_table_new(struct who_table **ret, size_t max);
struct who_table *who_table_free(struct who_table *w);
size_t who_table_count(const struct who_table *w);
void who_table_add(struct who_table *w, const struct recorded *r, uint16_t rule);
const struct replay_who *const *who_table_sorted(struct who_table *w, size_t limit, size_t *ret_n,
						 size_t *ret_more);

/* "443/tcp", "icmp": how policies write it. */
struct str recorded_port(const struct recorded *r, char text[16]);
/* The name, else the address. */
struct str recorded_target(const struct recorded *r, char text[ADDR_TEXT_MAX]);
