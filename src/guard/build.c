/* SPDX-License-Identifier: Apache-2.0 */
/* From texts to policy and image: what a swap puts in force as one whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "guard/bundle.h"
#include "guard/internal.h"

#define DAY_S (24 * 3600)
#define TIME_LINE_S (8 * DAY_S)

struct rule_set *rule_set_put(struct rule_set *s)
{
	if (s && !--s->refs) {
		policy_free(s->policy);
		free(s->quota);
		free(s);
	}
	return NULL;
}

void built_done(struct built *b)
{
	b->rules = rule_set_put(b->rules);
	free(TAKE_PTR(b->instead));
	b->image = policy_image_free(b->image);
}

static int rule_set_new(struct rule_set **ret, struct policy *p)
{
	struct rule_set *s = calloc(1, sizeof(*s));

	if (!s) {
		policy_free(p);
		return -ENOMEM;
	}
	s->refs = 1;
	s->policy = p;
	*ret = s;
	return 0;
}

static void put_front(const struct kept *k, struct buf *front)
{
	for (size_t i = 0; i < k->n_blocks; i++) {
		const struct dated_rule *b = &k->blocks[i];

		buf_puts(front, b->rule);
		if (b->until_s)
			buf_printf(front, " until @%lld", (long long)b->until_s);
		if (b->note[0])
			buf_printf(front, " as \"%s\"", b->note);
		buf_putc(front, '\n');
	}
}

int guard_parse(const struct kept *k, struct rule_set **ret, struct buf *messages)
{
	static const struct policy_file none = { STR("no policy"), STR("default allow\n") };
	_cleanup_buf_ struct buf front =
		BUF_INIT(BLOCKS_MAX * (BLOCK_RULE_MAX + BLOCK_NOTE_MAX + 64));
	_cleanup_free_ struct policy_file *files = NULL;
	struct policy *p;
	size_t n = 0;
	int r = k->files.n ? bundle_parse(buf_str(&k->files), &files, &n) : 0;

	if (r < 0)
		return r;
	put_front(k, &front);
	if (front.failed)
		return -ENOMEM;
	r = policy_parse_files(&p, n ? files : &none, n ? n : 1, buf_str(&front), messages);
	return r < 0 ? r : rule_set_new(ret, p);
}

static int64_t first_expiry(const struct policy *p, const struct policy_image *img)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < p->n_lists; i++) {
		const struct list_report *r = policy_image_list(img, i);

		if (p->lists[i].expire_ns && r && r->as_of_s && !r->expired)
			first = MIN(first,
				    r->as_of_s + (int64_t)(p->lists[i].expire_ns / NSEC_PER_SEC));
	}
	return first;
}

static int load_lenient(void *ctx, const struct policy_list *l, struct list_sink sink,
			struct list_report *report)
{
	const struct guard *g = ctx;
	int r = list_load(l, g->lists, guard_now_s(g), sink, report);

	return r == -ENOENT && l->url.n ? 0 : r;
}

/* What moved until now is counted, so that it is no other rule's. */
static int build_quotas(struct guard *g, struct built *b)
{
	int r;

	quotas_catch_up(g);
	r = quotas_map(g, b->rules);
	if (r < 0)
		return r;
	if (b->rules->quota)
		quotas_catch_up(g);
	return quotas_instead(g, b->rules, &b->instead);
}

struct compile_config guard_compile_config(struct guard *g, bool enforce, struct policy_ids *ids)
{
	return (struct compile_config){
		.name_key = g->name_key,
		.enforce = enforce,
		.from_s = guard_now_s(g),
		.to_s = guard_now_s(g) + TIME_LINE_S,
		.list_cache = g->lists,
		.geo = g->geo,
		.ids = ids,
		.load_list = g->cfg.lenient_lists ? load_lenient : NULL,
		.load_ctx = g,
	};
}

static bool any_instead(const struct built *b)
{
	for (size_t i = 0; b->instead && i < b->rules->policy->n_rules; i++)
		if (b->instead[i])
			return true;
	return false;
}

int guard_build_own(struct guard *g, const struct built *b, const struct kept *k,
		    struct policy_image **ret, struct buf *messages)
{
	struct compile_config cfg = guard_compile_config(g, k->mode != GUARD_WATCH, NULL);
	_cleanup_buf_ struct buf again = BUF_INIT(MESSAGES_MAX);
	int r;

	if (!any_instead(b))
		return 0;
	r = policy_compile(ret, b->rules->policy, &cfg, &again);
	if (r < 0)
		buf_put_str(messages, buf_str(&again));
	return r;
}

int guard_build(struct guard *g, const struct kept *k, struct policy_ids *ids, struct built *ret,
		struct buf *messages)
{
	struct compile_config cfg = guard_compile_config(g, k->mode != GUARD_WATCH, ids);
	struct built b = { .from_s = cfg.from_s, .to_s = cfg.to_s };
	int r = guard_parse(k, &b.rules, messages);

	if (r == 0)
		r = build_quotas(g, &b);
	cfg.instead = b.instead;
	if (r == 0)
		r = feeds_need(g, b.rules->policy, messages);
	if (r == 0)
		r = policy_compile(&b.image, b.rules->policy, &cfg, messages);
	if (r < 0) {
		built_done(&b);
		return r;
	}
	b.list_expires_s = first_expiry(b.rules->policy, b.image);
	b.names_containers = policy_names_containers(b.image);
	*ret = b;
	return 0;
}

/* Ids are only taken over with the image that was made with them. */
int guard_ids_copy(struct policy_ids *ret, const struct policy_ids *ids)
{
	*ret = *ids;
	for (size_t i = 0; i < EG_TREES_MAX; i++)
		ret->tree[i].pattern = NULL;
	for (size_t i = 0; i < EG_TREES_MAX; i++) {
		if (!ids->tree[i].pattern)
			continue;
		ret->tree[i].pattern = strdup(ids->tree[i].pattern);
		if (!ret->tree[i].pattern) {
			policy_ids_free(ret);
			return -ENOMEM;
		}
	}
	return 0;
}
