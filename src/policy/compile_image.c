/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a compiled policy, laid out one after another, each from a page of its own (bpf/policy_image.h). */
#include "policy/compile.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PARTS_MAX 64

struct part {
	uint32_t *at; /* in the head: where its place is noted */
	const void *data;
	size_t n;
	void **gone; /* given back once it is copied: the largest parts would be there twice */
};

struct layout {
	struct part parts[PARTS_MAX];
	size_t n;
	void *own[PARTS_MAX]; /* made here */
	size_t n_own;
	bool failed;
};

static struct part *add_part(struct layout *l, uint32_t *at, const void *data, size_t n)
{
	assert(l->n < PARTS_MAX);
	l->parts[l->n] = (struct part){ at, data, n, NULL };
	return &l->parts[l->n++];
}

/* Zeroed memory that lives as long as the layout. */
static void *own(struct layout *l, size_t n)
{
	void *p = calloc(n ? n : 1, 1);

	assert(l->n_own < PARTS_MAX);
	if (!p)
		l->failed = true;
	else
		l->own[l->n_own++] = p;
	return p;
}

static void add_bits(struct compile *c, struct layout *l, uint32_t *at,
		     bool (*is)(const struct compile *c, uint32_t row))
{
	uint64_t *v = own(l, c->words * 8);

	if (!v)
		return;
	for (uint32_t row = 0; row < c->n_rows; row++)
		if (is(c, row))
			bit_set(v, row);
	add_part(l, at, v, c->words * 8);
}

static bool is_open_to_all(const struct compile *c, uint32_t row)
{
	return row != c->implied_row && row <= c->default_row;
}

static bool is_for_loopback(const struct compile *c, uint32_t row)
{
	return c->rows[row].loopback;
}

static bool is_for_resolver(const struct compile *c, uint32_t row)
{
	return c->rows[row].resolver;
}

static bool is_denylike(const struct compile *c, uint32_t row)
{
	return c->rows[row].info.action != EG_ALLOW;
}

static bool is_by_sni(const struct compile *c, uint32_t row)
{
	return c->rows[row].match->by_sni;
}

static bool is_pass(const struct compile *c, uint32_t row)
{
	return c->rows[row].info.action == EG_ALLOW || c->rows[row].info.action == EG_AUDIT;
}

/* --- rows by class ---------------------------------------------------------------------------------------------------- */

enum half { HALF_SECOND = 1, HALF_NO_BASE = 2 };

/* Does a row hang on this class: ruled out by it, or satisfied by it and not by all? */
static bool row_hangs_on(const struct compile *c, const struct source *s, const uint64_t *v)
{
	for (uint32_t i = 0; i < c->words; i++) {
		size_t left = c->n_rows - MIN(c->n_rows, (size_t)i * 64);
		uint64_t rows = left >= 64 ? UINT64_MAX : (1ULL << left) - 1;

		if ((~v[i] | (v[c->words + i] & ~s->base[c->words + i])) & rows)
			return true;
	}
	return false;
}

/* Vectors of all classes of a source; SECOND: its other AND; NO_BASE: without the rows that are in the OR of all. */
static void add_rows(struct compile *c, struct layout *l, struct eg_image *head,
		     enum eg_source source, const struct source *s, unsigned how)
{
	uint32_t w = c->words;
	uint64_t *rows = own(l, (size_t)s->n * 2 * w * 8);

	if (!rows)
		return;
	for (uint32_t class = 0; class < s->n; class ++) {
		const uint64_t *v = source_vectors(s, class);
		uint64_t *to = rows + (size_t) class * 2 * w;

		memcpy(to, how & HALF_SECOND ? v + 2 * w : v, w * 8);
		for (uint32_t i = 0; i < w && !(how & HALF_SECOND); i++)
			to[w + i] = v[w + i] & ~(how & HALF_NO_BASE ? s->base[w + i] : 0);
		if (row_hangs_on(c, s, to))
			head->asked |= 1U << source;
	}
	head->rows[source].n_classes = s->n;
	add_part(l, &head->rows[source].at, rows, (size_t)s->n * 2 * w * 8);
}

/* Nobody asks what all names together do not rule out, but which rows any name satisfies. */
static void any_name(const struct compile *c, struct source *s)
{
	uint64_t *any = source_vectors(s, EG_CLASS_ANY);

	memset(any, 0, c->words * 8);
	for (uint32_t class = EG_CLASS_NONE; class < s->n; class ++)
		for (uint32_t i = 0; i < c->words; i++)
			any[i] |= source_vectors(s, class)[c->words + i];
}

/* A script that is none is class 0 or EG_CLASS_NONE: nothing can be unknown of it. */
static void no_script(const struct compile *c, struct layout *l, const struct eg_image *head)
{
	uint64_t *rows = l->own[l->n_own - 1];

	if (!l->failed)
		memcpy(rows, rows + (size_t)EG_CLASS_NONE * 2 * c->words, 2 * c->words * 8);
}

static void add_all_rows(struct compile *c, struct layout *l, struct eg_image *head)
{
	size_t row = 2 * c->words * 8;

	any_name(c, &c->names);
	add_rows(c, l, head, EG_SRC_EXE, &c->path.source, 0);
	add_rows(c, l, head, EG_SRC_SCRIPT, &c->path.source, HALF_NO_BASE);
	no_script(c, l, head);
	add_rows(c, l, head, EG_SRC_CGROUP, &c->cgroup.source, 0);
	add_rows(c, l, head, EG_SRC_CONTAINER, &c->container.source, 0);
	add_rows(c, l, head, EG_SRC_USER, &c->user.source, 0);
	add_rows(c, l, head, EG_SRC_FROM, &c->dest.source, HALF_SECOND);
	add_rows(c, l, head, EG_SRC_ADDR, &c->dest.source, 0);
	add_rows(c, l, head, EG_SRC_NAME, &c->names, 0);
	add_rows(c, l, head, EG_SRC_PORT, &c->port.source, 0);
	add_rows(c, l, head, EG_SRC_APP, &c->app.source, 0);
	head->rows[EG_SRC_TREE].n_classes = EG_TREES_MAX;
	add_part(l, &head->rows[EG_SRC_TREE].at, c->tree, EG_TREES_MAX * row);
	head->rows[EG_SRC_GROUP].n_classes = 1 + EG_GIDS_MAX;
	add_part(l, &head->rows[EG_SRC_GROUP].at, c->group, (1 + EG_GIDS_MAX) * row);
}

/* --- facts to classes --------------------------------------------------------------------------------------------------- */

/* index[k]: the last stretch that begins at or before the first number whose upper 16 bits are k. */
static const uint32_t *index_of(struct layout *l, const struct line *line)
{
	uint32_t *index = own(l, 65537 * sizeof(*index));
	size_t at = 0;

	if (!index)
		return NULL;
	for (uint32_t k = 0; k < 65536; k++) {
		while (at + 1 < line->n &&
		       (line->wide ? line->wide_start[at + 1][0] < (uint64_t)k << 48 ||
					     (line->wide_start[at + 1][0] == (uint64_t)k << 48 &&
					      !line->wide_start[at + 1][1])
				   : line->narrow[at + 1] <= k << 16))
			at++;
		index[k] = (uint32_t)at;
	}
	index[65536] = (uint32_t)line->n - 1;
	return index;
}

static void add_lines(struct compile *c, struct layout *l, struct eg_image *head)
{
	head->n4 = (uint32_t)c->line4.n;
	add_part(l, &head->v4_index, index_of(l, &c->line4), 65537 * 4);
	add_part(l, &head->v4_start, c->line4.narrow, c->line4.n * 4)->gone =
		(void **)&c->line4.narrow;
	add_part(l, &head->v4_class, c->line4.class, c->line4.n * 2)->gone =
		(void **)&c->line4.class;
	head->n6 = (uint32_t)c->line6.n;
	add_part(l, &head->v6_index, index_of(l, &c->line6), 65537 * 4);
	add_part(l, &head->v6_start, c->line6.wide_start, c->line6.n * 16)->gone =
		(void **)&c->line6.wide_start;
	add_part(l, &head->v6_class, c->line6.class, c->line6.n * 2)->gone =
		(void **)&c->line6.class;
	head->n_ports = (uint32_t)c->line_port.n;
	add_part(l, &head->port_start, c->line_port.narrow, c->line_port.n * 4);
	add_part(l, &head->port_class, c->line_port.class, c->line_port.n * 2);
}

static void add_names(struct compile *c, struct layout *l, struct eg_image *head)
{
	head->name_mask = c->slots.capacity ? c->slots.capacity - 1 : 0;
	add_part(l, &head->name_hash, c->slots.hash, c->slots.capacity * 8ULL)->gone =
		(void **)&c->slots.hash;
	add_part(l, &head->name_class, c->slots.class, c->slots.capacity * 2ULL)->gone =
		(void **)&c->slots.class;
}

static void add_flags(struct layout *l, uint32_t *at, const struct source *s)
{
	uint8_t *flags = own(l, s->n);

	if (!flags)
		return;
	for (uint32_t class = EG_CLASS_NONE; class < s->n; class ++)
		flags[class] = (uint8_t)source_extra(s, class);
	add_part(l, at, flags, s->n);
}

static int by_first(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void add_people(struct compile *c, struct layout *l, struct eg_image *head)
{
	uint32_t *uid = own(l, c->n_users * 4), *gid = own(l, EG_GIDS_MAX * 4);
	uint16_t *class = own(l, c->n_users * 2);
	uint8_t *id = own(l, EG_GIDS_MAX);

	if (l->failed)
		return;
	if (c->n_users)
		qsort(c->users, c->n_users, sizeof(*c->users), by_first);
	for (size_t i = 0; i < c->n_users; i++) {
		uid[i] = c->users[i].uid;
		class[i] = (uint16_t)c->users[i].atom;
	}
	for (int i = 0; i < EG_GIDS_MAX; i++)
		if (c->group_used[i])
			gid[head->n_gids++] = c->ids.group[i].gid;
	if (head->n_gids)
		qsort(gid, head->n_gids, sizeof(*gid), by_first);
	for (uint32_t k = 0; k < head->n_gids; k++)
		for (int i = 0; i < EG_GIDS_MAX; i++)
			if (c->group_used[i] && c->ids.group[i].gid == gid[k])
				id[k] = (uint8_t)i;
	head->n_users = (uint32_t)c->n_users;
	add_part(l, &head->user_uid, uid, c->n_users * 4);
	add_part(l, &head->user_class, class, c->n_users * 2);
	add_part(l, &head->gid, gid, head->n_gids * 4);
	add_part(l, &head->gid_id, id, head->n_gids);
}

static void add_dfa(struct layout *l, struct eg_dfa *dfa, const struct automaton *a)
{
	uint16_t *accept = own(l, a->n_states * 2);

	if (!accept)
		return;
	for (uint32_t i = 0; i < a->n_states; i++)
		accept[i] = (uint16_t)a->accept[i];
	dfa->n_states = a->n_states;
	dfa->n_classes = a->n_classes;
	add_part(l, &dfa->class_of, a->class_of, 256);
	add_part(l, &dfa->trans, a->trans, (size_t)a->n_states * a->n_classes * 2);
	add_part(l, &dfa->accept, accept, a->n_states * 2);
}

static void add_limits(struct compile *c, struct layout *l, struct eg_image *head)
{
	uint64_t *segments;

	if (!c->n_limits)
		return;
	head->n_limits = (uint32_t)c->n_limits;
	add_part(l, &head->limits, c->limits, c->n_limits * sizeof(*c->limits));
	add_part(l, &head->limit_of, c->limit_of, c->p->n_rules * sizeof(*c->limit_of));
	if (!c->each_segment)
		return;
	segments = own(l, c->dest.source.n * 8);
	for (uint32_t class = EG_CLASS_NONE; segments && class < c->dest.source.n; class ++)
		segments[class] = source_extra(&c->dest.source, class) >> SEGMENT_BIT;
	add_part(l, &head->addr_segments, segments, c->dest.source.n * 8);
}

static void add_tables(struct compile *c, struct layout *l, struct eg_image *head)
{
	struct eg_row *info = own(l, c->n_rows * sizeof(*info));
	uint16_t *app = own(l, EG_APP_MAX * 2);
	uint64_t *trees = own(l, c->path.source.n * 8);

	if (l->failed)
		return;
	for (uint32_t i = 0; i < c->n_rows; i++) {
		info[i] = c->rows[i].info;
		head->names_by_sni |= c->rows[i].match->by_sni;
	}
	for (uint32_t i = 0; i < EG_APP_MAX; i++)
		app[i] = source_class(&c->app.source, sets_add(c->app.sets, SETS_EMPTY, i));
	for (uint32_t i = EG_CLASS_NONE; i < c->path.source.n; i++)
		trees[i] = source_extra(&c->path.source, i);
	add_part(l, &head->row_info, info, c->n_rows * sizeof(*info));
	add_part(l, &head->app_class, app, EG_APP_MAX * 2);
	add_part(l, &head->exe_trees, trees, c->path.source.n * 8);
	add_bits(c, l, &head->scope[EG_SCOPE_ANY], is_open_to_all);
	add_bits(c, l, &head->scope[EG_SCOPE_LOOPBACK], is_for_loopback);
	add_bits(c, l, &head->scope[EG_SCOPE_RESOLVER], is_for_resolver);
	add_bits(c, l, &head->denylike, is_denylike);
	add_bits(c, l, &head->by_sni, is_by_sni);
	add_bits(c, l, &head->passes, is_pass);
	head->n_active = (uint32_t)c->n_active;
	add_part(l, &head->active_from, c->active_from, c->n_active * 8);
	add_part(l, &head->active, c->active, c->n_active * c->words * 8);
	add_flags(l, &head->addr_flags, &c->dest.source);
	add_flags(l, &head->name_flags, &c->names);
	add_limits(c, l, head);
}

/* --- bytes ----------------------------------------------------------------------------------------------------------------- */

static int write_out(struct compile *c, struct layout *l, struct eg_image *head)
{
	size_t at = EG_IMAGE_PAGE;

	_Static_assert(sizeof(struct eg_image) <= EG_IMAGE_PAGE, "the head is one page");
	for (size_t i = 0; i < l->n; i++) {
		*l->parts[i].at = (uint32_t)at;
		at += (l->parts[i].n + EG_IMAGE_PAGE - 1) / EG_IMAGE_PAGE * EG_IMAGE_PAGE;
		if (at > UINT32_MAX)
			return -E2BIG;
	}
	head->bytes = at;
	c->img->bytes = aligned_alloc(EG_IMAGE_PAGE, at);
	if (!c->img->bytes)
		return -ENOMEM;
	c->img->n = at;
	memset(c->img->bytes, 0, EG_IMAGE_PAGE);
	memcpy(c->img->bytes, head, sizeof(*head));
	for (size_t i = 0; i < l->n; i++) {
		struct part *p = &l->parts[i];
		uint8_t *to = c->img->bytes + *p->at;
		size_t pages = (p->n + EG_IMAGE_PAGE - 1) / EG_IMAGE_PAGE * EG_IMAGE_PAGE;

		if (p->n)
			memcpy(to, p->data, p->n);
		memset(to + p->n, 0, pages - p->n);
		if (p->gone) {
			free(*p->gone);
			*p->gone = NULL;
		}
	}
	c->img->pages = (struct eg_pages){ c->img->bytes, at / EG_IMAGE_PAGE };
	return 0;
}

int compile_image(struct compile *c)
{
	struct eg_image head = {
		.magic = EG_IMAGE_MAGIC,
		.abi = EGRET_ABI,
		.name_key = c->table.key,
		.enforce = c->cfg->enforce,
		.words = c->words,
		.n_rows = (uint32_t)c->n_rows,
		.n_rules = (uint32_t)c->p->n_rules,
		.has_container = c->container.atoms.n_atoms != 0,
	};
	struct layout l = { 0 };
	int r = -ENOMEM;

	add_tables(c, &l, &head);
	add_all_rows(c, &l, &head);
	add_lines(c, &l, &head);
	add_names(c, &l, &head);
	add_people(c, &l, &head);
	add_dfa(&l, &head.path, c->path_dfa);
	add_dfa(&l, &head.cgroup, c->cgroup_dfa);
	if (!l.failed)
		r = write_out(c, &l, &head);
	for (size_t i = 0; i < l.n_own; i++)
		free(l.own[i]);
	return r;
}
