/* SPDX-License-Identifier: Apache-2.0 */
/* What is in force, as JSON and as text. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/time.h"
#include "flow/flow.h"
#include "guard/bundle.h"
#include "guard/internal.h"
#include "guard/question.h"

static void put_time(struct json *j, const char *key, int64_t unix_s)
{
	char text[TIME_TEXT_MAX];

	if (unix_s > 0)
		json_text(j, key, time_format((uint64_t)unix_s * NSEC_PER_SEC, text));
}

void guard_status(const struct guard *g, struct json *j)
{
	const struct policy *p = g->built.rules ? g->built.rules->policy : NULL;
	char text[ADDR_TEXT_MAX];

	json_text(j, "mode", guard_mode_name(g->kernel_mode));
	json_u64(j, "gen", g->gen);
	if (p && g->kept.files.n)
		json_str(j, "file", p->files[0]);
	if (g->origin[0])
		json_text(j, "origin", g->origin);
	if (p)
		json_u64(j, "n_rules", p->n_rules);
	json_u64(j, "n_blocks", g->kept.n_blocks);
	put_time(j, "loaded", g->kept.loaded_s);
	put_time(j, "confirm_by", g->kept.confirm_by_s);
	if (g->built.image)
		put_time(j, "time_line_until", g->built.to_s);
	json_bool(j, "pinned", g->cfg.attach && attach_is_pinned(g->cfg.attach));
	json_u64(j, "swaps", g->swaps);
	json_u64(j, "lists_failing", g->feeds.n_failures);
	json_array_begin(j, "resolvers");
	for (size_t i = 0; i < g->feeds.n_resolvers; i++)
		json_text(j, NULL, addr_format(&g->feeds.resolvers[i], text));
	json_array_end(j);
	if (g->last_problem[0])
		json_text(j, "problem", g->last_problem);
	if (g->conf_waits)
		json_text(j, "waits", "a list is being downloaded for the first time");
}

/* ---- rules ---- */

struct living {
	const struct guard *g;
	struct rule_count *counts;
	size_t n;
};

static void add_living(void *ctx, const struct flow *f)
{
	struct living *l = ctx;
	struct rule_count *c = guard_count_of(l->g, l->counts, l->n, f);

	if (!c)
		return;
	c->flows++;
	c->up_bytes += flow_up(f)->bytes;
	c->down_bytes += flow_down(f)->bytes;
}

static void put_rule(const struct guard *g, struct json *j, size_t rule, const struct rule_count *c)
{
	const struct policy *p = g->built.rules->policy;
	struct guard_rule r;
	char text[TIME_TEXT_MAX];

	if (!guard_rule_of(p, rule, &r))
		return;
	json_object_begin(j, NULL);
	json_str(j, "text", r.text);
	if (r.line && !r.is_block)
		json_u64(j, "line", r.line);
	if (r.file.n && !r.is_block)
		json_str(j, "file", r.file);
	if (r.note.n)
		json_str(j, "note", r.note);
	if (r.is_block)
		json_bool(j, "block", true);
	if (r.is_default)
		json_bool(j, "default", true);
	if (r.is_implied)
		json_bool(j, "implied", true);
	if (r.rule)
		json_text(j, "action", policy_action_name(r.rule->action));
	if (r.rule)
		put_time(j, "until", r.rule->until_s);
	json_u64(j, "hits", c->hits.verdicts);
	json_u64(j, "refused_calls", c->hits.refused_calls);
	json_u64(j, "refused_packets", c->hits.refused_packets);
	json_u64(j, "refused_bytes", c->hits.refused_bytes);
	json_u64(j, "limited_packets", c->hits.limited_packets);
	json_u64(j, "limited_bytes", c->hits.limited_bytes);
	if (c->hits.last_ns)
		json_text(j, "last", time_format(c->hits.last_ns, text));
	json_u64(j, "flows", c->flows);
	json_u64(j, "bytes_up", c->up_bytes);
	json_u64(j, "bytes_down", c->down_bytes);
	quota_put_state(g, j, rule);
	json_object_end(j);
}

static void put_rules(struct guard *g, struct json *j)
{
	_cleanup_free_ struct rule_count *counts = NULL;
	size_t n = guard_counts(g, &counts);
	struct living living = { g, counts, n };

	if (counts && g->cfg.flows)
		flow_table_each(g->cfg.flows, add_living, &living);
	json_array_begin(j, "rules");
	for (size_t i = 0; counts && i < n; i++)
		put_rule(g, j, i, &counts[i]);
	json_array_end(j);
}

/* ---- lists ---- */

static void put_list(const struct guard *g, struct json *j, size_t i)
{
	const struct policy_list *l = &g->built.rules->policy->lists[i];
	const struct list_report *r = g->built.image ? policy_image_list(g->built.image, i) : NULL;
	int64_t next = g->lists && l->url.n ? list_next_refresh(l, g->lists) : INT64_MAX;

	json_object_begin(j, NULL);
	json_str(j, "name", l->name);
	json_str(j, "from", l->url.n ? l->url : l->path);
	if (r) {
		json_u64(j, "entries", r->entries);
		json_u64(j, "skipped", r->skipped);
		json_u64(j, "bad", r->bad);
		put_time(j, "as_of", r->as_of_s);
		json_bool(j, "expired", r->expired);
	}
	if (next != INT64_MAX)
		put_time(j, "refresh", next);
	json_text(j, "problem", l->url.n ? feeds_failure(g, l->url, NULL) : NULL);
	json_object_end(j);
}

void guard_each_list(const struct guard *g, feed_health_fn fn, void *ctx)
{
	const struct policy *p = g->built.rules ? g->built.rules->policy : NULL;
	int64_t now = guard_now_s(g);

	for (size_t i = 0; p && i < p->n_lists; i++) {
		const struct policy_list *l = &p->lists[i];
		const struct list_report *r =
			g->built.image ? policy_image_list(g->built.image, i) : NULL;
		struct feed_health f = {
			.kind = "list",
			.name = l->name,
			.from = l->url.n ? l->url : l->path,
			.entries = r ? r->entries : 0,
			.age_s = r && r->as_of_s > 0 ? MAX(now - r->as_of_s, 0) : -1,
			.expired = r && r->expired,
			.problem = str_of(l->url.n ? feeds_failure(g, l->url, NULL) : NULL),
		};

		fn(ctx, &f);
	}
}

void guard_show(struct guard *g, struct json *j)
{
	_cleanup_buf_ struct buf notes = BUF_INIT(MESSAGES_MAX);

	guard_status(g, j);
	if (!g->built.rules)
		return;
	put_rules(g, j);
	json_array_begin(j, "lists");
	for (size_t i = 0; i < g->built.rules->policy->n_lists; i++)
		put_list(g, j, i);
	json_array_end(j);
	json_array_begin(j, "blocks");
	for (size_t i = 0; i < g->kept.n_blocks; i++) {
		json_object_begin(j, NULL);
		json_text(j, "rule", g->kept.blocks[i].rule);
		if (g->kept.blocks[i].note[0])
			json_text(j, "note", g->kept.blocks[i].note);
		put_time(j, "since", g->kept.blocks[i].since_s);
		put_time(j, "until", g->kept.blocks[i].until_s);
		json_object_end(j);
	}
	json_array_end(j);
	links_show(g, j);
	policy_note_unenforced(g->built.rules->policy, &notes);
	if (notes.n)
		json_str(j, "not_enforced", buf_str(&notes));
}

int guard_text(const struct guard *g, struct buf *ret)
{
	_cleanup_free_ struct policy_file *files = NULL;
	size_t n;
	int r = g->kept.files.n ? bundle_parse(buf_str(&g->kept.files), &files, &n) : -ENOENT;

	for (size_t i = 0; r == 0 && i < n; i++) {
		buf_printf(ret, "# ---- %.*s\n", STR_FMT(files[i].name));
		buf_put_str(ret, files[i].text);
		if (files[i].text.n && files[i].text.p[files[i].text.n - 1] != '\n')
			buf_putc(ret, '\n');
	}
	return r == 0 && ret->failed ? -E2BIG : r;
}

void guard_files(const struct guard *g, struct json *j)
{
	_cleanup_free_ struct policy_file *files = NULL;
	size_t n;

	if (!g->kept.files.n || bundle_parse(buf_str(&g->kept.files), &files, &n) < 0)
		return;
	json_array_begin(j, "files");
	for (size_t i = 0; i < n; i++) {
		json_object_begin(j, NULL);
		json_str(j, "name", files[i].name);
		json_str(j, "text", files[i].text);
		json_object_end(j);
	}
	json_array_end(j);
}

int guard_why(const struct guard *g, const struct question *q, struct json *j, char error[256])
{
	if (!g->built.image) {
		snprintf(error, 256, "no policy is in force");
		return -ENOENT;
	}
	json_text(j, "mode", guard_mode_name(g->kernel_mode));
	return question_answer(q, g->built.rules->policy, g->built.image, g->cfg.names,
			       g->cfg.now ? g->cfg.now() : time_now(), j, error);
}
