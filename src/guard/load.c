/* SPDX-License-Identifier: Apache-2.0 */
/* Loading, confirming, rolling back, and what time brings. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "guard/bundle.h"
#include "guard/internal.h"

#define RENEW_EVERY_S (24 * 3600)
#define RETRY_S 10
#define KEEP_EVERY_S 300 /* bytes of rules; all else is written when it changes */
#define CLOCK_JUMP_NS (5 * NSEC_PER_SEC)

DEFINE_CLEANUP(struct policy, policy_free);
DEFINE_CLEANUP(struct policy_image, policy_image_free);

static int check(struct guard *g, const struct built *b, const struct kept *next, int checks,
		 bool force, const char *session, struct buf *messages)
{
	_cleanup_(policy_image_freep) struct policy_image *own = NULL;
	const struct policy_image *image = b->image;
	unsigned failed = 0;
	int r = 0;

	policy_note_unenforced(b->rules->policy, messages);
	quotas_note(g, b->rules, messages);
	if (!g->cfg.keeps_history)
		policy_note_unwatched(b->rules->policy, messages);
	if (checks & CHECK_EXPECTS)
		r = guard_build_own(g, b, next, &own, messages);
	if (r < 0)
		return r;
	if (own)
		image = own;
	if (checks & CHECK_EXPECTS)
		failed = policy_check(b->rules->policy, image, guard_now_s(g), messages);
	if (checks & CHECK_SESSION && next->mode == GUARD_ENFORCE)
		r = session_check(g, b, session, messages);
	if (failed && !force)
		buf_puts(messages, "error: an expectation fails: nothing is loaded (--force loads "
				   "all the same)\n");
	if (r < 0 && !force)
		buf_puts(messages, "error: a session would be cut: nothing is loaded (--force "
				   "loads all the same)\n");
	return (failed || r < 0) && !force ? -EINVAL : 0;
}

int guard_move_to(struct guard *g, struct kept *next, int checks, bool force, const char *session,
		  struct buf *messages)
{
	struct policy_ids ids;
	struct built b = { 0 };
	int r = guard_ids_copy(&ids, &g->ids);

	if (r == 0) {
		r = guard_build(g, next, &ids, &b, messages);
		if (r == 0 && checks)
			r = check(g, &b, next, checks, force, session, messages);
		if (r == 0)
			r = guard_swap(g, &b, next, &ids, messages);
		built_done(&b);
		policy_ids_free(&ids);
	}
	kept_done(next);
	if (r == 0)
		g->last_problem[0] = 0;
	return r;
}

/* ---- loading ---- */

int64_t guard_clip_s(uint64_t s)
{
	return (int64_t)MIN(s, (uint64_t)INT32_MAX);
}

/* What a rollback leads back to: not a policy that itself waits to be confirmed. */
static int remember_before(struct guard *g, struct kept *ret)
{
	return kept_copy(ret, g->kept.confirm_by_s ? &g->before : &g->kept);
}

int guard_load(struct guard *g, const struct guard_load *load, struct buf *messages)
{
	struct kept next, before;
	int r = kept_copy(&next, &g->kept);

	if (r < 0)
		return r;
	kept_init(&before);
	buf_clear(&next.files);
	bundle_put(&next.files, load->files, load->n_files);
	next.mode = load->mode;
	next.from_conf = load->from_conf;
	next.loaded_s = guard_now_s(g);
	next.confirm_by_s = load->confirm_s ? guard_now_s(g) + guard_clip_s(load->confirm_s) : 0;
	r = next.files.failed ? -E2BIG : 0;
	if (r == 0 && load->confirm_s)
		r = remember_before(g, &before);
	/* Before the swap: after a crash in between, there is a way back. */
	if (r == 0 && load->confirm_s && g->state) {
		r = kept_write(g->state, "before", &before, &g->ids);
		if (r < 0)
			buf_printf(messages, "error: cannot write %s/before: %s\n", g->state,
				   strerror(-r));
	}
	if (r < 0)
		kept_done(&next);
	else
		r = guard_move_to(g, &next, CHECK_EXPECTS | CHECK_SESSION, load->force,
				  load->session, messages);
	if (r < 0) {
		kept_done(&before);
		g->refused_loads += r != -EINPROGRESS;
		return r;
	}
	kept_done(&g->before);
	g->before = before;
	g->conf_waits &= load->from_conf;
	if (!load->confirm_s && g->state)
		kept_remove(g->state, "before");
	log_info("policy loaded: %.*s, %zu rules, mode %s%s", STR_FMT(load->files[0].name),
		 g->built.rules->policy->n_rules, guard_mode_name(load->mode),
		 load->confirm_s ? ", waits to be confirmed" : "");
	return 0;
}

int guard_load_read(struct guard *g, const char *path, struct guard_load *load,
		    struct buf *messages)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	_cleanup_buf_ struct buf first = BUF_INIT(MESSAGES_MAX);
	_cleanup_free_ struct policy_file *files = NULL;
	int r = policy_read(&p, path, &first);

	if (r < 0) {
		buf_put_str(messages, buf_str(&first));
		return r;
	}
	files = calloc(p->n_files, sizeof(*files));
	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_files; i++)
		files[i] = (struct policy_file){ p->files[i], p->sources[i] };
	load->files = files;
	load->n_files = p->n_files;
	/* What `first` says is said again: it is the same text. */
	return guard_load(g, load, messages);
}

int guard_load_file(struct guard *g, const char *path, enum guard_mode mode, bool force,
		    struct buf *messages)
{
	struct guard_load load = { .mode = mode, .force = force };

	return guard_load_read(g, path, &load, messages);
}

int guard_confirm(struct guard *g)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);

	if (!g->kept.confirm_by_s)
		return -ENOENT;
	g->kept.confirm_by_s = 0;
	guard_keep(g, &messages);
	guard_log(&messages);
	kept_done(&g->before);
	if (g->state)
		kept_remove(g->state, "before");
	log_info("policy confirmed");
	return 0;
}

/* Nothing in force: what the kernel, the disk and this process held goes. */
int guard_clear(struct guard *g)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r = 0;

	links_told(g, NULL, &messages);
	guard_log(&messages);
	if (g->cfg.attach) {
		r = attach_policy_clear(g->cfg.attach);
		if (r == 0 && attach_is_pinned(g->cfg.attach))
			r = attach_unpin(g->cfg.attach);
	}
	if (r < 0)
		return r;
	kept_done(&g->kept);
	kept_done(&g->before);
	built_done(&g->built);
	guard_tell_segments(g);
	g->gen = 0;
	g->kernel_mode = GUARD_OFF;
	g->conf_waits = false;
	g->last_problem[0] = 0;
	memset(g->speaks, 0, sizeof(g->speaks));
	if (g->state) {
		kept_remove(g->state, "inforce");
		kept_remove(g->state, "before");
	}
	feeds_told(g);
	return 0;
}

int guard_go_back(struct guard *g, struct buf *messages)
{
	struct kept next, now;
	int r = kept_copy(&next, &g->before);

	if (r == 0) {
		r = kept_copy(&now, &g->kept);
		if (r < 0)
			kept_done(&next);
	}
	if (r < 0)
		return r;
	/* Dated rules are nobody's policy: those of now stay. */
	free(next.blocks);
	next.blocks = TAKE_PTR(now.blocks);
	next.n_blocks = now.n_blocks;
	kept_done(&now);
	next.confirm_by_s = 0;
	if (kept_is_empty(&next)) {
		kept_done(&next);
		return guard_clear(g);
	}
	r = guard_move_to(g, &next, 0, true, NULL, messages);
	if (r < 0)
		return r;
	kept_done(&g->before);
	if (g->state)
		kept_remove(g->state, "before");
	return 0;
}

int guard_roll_back(struct guard *g, struct buf *messages)
{
	return g->kept.confirm_by_s ? guard_go_back(g, messages) : -ENOENT;
}

static void roll_back(struct guard *g)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r = guard_go_back(g, &messages);

	guard_log(&messages);
	if (r < 0) {
		log_errno(r, "cannot roll back the policy, trying again in %d s", RETRY_S);
		g->kept.confirm_by_s = guard_now_s(g) + RETRY_S;
	} else {
		log_warn("policy rolled back: it was not confirmed in time");
	}
}

/* ---- time ---- */

/* The wall clock was set: what depends on it is worked out again. */
static bool clock_jumped(struct guard *g)
{
	uint64_t now = g->cfg.now ? g->cfg.now() : time_now(), boot = time_now_boot();
	int64_t off = (int64_t)(now - g->last_now_ns) - (int64_t)(boot - g->last_boot_ns);
	bool jumped =
		g->last_now_ns && (off > (int64_t)CLOCK_JUMP_NS || off < -(int64_t)CLOCK_JUMP_NS);

	g->last_now_ns = now;
	g->last_boot_ns = boot;
	return jumped;
}

void guard_tick(struct guard *g)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int64_t now = guard_now_s(g);
	bool jumped = clock_jumped(g), differs;

	if (g->kept.confirm_by_s && now >= g->kept.confirm_by_s)
		roll_back(g);
	blocks_expire(g);
	differs = quotas_tick(g);
	budgets_tick(g);
	feeds_tick(g);
	if (g->conf_waits && !g->feeds.fetch && now >= g->conf_try_s &&
	    guard_load_conf(g, &messages) != -EINPROGRESS)
		guard_log(&messages);
	if (g->state && g->built.rules && now - g->kept_at_s >= KEEP_EVERY_S) {
		g->kept_at_s = now;
		guard_keep(g, &messages);
		guard_log(&messages);
	}
	if (!g->built.image || now < g->retry_at_s)
		return;
	if (jumped || now < g->built.from_s || now >= g->built.from_s + RENEW_EVERY_S)
		guard_rebuild(g, jumped ? "the clock was set" : "the time line");
	else if (now >= g->built.list_expires_s)
		guard_rebuild(g, "a list expired");
	else if (differs)
		guard_rebuild(g, "a quota is used up, or begins anew");
}
