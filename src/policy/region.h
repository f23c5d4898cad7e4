/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row takes of all flows there may be, as boxes over the classes of an image: a set of classes for each source,
 * and for trees and groups which must and must not be there. Rows are taken away from a box one after the other, as the
 * first that holds decides; what is left falls apart into smaller boxes.
 *
 * Boxes hold combinations that never come (a script class without its interpreter …): with them "everything here is taken"
 * is never said wrongly, only sometimes not seen.
 */
#pragma once

#include "policy/compile.h"

enum dim {
	DIM_EXE,
	DIM_SCRIPT,
	DIM_CGROUP,
	DIM_CONTAINER,
	DIM_USER,
	DIM_FROM,
	DIM_ADDR,
	DIM_NAME, /* the flow's one name, by DNS and shown; EG_CLASS_NONE: it has none that rules know */
	DIM_PORT,
	DIM_APP,
	DIM_SCOPE, /* enum eg_scope */
	DIM_COUNT
};

struct box {
	uint64_t tree_must, tree_not, group_must, group_not;
	uint64_t set[]; /* of each dimension, one after the other */
};

struct regions {
	const struct policy_image *img;
	const struct eg_image *head;
	uint32_t n[DIM_COUNT], words[DIM_COUNT],
		at[DIM_COUNT]; /* classes, words of a set, its place in a box */
	uint32_t box_words;
	uint64_t *all; /* the sets of everything that may come */
	uint64_t *and, * or
		; /* [row][box_words]: classes that do not rule the row out, that satisfy it */
	uint64_t *tree_or, *tree_not, *group_or, *group_not; /* by row */
	bool *any_group;                                     /* by row: it names no group */
	uint64_t *exe_trees;                                 /* by class */
};
/* -E2BIG: more than is worth the memory. */
int regions_new(struct regions **ret, const struct policy_image *img);
struct regions *regions_free(struct regions *r);

static inline uint64_t *box_set(const struct regions *r, struct box *b, enum dim d)
{
	return b->set + r->at[d];
}
static inline const uint64_t *row_and(const struct regions *r, uint32_t row, enum dim d)
{
	return r->and +(size_t)row * r->box_words + r->at[d];
}
static inline const uint64_t *row_or(const struct regions *r, uint32_t row, enum dim d)
{
	return r->or +(size_t)row * r->box_words + r->at[d];
}

int box_new(struct box **ret, const struct regions *r,
	    const struct box *like); /* NULL: of everything */
bool box_narrow(const struct regions *r, struct box *b, enum dim d,
		const uint64_t *to); /* false: nothing is left */
void box_only(const struct regions *r, struct box *b, enum dim d, uint32_t class);
/* Takes out what contradicts itself. False: nothing is left. */
bool box_tidy(const struct regions *r, struct box *b);

/* One box for each way in which the row's `app` may be met. 0, or what fn said when that was not 0. */
int box_each_app(const struct regions *r, const struct box *b, uint32_t row, bool names_apps,
		 int (*fn)(void *ctx, struct box *b), void *ctx);

/* How a row is met where boxes do not tell: in box_walk(), by who walks. */
enum met { MET_NEVER, MET_BY_BOX, MET_DEST }; /* DEST: `to` is met whatever the box says of it */

struct walk {
	uint32_t from, to; /* rows that are taken away, in order: from .. to - 1 */
	enum met (*met)(void *ctx, uint32_t row);
	bool (*on_hit)(void *ctx,
		       uint32_t row); /* a row that takes some of it; false: that is enough */
	void *ctx;
	uint32_t budget; /* steps that are left */
	uint32_t depth;
};
/* 1: the rows take all of the box. 0: something is left, or on_hit() said so. -E2BIG: not found out within the budget. */
int box_walk(const struct regions *r, const struct box *b, struct walk *w);
