/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who sends: programs and scripts (one automaton of paths), trees and groups (sets of numbered things, a vector each),
 * cgroups and units (an automaton of cgroup paths), containers (globs that user space tries), users.
 */
#include "policy/compile.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 64 /* of apps within apps */
#define GLOB_MAX 1024
#define CONTAINER_MIXES_MAX (1U << 18)
#define LABELS_MAX 12

enum { KEY_PATH, KEY_CGROUP = 8, KEY_NAME = 16, KEY_IMAGE = 24, KEY_LABEL = 32, KEY_USER = 40 };

/* The atom of a glob; it is added to the globs of its automaton when it is new. */
static uint32_t glob_atom(struct compile *c, uint8_t key, struct space *space, struct globs *globs,
			  enum glob_kind kind, struct str glob, struct policy_place place)
{
	uint32_t *atom;

	if (glob.n > GLOB_MAX) {
		compile_error(c, place, "a pattern of %zu bytes: at most %u", glob.n, GLOB_MAX);
		return 0;
	}
	atom = keys_get(&c->keys, (uint8_t)(key + kind), glob.p ? glob.p : "", glob.n);
	if (!atom) {
		compile_no_memory(c);
		return 0;
	}
	if (*atom != KEYS_NONE)
		return *atom;
	*atom = atoms_new_atom(&space->atoms, 0);
	c->glob_place = place;
	if (globs_add(globs, kind, glob, *atom) < 0)
		compile_no_memory(c);
	return *atom;
}

/* --- trees and groups --------------------------------------------------------------------------------------------- */

static int tree_id(struct compile *c, struct str pattern, struct policy_place place)
{
	int unused = -1;

	for (int i = 0; i < EG_TREES_MAX; i++) {
		const char *have = c->ids.tree[i].pattern;

		if (have && str_eq(str_of(have), pattern)) {
			c->tree_used[i] = true;
			return i;
		}
		if (!have && unused < 0)
			unused = i;
	}
	if (unused < 0) {
		compile_error(c, place, "too many programs with 'tree of': at most %u",
			      EG_TREES_MAX);
		return -1;
	}
	c->ids.tree[unused].pattern = strndup(pattern.p ? pattern.p : "", pattern.n);
	c->ids.tree[unused].unused = 0;
	if (!c->ids.tree[unused].pattern) {
		compile_no_memory(c);
		return -1;
	}
	c->tree_used[unused] = true;
	return unused;
}

static int group_id(struct compile *c, uint32_t gid, struct policy_place place)
{
	int unused = -1;

	for (int i = 0; i < EG_GIDS_MAX; i++) {
		if (c->ids.group[i].used && c->ids.group[i].gid == gid) {
			c->group_used[i] = true;
			return i;
		}
		if (!c->ids.group[i].used && unused < 0)
			unused = i;
	}
	if (unused < 0) {
		compile_error(c, place, "too many groups: at most %u", EG_GIDS_MAX);
		return -1;
	}
	c->ids.group[unused].gid = gid;
	c->ids.group[unused].used = true;
	c->ids.group[unused].unused = 0;
	c->group_used[unused] = true;
	return unused;
}

/* Vectors of a class of a set: AND, then OR. */
static void set_member(const struct compile *c, uint64_t *classes, uint32_t class, uint32_t row,
		       bool no)
{
	uint64_t *v = classes + (size_t) class * 2 * c->words;

	if (no)
		bit_clear(v, row);
	else
		bit_set(v + c->words, row);
}

static void tree_term(struct compile *c, uint32_t row, struct str glob, struct policy_place place,
		      bool no)
{
	uint32_t atom = glob_atom(c, KEY_PATH, &c->path, c->path_globs, GLOB_PATH, glob, place);
	int id;

	if (c->bad)
		return;
	id = tree_id(c, glob, place);
	if (id < 0)
		return;
	c->path.atoms.extra[atom] |= 1ULL << id;
	set_member(c, c->tree, (uint32_t)id, row, no);
}

/* --- terms -------------------------------------------------------------------------------------------------------- */

static void part_term(struct compile *c, uint32_t row, const struct app_part *part,
		      struct policy_place place, enum effect what)
{
	enum glob_kind kind = part->kind == APP_PART_UNIT ? GLOB_UNIT : GLOB_CGROUP;
	struct space *space = &c->container;
	uint32_t atom = 0;

	switch (part->kind) {
	case APP_PART_EXE:
		space = &c->path;
		atom = glob_atom(c, KEY_PATH, space, c->path_globs, GLOB_PATH, part->pattern,
				 place);
		break;
	case APP_PART_UNIT:
	case APP_PART_CGROUP:
		space = &c->cgroup;
		atom = glob_atom(c, KEY_CGROUP, space, c->cgroup_globs, kind, part->pattern, place);
		break;
	case APP_PART_CONTAINER_NAME:
		atom = glob_atom(c, KEY_NAME, space, c->name_globs, GLOB_TEXT, part->pattern,
				 place);
		break;
	case APP_PART_CONTAINER_IMAGE:
		atom = glob_atom(c, KEY_IMAGE, space, c->image_globs, GLOB_TEXT, part->pattern,
				 place);
		break;
	case APP_PART_CONTAINER_LABEL:
		atom = glob_atom(c, KEY_LABEL, space, c->label_globs, GLOB_TEXT, part->pattern,
				 place);
		break;
	case APP_PART_TREE:
	case APP_PART_APP:
		return;
	}
	if (!c->bad)
		atoms_effect(&space->atoms, atom, row, what);
}

static void app_term(struct compile *c, uint32_t row, uint32_t app, bool no, unsigned depth)
{
	const struct policy_app *a = &c->p->apps[app];

	if (depth > DEPTH_MAX) {
		compile_error(c, a->place, "apps within apps, more than %u deep", DEPTH_MAX);
		return;
	}
	/* Apps may share others many times over: each is gone through once a term. */
	if (c->app_seen[app] == c->term_now)
		return;
	c->app_seen[app] = c->term_now;
	for (size_t i = 0; i < a->n_parts && !c->bad; i++) {
		if (a->parts[i].kind == APP_PART_APP)
			app_term(c, row, a->parts[i].app, no, depth + 1);
		else if (a->parts[i].kind == APP_PART_TREE)
			tree_term(c, row, a->parts[i].pattern, a->place, no);
		else
			part_term(c, row, &a->parts[i], a->place, no ? EFFECT_NOT : EFFECT_OR);
	}
}

static uint32_t user_atom(struct compile *c, uint32_t uid)
{
	uint32_t *atom = keys_get(&c->keys, KEY_USER, &uid, sizeof(uid));

	if (!atom) {
		compile_no_memory(c);
		return 0;
	}
	if (*atom != KEYS_NONE)
		return *atom;
	if (c->n_users == c->cap_users) {
		size_t cap = c->cap_users ? c->cap_users * 2 : 16;
		void *to = realloc(c->users, cap * sizeof(*c->users));

		if (!to) {
			compile_no_memory(c);
			return 0;
		}
		c->users = to;
		c->cap_users = cap;
	}
	*atom = atoms_new_atom(&c->user.atoms, 0);
	c->users[c->n_users].uid = uid;
	c->users[c->n_users++].atom = *atom;
	return *atom;
}

void compile_who_term(struct compile *c, uint32_t row, const struct policy_terms *t, enum term term,
		      bool no)
{
	struct policy_place place = c->rows[row].place;
	int id;

	c->term_now++;
	if (term == TERM_APP)
		for (size_t i = 0; i < t->n_apps && !c->bad; i++)
			app_term(c, row, t->apps[i], no, 0);
	if (term == TERM_USER) {
		if (!no)
			source_wants(&c->user.source, row);
		for (size_t i = 0; i < t->n_users && !c->bad; i++)
			atoms_effect(&c->user.atoms, user_atom(c, t->users[i]), row,
				     no ? EFFECT_NOT : EFFECT_AND);
	}
	for (size_t i = 0; term == TERM_GROUP && i < t->n_groups && !c->bad; i++) {
		id = group_id(c, t->groups[i], place);
		if (id >= 0)
			set_member(c, c->group, 1 + (uint32_t)id, row, no);
	}
	if (term == TERM_UNIT) {
		if (!no)
			source_wants(&c->cgroup.source, row);
		for (size_t i = 0; i < t->n_units && !c->bad; i++)
			part_term(c, row, &t->units[i], place, no ? EFFECT_NOT : EFFECT_AND);
	}
	if (term == TERM_CONTAINER) {
		if (!no)
			source_wants(&c->container.source, row);
		for (size_t i = 0; i < t->n_containers && !c->bad; i++)
			part_term(c, row, &t->containers[i], place, no ? EFFECT_NOT : EFFECT_AND);
	}
}

int compile_who_init(struct compile *c)
{
	struct space *spaces[] = { &c->path, &c->cgroup, &c->container, &c->user };
	size_t row = 2 * c->words;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(spaces) && r == 0; i++)
		r = space_init(spaces[i], c->words);
	c->app_seen = calloc(c->p->n_apps + 1, sizeof(*c->app_seen));
	c->tree = calloc(EG_TREES_MAX * row, 8);
	c->group = calloc((1 + EG_GIDS_MAX) * row, 8);
	if (r < 0 || !c->app_seen || !c->tree || !c->group || globs_new(&c->path_globs) < 0 ||
	    globs_new(&c->cgroup_globs) < 0 || globs_new(&c->name_globs) < 0 ||
	    globs_new(&c->image_globs) < 0 || globs_new(&c->label_globs) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < EG_TREES_MAX; i++)
		memset(c->tree + i * row, 0xff, c->words * 8);
	for (size_t i = 0; i < 1 + EG_GIDS_MAX; i++)
		memset(c->group + i * row, 0xff, c->words * 8);
	for (uint32_t i = 0; i < c->n_rows; i++) {
		if (!c->rows[i].match->n_apps)
			source_always(&c->path.source, i);
		if (!c->rows[i].match->n_groups)
			bit_set(c->group + c->words, i);
	}
	return 0;
}

/* --- classes ------------------------------------------------------------------------------------------------------ */

static void make_dfa(struct compile *c, struct automaton **ret, const struct globs *g,
		     struct sets *sets, const char *what)
{
	int r = automaton_new(ret, g, sets);

	if (r == -E2BIG)
		compile_error(c, c->glob_place,
			      "the patterns of %s need more than %u states together\n"
			      "fewer '*' and '**' inside patterns need fewer",
			      what, AUTOMATON_STATES_MAX);
	else if (r < 0)
		compile_no_memory(c);
}

/* From here on accept[] holds classes. */
static void dfa_classes(struct automaton *a, struct source *s)
{
	for (uint32_t i = 0; i < a->n_states; i++)
		a->accept[i] = source_class(s, a->accept[i]);
}

/* From here on accept[] holds numbers from 0 on; the set of each in ret. */
static size_t dfa_numbers(struct automaton *a, uint32_t *ret, size_t room)
{
	size_t n = 0;

	for (uint32_t i = 0; i < a->n_states; i++) {
		size_t k = 0;

		while (k < n && ret[k] != a->accept[i])
			k++;
		if (k == n) {
			if (n == room)
				return 0;
			ret[n++] = a->accept[i];
		}
		a->accept[i] = (uint32_t)k;
	}
	return n;
}

/* Labels are told apart one by one: a container has many. accept[] becomes their bits. */
static bool label_bits(struct compile *c, struct automaton *a, const uint32_t *labels,
		       uint32_t n_labels)
{
	for (uint32_t i = 0; i < a->n_states; i++) {
		uint32_t bits = 0;

		for (uint32_t k = 0; k < n_labels; k++)
			if (sets_has(c->container.sets, a->accept[i], labels[k]))
				bits |= 1U << k;
		a->accept[i] = bits;
	}
	return true;
}

static uint32_t find_labels(struct compile *c, uint32_t *ret)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->label_dfa->n_states; i++) {
		size_t k, n_items;
		const uint32_t *items =
			sets_get(c->container.sets, c->label_dfa->accept[i], &n_items);

		for (size_t j = 0; j < n_items; j++) {
			for (k = 0; k < n && ret[k] != items[j];)
				k++;
			if (k < n)
				continue;
			if (n == LABELS_MAX)
				return LABELS_MAX + 1;
			ret[n++] = items[j];
		}
	}
	return n;
}

/* A class for each mix of name, image and labels that may come. */
static void container_classes(struct compile *c)
{
	_cleanup_free_ uint32_t *name = calloc(CONTAINER_MIXES_MAX, sizeof(*name));
	_cleanup_free_ uint32_t *image = calloc(CONTAINER_MIXES_MAX, sizeof(*image));
	uint32_t labels[LABELS_MAX], n_labels = find_labels(c, labels);
	size_t n_names, n_images, n;
	uint16_t *class;

	if (!name || !image) {
		compile_no_memory(c);
		return;
	}
	n_names = dfa_numbers(c->name_dfa, name, CONTAINER_MIXES_MAX);
	n_images = dfa_numbers(c->image_dfa, image, CONTAINER_MIXES_MAX);
	n = n_names * n_images;
	if (n_labels > LABELS_MAX || !n || n > CONTAINER_MIXES_MAX >> n_labels) {
		compile_error(c, c->glob_place,
			      "too many mixes of container names, images and labels: %zu, %zu and "
			      "%u are told apart, at "
			      "most %u labels and %u mixes are",
			      n_names, n_images, n_labels, LABELS_MAX, CONTAINER_MIXES_MAX);
		return;
	}
	label_bits(c, c->label_dfa, labels, n_labels);
	class = calloc(n << n_labels, sizeof(*class));
	if (!class) {
		compile_no_memory(c);
		return;
	}
	for (size_t i = 0; i < n << n_labels; i++) {
		uint32_t mix = (uint32_t)(i >> n_labels), set;

		set = sets_union(c->container.sets, name[mix / n_images], image[mix % n_images]);
		for (uint32_t k = 0; k < n_labels; k++)
			if (i >> k & 1)
				set = sets_add(c->container.sets, set, labels[k]);
		class[i] = source_class(&c->container.source, set);
	}
	c->img->container_class = class;
	c->img->n_images = (uint32_t)n_images;
	c->img->n_labels = n_labels;
	c->img->name = TAKE_PTR(c->name_dfa);
	c->img->image = TAKE_PTR(c->image_dfa);
	c->img->label = TAKE_PTR(c->label_dfa);
}

void compile_who_classes(struct compile *c)
{
	struct space *spaces[] = { &c->path, &c->cgroup, &c->container, &c->user };

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		if (atoms_seal(&spaces[i]->atoms) < 0 || source_begin(&spaces[i]->source) < 0)
			compile_no_memory(c);
	if (c->bad)
		return;
	make_dfa(c, &c->path_dfa, c->path_globs, c->path.sets, "programs");
	make_dfa(c, &c->cgroup_dfa, c->cgroup_globs, c->cgroup.sets, "units and cgroups");
	make_dfa(c, &c->name_dfa, c->name_globs, c->container.sets, "container names");
	make_dfa(c, &c->image_dfa, c->image_globs, c->container.sets, "container images");
	make_dfa(c, &c->label_dfa, c->label_globs, c->container.sets, "container labels");
	if (c->bad)
		return;
	dfa_classes(c->path_dfa, &c->path.source);
	dfa_classes(c->cgroup_dfa, &c->cgroup.source);
	container_classes(c);
	for (size_t i = 0; i < c->n_users && !c->bad; i++)
		c->users[i].atom = source_class(
			&c->user.source, sets_add(c->user.sets, SETS_EMPTY, c->users[i].atom));
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		if (spaces[i]->source.full)
			compile_error(c, c->glob_place,
				      "too many different %s: more than %u classes",
				      i == 0   ? "programs"
				      : i == 1 ? "units"
				      : i == 2 ? "containers"
					       : "users",
				      CLASS_LIMIT);
		source_finish(&spaces[i]->source);
	}
}
