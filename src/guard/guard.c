/* SPDX-License-Identifier: Apache-2.0 */
/* From texts to what is in force: building, swapping, and what the swap must carry along. Loading is load.c. */
#include "guard/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "flow/flow.h"
#include "guard/bundle.h"
#include "guard/internal.h"
#include "policy/locate.h"

#define RETRY_S 60

int64_t guard_now_s(const struct guard *g)
{
	return (int64_t)((g->cfg.now ? g->cfg.now() : time_now()) / NSEC_PER_SEC);
}

const char *guard_mode_name(enum guard_mode m)
{
	static const char *const names[] = { "off", "watch", "enforce" };

	return names[m];
}

enum guard_mode guard_mode(const struct guard *g)
{
	return g->kernel_mode;
}

uint32_t guard_gen(const struct guard *g)
{
	return g->gen;
}

/* Messages of what went on by itself go to the log, a line each. */
void guard_log(const struct buf *messages)
{
	struct str rest = buf_str(messages), line;

	while (str_cut(&rest, '\n', &line))
		if (line.n)
			log_warn("%.*s", STR_FMT(line));
}

/* ---- the swap ---- */

static uint64_t trees_of(void *ctx, struct str exe)
{
	return policy_trees_of(ctx, exe);
}

static size_t rule_sets_kept(const struct guard *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_gens; i++)
		n += !i || g->gens[i].rules != g->gens[i - 1].rules;
	return n;
}

static void drop_oldest_gen(struct guard *g)
{
	rule_set_put(g->gens[0].rules);
	g->n_gens--;
	memmove(g->gens, g->gens + 1, g->n_gens * sizeof(g->gens[0]));
}

void guard_remember(struct guard *g, uint32_t gen, struct rule_set *rules)
{
	if (g->n_gens == GENS_KEPT)
		drop_oldest_gen(g);
	rules->refs++;
	g->gens[g->n_gens].gen = gen;
	g->gens[g->n_gens++].rules = rules;
	while (rule_sets_kept(g) > RULE_SETS_KEPT)
		drop_oldest_gen(g);
}

static void note_speaking(struct guard *g, const struct policy *p)
{
	memset(g->speaks, 0, sizeof(g->speaks));
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *rule = &p->rules[i];

		for (size_t k = 0; k < rule->match.n_speaking; k++)
			g->speaks[rule->match.speaking[k]] = true;
		for (size_t e = 0; e < rule->n_except; e++)
			for (size_t k = 0; k < rule->except[e].n_speaking; k++)
				g->speaks[rule->except[e].speaking[k]] = true;
	}
}

void guard_app_known(struct guard *g, const struct flow *f)
{
	if (!g->cfg.attach || !f->live || f->app == APP_UNDECIDED || f->app == APP_UNKNOWN ||
	    !g->speaks[f->app] || f->verdict.app == f->app)
		return;
	attach_app_told(g->cfg.attach, f->cookie, &f->key, (uint8_t)f->app);
}

static void on_flow(void *ctx, const struct flow *f)
{
	guard_app_known(ctx, f);
}

/* Protocols that no rule named before were not told when they were recognised. */
static void tell_apps(struct guard *g)
{
	if (g->cfg.flows && g->cfg.attach)
		flow_table_each(g->cfg.flows, on_flow, g);
}

static int into_kernel(struct guard *g, const struct built *b, uint32_t *ret_gen,
		       struct buf *messages)
{
	char error[256] = "";
	const void *bytes;
	size_t n;
	int r;

	if (!g->cfg.attach) {
		*ret_gen = g->gen + 1;
		return 0;
	}
	bytes = policy_image_bytes(b->image, &n);
	/* Before, so that no running program lacks its trees; after, for those that started meanwhile. */
	r = attach_trees(g->cfg.attach, trees_of, b->image);
	if (r == 0) {
		r = attach_policy_load(g->cfg.attach, bytes, n, ret_gen, error);
		if (r == 0)
			attach_trees(g->cfg.attach, trees_of, b->image);
	}
	if (r < 0)
		buf_printf(messages, "error: the kernel does not take the policy: %s\n",
			   error[0] ? error : strerror(-r));
	return r;
}

/* Rules that refuse outlive the process; watching does not. */
static void set_pins(struct guard *g, struct buf *messages)
{
	bool want = g->kept.mode != GUARD_WATCH || g->kept.n_blocks;
	char error[256] = "";
	int r = 0;

	if (!g->cfg.attach || !g->cfg.pin || want == attach_is_pinned(g->cfg.attach))
		return;
	r = want ? attach_pin(g->cfg.attach, error) : attach_unpin(g->cfg.attach);
	if (r < 0)
		buf_printf(messages, "warning: %s: %s\n",
			   want ? "cannot pin: the policy ends with egretd" : "cannot unpin",
			   error[0] ? error : strerror(-r));
}

/* Hits of this generation are the kernel's: with pins they stay there, without them they would go with the process. */
void guard_keep(struct guard *g, struct buf *messages)
{
	_cleanup_free_ struct rule_count *counts = NULL;
	struct kept k = g->kept;
	int r;

	if (!g->state || kept_is_empty(&k))
		return;
	if (g->cfg.attach && !attach_is_pinned(g->cfg.attach)) {
		k.n_counts = guard_counts(g, &counts);
		k.counts = counts;
	}
	r = kept_write(g->state, "inforce", &k, &g->ids);
	if (r < 0)
		buf_printf(messages,
			   "warning: cannot write %s/inforce: %s; after a restart the policy is "
			   "not what it is now\n",
			   g->state, strerror(-r));
}

/*
 * Puts `b`, made of `next` with `ids`, in force, and takes all three over; they are left alone when it fails. What was
 * in force is gone then, but for the generations that records may still come of.
 */
int guard_swap(struct guard *g, struct built *b, struct kept *next, struct policy_ids *ids,
	       struct buf *messages)
{
	uint32_t gen = 0;
	int r = into_kernel(g, b, &gen, messages);

	if (r < 0)
		return r;
	if (counts_carry(g, b->rules->policy, next) < 0)
		buf_puts(messages, "warning: no memory: hits so far are forgotten\n");
	built_done(&g->built);
	g->built = *b;
	*b = (struct built){ 0 };
	kept_done(&g->kept);
	g->kept = *next;
	kept_init(next);
	policy_ids_free(&g->ids);
	g->ids = *ids;
	*ids = (struct policy_ids){ 0 };
	g->gen = gen;
	g->kernel_mode = g->kept.mode == GUARD_OFF ? GUARD_ENFORCE : g->kept.mode;
	g->swaps++;
	guard_remember(g, gen, g->built.rules);
	note_speaking(g, g->built.rules->policy);
	guard_tell_segments(g);
	set_pins(g, messages);
	links_told(g, g->built.rules->policy, messages);
	guard_keep(g, messages);
	feeds_told(g);
	cgroups_told(g);
	tell_apps(g);
	return 0;
}

/* What is in force from its texts again: lists, times, resolvers have changed. Failures are said once. */
int guard_rebuild(struct guard *g, const char *because)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	struct policy_ids ids;
	struct kept next;
	struct built b;
	int r = kept_copy(&next, &g->kept);

	if (r < 0)
		return r;
	r = guard_ids_copy(&ids, &g->ids);
	if (r == 0) {
		r = guard_build(g, &next, &ids, &b, &messages);
		if (r == 0) {
			r = guard_swap(g, &b, &next, &ids, &messages);
			built_done(&b);
		}
		policy_ids_free(&ids);
	}
	kept_done(&next);
	if (r == 0) {
		log_info("policy renewed: %s", because);
		g->last_problem[0] = 0;
		return 0;
	}
	if (!g->last_problem[0])
		guard_log(&messages);
	g->retry_at_s = guard_now_s(g) + RETRY_S;
	snprintf(g->last_problem, sizeof(g->last_problem), "not renewed (%s): %.*s", because,
		 STR_FMT(str_sub(buf_str(&messages), 0, 200)));
	return r;
}

const struct policy *guard_policy(const struct guard *g, uint32_t gen)
{
	for (size_t i = 0; i < g->n_gens; i++)
		if (g->gens[i].gen == gen)
			return g->gens[i].rules->policy;
	return NULL;
}

bool guard_rule(const struct guard *g, uint32_t gen, uint16_t rule, struct guard_rule *ret)
{
	const struct policy *p = guard_policy(g, gen);

	return p && guard_rule_of(p, rule, ret);
}

bool guard_rule_of(const struct policy *p, size_t rule, struct guard_rule *ret)
{
	if (rule > p->n_rules + 1)
		return false;
	*ret = (struct guard_rule){ .is_default = rule == p->n_rules,
				    .is_implied = rule == p->n_rules + 1 };
	if (rule < p->n_rules) {
		ret->rule = &p->rules[rule];
		ret->text = ret->rule->text;
		ret->note = ret->rule->note;
		ret->line = ret->rule->place.line;
		ret->is_block = ret->rule->front;
		ret->file = p->files[ret->rule->place.file];
	} else if (ret->is_default) {
		ret->text = p->fallback == EG_ALLOW    ? STR("default allow")
			    : p->fallback == EG_DENY   ? STR("default deny")
			    : p->fallback == EG_REJECT ? STR("default reject")
						       : STR("default audit");
		ret->line = p->has_fallback ? p->fallback_place.line : 0;
		ret->file = p->files[p->has_fallback ? p->fallback_place.file : 0];
	} else {
		ret->text = STR("loopback and DNS to trusted resolvers (not written)");
	}
	return true;
}

/* ---- making and unmaking ---- */

void guard_finish(struct guard *g)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);

	if (g->built.rules)
		guard_keep(g, &messages);
	guard_log(&messages);
	quotas_catch_up(g);
	quotas_keep(g);
	budgets_stop(g);
	feeds_done(g);
	g->cfg.attach = NULL;
	free(TAKE_PTR(g->state));
}

struct guard *guard_free(struct guard *g)
{
	if (!g)
		return NULL;
	guard_finish(g);
	cgroups_done(g);
	quotas_done(g);
	budgets_done(g);
	while (g->n_gens)
		drop_oldest_gen(g);
	built_done(&g->built);
	kept_done(&g->kept);
	kept_done(&g->before);
	policy_ids_free(&g->ids);
	if (g->cfg.locator) {
		locator_set_geo(g->cfg.locator, NULL);
		locator_set_policy(g->cfg.locator, NULL);
	}
	geo_free(g->geo);
	free(g->state);
	free(g->lists);
	free(g->conf_path);
	free(g);
	return NULL;
}

static int make_folder(const char *state, const char *name, char **ret)
{
	if (asprintf(ret, "%s%s%s", state, name ? "/" : "", name ? name : "") < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	if (mkdir(*ret, 0750) < 0 && errno != EEXIST)
		return log_errno(errno, "cannot make the folder %s", *ret);
	return 0;
}

static int make_folders(struct guard *g, const char *state)
{
	_cleanup_free_ char *top = NULL;
	int r = make_folder(state, NULL, &top);

	if (r == 0)
		r = make_folder(state, "policy", &g->state);
	if (r == 0)
		r = make_folder(state, "lists", &g->lists);
	if (r < 0) {
		free(TAKE_PTR(g->state));
		free(TAKE_PTR(g->lists));
	}
	return r;
}

DEFINE_CLEANUP(struct guard, guard_free);

void guard_open_geo(struct guard *g)
{
	const struct guard_config *cfg = &g->cfg;
	char error[256] = "";
	struct geo *geo = NULL;
	int r;

	if (!cfg->geo_country && !cfg->geo_asn)
		return;
	r = geo_open(&geo, cfg->geo_country, cfg->geo_asn, error);
	if (r < 0) {
		log_warn("%s; %s", error,
			 g->geo ? "the database read before is used on"
				: "rules with country or asn are refused");
		return;
	}
	if (cfg->locator)
		locator_set_geo(cfg->locator, geo);
	geo_free(g->geo);
	g->geo = geo;
}

/* What the policy in force calls parts of the network. */
void guard_tell_segments(struct guard *g)
{
	int r = g->cfg.locator ? locator_set_policy(g->cfg.locator,
						    g->built.rules ? g->built.rules->policy : NULL)
			       : 0;

	if (r < 0)
		log_errno(r, "segments cannot be told in records, ignoring");
}

int guard_new(struct guard **ret, const struct guard_config *cfg)
{
	_cleanup_(guard_freep) struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->cfg = *cfg;
	kept_init(&g->kept);
	kept_init(&g->before);
	if (cfg->state && make_folders(g, cfg->state) < 0)
		log_warn("what is in force is not kept over a restart, lists are not downloaded");
	else if (!cfg->state && cfg->lists && !(g->lists = strdup(cfg->lists)))
		return -ENOMEM;
	quotas_read(g);
	budgets_read(g);
	guard_open_geo(g);
	g->name_key = cfg->attach ? attach_name_key(cfg->attach) : 0;
	feeds_start(g);
	*ret = TAKE_PTR(g);
	return 0;
}
