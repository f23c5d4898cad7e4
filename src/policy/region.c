/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/region.h"

#include <errno.h>
#include <string.h>

#define MEMORY_MAX ((size_t)256 << 20)
#define DEPTH_MAX 600

static const enum eg_source source_of[DIM_SCOPE] = {
	[DIM_EXE] = EG_SRC_EXE,       [DIM_SCRIPT] = EG_SRC_SCRIPT,
	[DIM_CGROUP] = EG_SRC_CGROUP, [DIM_CONTAINER] = EG_SRC_CONTAINER,
	[DIM_USER] = EG_SRC_USER,     [DIM_FROM] = EG_SRC_FROM,
	[DIM_ADDR] = EG_SRC_ADDR,     [DIM_NAME] = EG_SRC_NAME,
	[DIM_PORT] = EG_SRC_PORT,     [DIM_APP] = EG_SRC_APP,
};

static const enum dim who_dims[] = { DIM_EXE, DIM_SCRIPT, DIM_CGROUP, DIM_CONTAINER };

static const uint64_t *vectors(const struct regions *r, enum eg_source source, uint32_t class)
{
	return (const uint64_t *)(r->img->bytes + r->head->rows[source].at) +
	       (size_t) class * 2 * r->head->words;
}

/* --- what rows say, the other way round: by row, the classes ------------------------------------------------------------ */

static void turn_dim(struct regions *r, enum dim d)
{
	for (uint32_t class = EG_CLASS_NONE; class < r->n[d]; class ++) {
		const uint64_t *v = vectors(r, source_of[d], class);

		for (uint32_t row = 0; row < r->head->n_rows; row++) {
			size_t at = (size_t)row * r->box_words + r->at[d];

			if (bit_is_set(v, row))
				bit_set(r->and +at, class);
			if (bit_is_set(v + r->head->words, row))
				bit_set(r->or +at, class);
		}
	}
}

static void turn_members(struct regions *r)
{
	for (uint32_t row = 0; row < r->head->n_rows; row++) {
		for (uint32_t i = 0; i < EG_TREES_MAX; i++) {
			const uint64_t *v = vectors(r, EG_SRC_TREE, i);

			r->tree_not[row] |= (uint64_t)!bit_is_set(v, row) << i;
			r->tree_or[row] |= (uint64_t)bit_is_set(v + r->head->words, row) << i;
		}
		for (uint32_t i = 0; i < EG_GIDS_MAX; i++) {
			const uint64_t *v = vectors(r, EG_SRC_GROUP, 1 + i);

			r->group_not[row] |= (uint64_t)!bit_is_set(v, row) << i;
			r->group_or[row] |= (uint64_t)bit_is_set(v + r->head->words, row) << i;
		}
		r->any_group[row] = bit_is_set(vectors(r, EG_SRC_GROUP, 0) + r->head->words, row);
		for (uint32_t scope = 0; scope < EG_SCOPE_COUNT; scope++)
			if (bit_is_set((const uint64_t *)(r->img->bytes + r->head->scope[scope]),
				       row))
				bit_set(r->and +(size_t)row * r->box_words + r->at[DIM_SCOPE],
					scope);
	}
}

/* Of addresses and ports only classes that some number has. */
static void note_classes(struct regions *r, enum dim d, uint32_t at, uint32_t n)
{
	const uint16_t *class = (const uint16_t *)(r->img->bytes + at);

	for (uint32_t i = 0; i < n; i++)
		bit_set(r->all + r->at[d], class[i]);
}

static void fill_all(struct regions *r)
{
	const struct eg_image *h = r->head;

	for (unsigned d = 0; d < DIM_COUNT; d++)
		for (uint32_t class = d == DIM_SCOPE ? 0 : EG_CLASS_NONE; class < r->n[d]; class ++)
			if (d != DIM_FROM && d != DIM_ADDR && d != DIM_PORT)
				bit_set(r->all + r->at[d], class);
	note_classes(r, DIM_ADDR, h->v4_class, h->n4);
	note_classes(r, DIM_ADDR, h->v6_class, h->n6);
	note_classes(r, DIM_FROM, h->v4_class, h->n4);
	note_classes(r, DIM_FROM, h->v6_class, h->n6);
	note_classes(r, DIM_PORT, h->port_class, h->n_ports);
}

int regions_new(struct regions **ret, const struct policy_image *img)
{
	struct regions *r = calloc(1, sizeof(*r));
	size_t rows;

	if (!r)
		return -ENOMEM;
	r->img = img;
	r->head = (const struct eg_image *)img->bytes;
	rows = r->head->n_rows;
	for (unsigned d = 0; d < DIM_COUNT; d++) {
		r->n[d] = d == DIM_SCOPE ? (uint32_t)EG_SCOPE_COUNT
					 : r->head->rows[source_of[d]].n_classes;
		r->words[d] = (r->n[d] + 63) / 64;
		r->at[d] = r->box_words;
		r->box_words += r->words[d];
	}
	if (rows * r->box_words * 16 > MEMORY_MAX) {
		regions_free(r);
		return -E2BIG;
	}
	r->all = calloc(r->box_words, 8);
	r->and = calloc(rows * r->box_words, 8);
	r->or = calloc(rows * r->box_words, 8);
	r->tree_or = calloc(rows, 8);
	r->tree_not = calloc(rows, 8);
	r->group_or = calloc(rows, 8);
	r->group_not = calloc(rows, 8);
	r->any_group = calloc(rows, sizeof(*r->any_group));
	r->exe_trees = (uint64_t *)(img->bytes + r->head->exe_trees);
	if (!r->all || !r->and || !r->or || !r->tree_or || !r->tree_not || !r->group_or ||
	    !r->group_not || !r->any_group) {
		regions_free(r);
		return -ENOMEM;
	}
	for (unsigned d = 0; d < DIM_SCOPE; d++)
		turn_dim(r, d);
	turn_members(r);
	fill_all(r);
	*ret = r;
	return 0;
}

struct regions *regions_free(struct regions *r)
{
	if (!r)
		return NULL;
	free(r->all);
	free(r->and);
	free(r->or);
	free(r->tree_or);
	free(r->tree_not);
	free(r->group_or);
	free(r->group_not);
	free(r->any_group);
	free(r);
	return NULL;
}

/* --- boxes ------------------------------------------------------------------------------------------------------------------ */

static size_t box_bytes(const struct regions *r)
{
	return sizeof(struct box) + r->box_words * 8;
}

int box_new(struct box **ret, const struct regions *r, const struct box *like)
{
	struct box *b = malloc(box_bytes(r));

	if (!b)
		return -ENOMEM;
	if (like) {
		memcpy(b, like, box_bytes(r));
	} else {
		*b = (struct box){ 0 };
		memcpy(b->set, r->all, r->box_words * 8);
	}
	*ret = b;
	return 0;
}

static bool is_empty(const struct regions *r, struct box *b, enum dim d)
{
	const uint64_t *s = box_set(r, b, d);

	for (uint32_t i = 0; i < r->words[d]; i++)
		if (s[i])
			return false;
	return true;
}

bool box_narrow(const struct regions *r, struct box *b, enum dim d, const uint64_t *to)
{
	uint64_t *s = box_set(r, b, d), left = 0;

	for (uint32_t i = 0; i < r->words[d]; i++)
		left |= s[i] &= to[i];
	return left;
}

static bool box_without(const struct regions *r, struct box *b, enum dim d, const uint64_t *what)
{
	uint64_t *s = box_set(r, b, d), left = 0;

	for (uint32_t i = 0; i < r->words[d]; i++)
		left |= s[i] &= ~what[i];
	return left;
}

void box_only(const struct regions *r, struct box *b, enum dim d, uint32_t class)
{
	memset(box_set(r, b, d), 0, r->words[d] * 8);
	bit_set(box_set(r, b, d), class);
}

bool box_tidy(const struct regions *r, struct box *b)
{
	uint64_t *exe = box_set(r, b, DIM_EXE), *script = box_set(r, b, DIM_SCRIPT);

	if ((b->tree_must & b->tree_not) || (b->group_must & b->group_not))
		return false;
	for (uint32_t class = EG_CLASS_NONE; b->tree_not && class < r->n[DIM_EXE]; class ++)
		if (r->exe_trees[class] & b->tree_not) {
			bit_clear(exe, class);
			bit_clear(script, class);
		}
	for (unsigned d = 0; d < DIM_COUNT; d++)
		if (is_empty(r, b, d))
			return false;
	return true;
}

int box_each_app(const struct regions *r, const struct box *b, uint32_t row, bool names_apps,
		 int (*fn)(void *ctx, struct box *b), void *ctx)
{
	_cleanup_free_ struct box *one = NULL;
	int e;

	e = box_new(&one, r, b);
	if (e < 0)
		return e;
	if (!names_apps)
		return box_tidy(r, one) ? fn(ctx, one) : 0;
	for (size_t i = 0; i < ARRAY_SIZE(who_dims) && e == 0; i++) {
		memcpy(one, b, box_bytes(r));
		if (box_narrow(r, one, who_dims[i], row_or(r, row, who_dims[i])) &&
		    box_tidy(r, one))
			e = fn(ctx, one);
	}
	for (uint32_t i = 0; i < EG_TREES_MAX && e == 0; i++) {
		if (!(r->tree_or[row] >> i & 1))
			continue;
		memcpy(one, b, box_bytes(r));
		one->tree_must |= 1ULL << i;
		if (box_tidy(r, one))
			e = fn(ctx, one);
	}
	return e;
}

/* --- taking rows away ---------------------------------------------------------------------------------------------------------- */

static bool meets(const struct regions *r, const struct box *b, uint32_t row, enum dim d, bool or)
{
	const uint64_t *s = b->set + r->at[d], *and = row_and(r, row, d),
		       *alternative = or ? row_or(r, row, d) : and;

	for (uint32_t i = 0; i < r->words[d]; i++)
		if (s[i] & and[i] & alternative[i])
			return true;
	return false;
}

/* Whether the row takes any of the box. */
static bool hits(const struct regions *r, const struct box *b, uint32_t row, enum met met)
{
	bool who = r->tree_or[row] & ~b->tree_not;

	for (unsigned d = 0; d < DIM_COUNT; d++)
		if (!meets(r, b, row, d, false) && !(d == DIM_NAME && met == MET_DEST))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(who_dims); i++)
		who |= meets(r, b, row, who_dims[i], true);
	return who && !(b->tree_must & r->tree_not[row]) && !(b->group_must & r->group_not[row]) &&
	       (r->any_group[row] || (r->group_or[row] & ~b->group_not)) &&
	       (met == MET_DEST || meets(r, b, row, DIM_ADDR, true) ||
		meets(r, b, row, DIM_NAME, true));
}

static int walk_from(const struct regions *r, const struct box *b, struct walk *w, uint32_t row);

/* What is left of `cur` with a piece of its own is walked on. */
static int walk_piece(const struct regions *r, struct box *piece, struct walk *w, uint32_t row)
{
	return box_tidy(r, piece) ? walk_from(r, piece, w, row + 1) : 1;
}

/* Where a member must be absent for the row to hold: the box with it is outside. */
static int walk_members(const struct regions *r, struct box *cur, struct box *piece, struct walk *w,
			uint32_t row)
{
	int e = 1;

	for (uint32_t i = 0; i < 64 && e == 1; i++) {
		uint64_t bit = 1ULL << i;

		if ((r->tree_not[row] & bit) && !(cur->tree_not & bit)) {
			memcpy(piece, cur, box_bytes(r));
			piece->tree_must |= bit;
			e = walk_piece(r, piece, w, row);
			cur->tree_not |= bit;
		}
		if (e == 1 && (r->group_not[row] & bit) && !(cur->group_not & bit)) {
			memcpy(piece, cur, box_bytes(r));
			piece->group_must |= bit;
			e = walk_piece(r, piece, w, row);
			cur->group_not |= bit;
		}
	}
	return e;
}

/* Where none of the row's alternatives is met. */
static int walk_alternatives(const struct regions *r, struct box *cur, struct box *piece,
			     struct walk *w, uint32_t row, enum met met)
{
	bool left = true;
	int e = 1;

	memcpy(piece, cur, box_bytes(r));
	for (size_t i = 0; i < ARRAY_SIZE(who_dims); i++)
		left &= box_without(r, piece, who_dims[i], row_or(r, row, who_dims[i]));
	piece->tree_not |= r->tree_or[row];
	if (left)
		e = walk_piece(r, piece, w, row);
	if (e == 1 && !r->any_group[row]) {
		memcpy(piece, cur, box_bytes(r));
		piece->group_not |= r->group_or[row];
		e = walk_piece(r, piece, w, row);
	}
	if (e == 1 && met != MET_DEST) {
		memcpy(piece, cur, box_bytes(r));
		left = box_without(r, piece, DIM_ADDR, row_or(r, row, DIM_ADDR));
		left &= box_without(r, piece, DIM_NAME, row_or(r, row, DIM_NAME));
		if (left)
			e = walk_piece(r, piece, w, row);
	}
	return e;
}

/* All that the row leaves of the box, piece by piece. */
static int walk_rest(const struct regions *r, const struct box *b, struct walk *w, uint32_t row,
		     enum met met)
{
	_cleanup_free_ struct box *cur = NULL, *piece = NULL;
	int e = 1;

	if (box_new(&cur, r, b) < 0 || box_new(&piece, r, b) < 0)
		return -ENOMEM;
	for (unsigned d = 0; d < DIM_COUNT && e == 1; d++) {
		if (d == DIM_NAME && met == MET_DEST)
			continue;
		memcpy(piece, cur, box_bytes(r));
		if (box_without(r, piece, d, row_and(r, row, d)))
			e = walk_piece(r, piece, w, row);
		if (e == 1 && !box_narrow(r, cur, d, row_and(r, row, d)))
			return 1;
	}
	if (e == 1)
		e = walk_members(r, cur, piece, w, row);
	return e == 1 ? walk_alternatives(r, cur, piece, w, row, met) : e;
}

static int walk_from(const struct regions *r, const struct box *b, struct walk *w, uint32_t row)
{
	int e;

	for (; row < w->to; row++) {
		enum met met = w->met ? w->met(w->ctx, row) : MET_BY_BOX;

		if (met == MET_NEVER)
			continue;
		if (!w->budget || w->depth >= DEPTH_MAX)
			return -E2BIG;
		w->budget--;
		if (!hits(r, b, row, met))
			continue;
		if (w->on_hit && !w->on_hit(w->ctx, row))
			return 0;
		w->depth++;
		e = walk_rest(r, b, w, row, met);
		w->depth--;
		return e;
	}
	return 0;
}

int box_walk(const struct regions *r, const struct box *b, struct walk *w)
{
	return walk_from(r, b, w, w->from);
}
