/* SPDX-License-Identifier: Apache-2.0 */
/* From struct policy to an image: compile.h says who does what. */
#include "policy/compile.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/hash.h"
#include "bpf/name_hash.h"
#include "decode/appproto.h"
#include "policy/price.h"

#define SETS_MAX (1U << 20)
#define SET_ITEMS_MAX (32U << 20)

#define X(id, ...) \
	_Static_assert((int)APP_##id == (int)EG_APP_##id, "protocols are numbered alike");
APP_PROTOCOLS(X)
#undef X
_Static_assert((int)APP_PROTO_COUNT == (int)EG_APP_DECODED, "and none is missing");

void compile_error(struct compile *c, struct policy_place at, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->bad = true;
	policy_complain(c->p, at, "error", c->messages, "%s", text);
}

void compile_no_memory(struct compile *c)
{
	if (!c->bad)
		buf_puts(c->messages, "error: there is not enough memory for this policy\n");
	c->bad = true;
}

int space_init(struct space *s, uint32_t words)
{
	int r = sets_new(&s->sets, SETS_MAX, SET_ITEMS_MAX);

	return r < 0 ? r : source_init(&s->source, &s->atoms, s->sets, words);
}

void space_done(struct space *s)
{
	source_done(&s->source);
	atoms_done(&s->atoms);
	s->sets = sets_free(s->sets);
}

/* --- ids -------------------------------------------------------------------------------------------------------------- */

void policy_ids_free(struct policy_ids *ids)
{
	if (!ids)
		return;
	for (int i = 0; i < EG_TREES_MAX; i++)
		free(ids->tree[i].pattern);
	*ids = (struct policy_ids){ 0 };
}

static int copy_ids(struct policy_ids *to, const struct policy_ids *from)
{
	*to = *from;
	for (int i = 0; i < EG_TREES_MAX; i++) {
		to->tree[i].pattern = NULL;
		if (!from->tree[i].pattern)
			continue;
		to->tree[i].pattern = strdup(from->tree[i].pattern);
		if (!to->tree[i].pattern)
			return -ENOMEM;
	}
	return 0;
}

/* The policy is good: what it does not name is a load nearer to being given up. */
static void keep_ids(struct compile *c)
{
	struct policy_ids *ids = &c->ids;

	for (int i = 0; i < EG_TREES_MAX; i++) {
		ids->tree[i].unused = c->tree_used[i] ? 0 : ids->tree[i].unused + 1;
		if (ids->tree[i].unused < 2)
			continue;
		free(ids->tree[i].pattern);
		ids->tree[i].pattern = NULL;
	}
	for (int i = 0; i < EG_GIDS_MAX; i++) {
		ids->group[i].unused = c->group_used[i] ? 0 : ids->group[i].unused + 1;
		if (ids->group[i].unused >= 2)
			ids->group[i].used = false;
	}
	if (!c->cfg->ids)
		return;
	policy_ids_free(c->cfg->ids);
	*c->cfg->ids = *ids;
	*ids = (struct policy_ids){ 0 };
}

/* --- compile ---------------------------------------------------------------------------------------------------------- */

static void line_done(struct line *l)
{
	free(l->narrow);
	free(l->class);
}

static void compile_done(struct compile *c)
{
	struct space *spaces[] = { &c->path, &c->cgroup, &c->container, &c->user,
				   &c->dest, &c->port,   &c->app };

	source_done(&c->names);
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		space_done(spaces[i]);
	globs_free(c->path_globs);
	globs_free(c->cgroup_globs);
	globs_free(c->name_globs);
	globs_free(c->image_globs);
	globs_free(c->label_globs);
	automaton_free(c->path_dfa);
	automaton_free(c->cgroup_dfa);
	automaton_free(c->name_dfa);
	automaton_free(c->image_dfa);
	automaton_free(c->label_dfa);
	ranges_done(&c->v4);
	ranges_done(&c->v6);
	ranges_done(&c->ports);
	line_done(&c->line4);
	line_done(&c->line6);
	line_done(&c->line_port);
	name_table_done(&c->table);
	name_slots_done(&c->slots);
	keys_done(&c->keys);
	policy_ids_free(&c->ids);
	policy_image_free(c->img);
	free(c->app_seen);
	free(c->set_seen);
	free(c->rows);
	free(c->negated);
	free(c->tree);
	free(c->group);
	free(c->users);
	free(c->limits);
	free(c->limit_of);
	free(c->active_from);
	free(c->active);
}

static void term_of_row(struct compile *c, uint32_t row, const struct policy_terms *t,
			enum term term, bool no)
{
	compile_who_term(c, row, t, term, no);
	compile_dest_term(c, row, t, term, no);
}

static void terms_of_rows(struct compile *c)
{
	for (uint32_t i = 0; i < c->n_rows && !c->bad && !c->too_many; i++) {
		const struct row *r = &c->rows[i];

		for (unsigned term = 0; term < TERM_COUNT; term++)
			if (terms_have(r->match, term))
				term_of_row(c, i, r->match, term, false);
		for (size_t k = 0; k < r->n_negated; k++)
			term_of_row(c, i, c->negated[r->first_negated + k].terms,
				    c->negated[r->first_negated + k].term, true);
	}
}

static int compile(struct compile *c)
{
	int r;

	c->img->lists = calloc(c->p->n_lists + 1, sizeof(*c->img->lists));
	c->img->n_lists = c->p->n_lists;
	if (!c->img->lists)
		return -ENOMEM;
	compile_rows(c);
	if (!c->bad)
		compile_limits(c);
	if (c->bad)
		return -EINVAL;
	r = compile_who_init(c);
	if (r == 0)
		r = compile_dests_init(c);
	if (r < 0)
		return r;
	terms_of_rows(c);
	if (!c->bad)
		compile_who_classes(c);
	if (!c->bad)
		compile_dests_classes(c);
	if (!c->bad)
		compile_time(c);
	if (!c->bad)
		r = price_check(c->p, geo_knows_countries(c->cfg->geo),
				geo_knows_systems(c->cfg->geo), c->messages);
	if (r < 0)
		return r;
	return c->bad ? -EINVAL : compile_image(c);
}

static uint64_t random_key(void)
{
	uint64_t key;

	do
		key = eg_mod61(hash_random_seed());
	while (key >> 32 == 0);
	return key;
}

int policy_compile(struct policy_image **ret, const struct policy *p,
		   const struct compile_config *cfg, struct buf *messages)
{
	_cleanup_free_ struct compile *c = calloc(1, sizeof(*c));
	struct compile_config config = *cfg;
	int r = -ENOMEM;

	if (!config.name_key)
		config.name_key = random_key();
	if (config.name_key >= EG_P61 || config.name_key >> 32 == 0) {
		buf_puts(messages, "error: the key of names is out of range\n");
		return -EINVAL;
	}
	if (!c)
		return r;
	c->p = p;
	c->cfg = &config;
	c->messages = messages;
	c->img = calloc(1, sizeof(*c->img));
	keys_init(&c->keys);
	if (c->img && (!cfg->ids || copy_ids(&c->ids, cfg->ids) == 0))
		r = compile(c);
	if (r == -ENOMEM)
		compile_no_memory(c);
	if (r == 0) {
		keep_ids(c);
		*ret = TAKE_PTR(c->img);
	}
	compile_done(c);
	return r;
}

struct policy_image *policy_image_free(struct policy_image *img)
{
	if (!img)
		return NULL;
	free(img->bytes);
	free(img->lists);
	automaton_free(img->name);
	automaton_free(img->image);
	automaton_free(img->label);
	free(img->container_class);
	free(img);
	return NULL;
}

const void *policy_image_bytes(const struct policy_image *img, size_t *ret_n)
{
	*ret_n = img->n;
	return img->bytes;
}

const struct list_report *policy_image_list(const struct policy_image *img, size_t list)
{
	return list < img->n_lists ? &img->lists[list] : NULL;
}
