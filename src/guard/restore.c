/* SPDX-License-Identifier: Apache-2.0 */
/* At start and on SIGHUP: what was in force before, what egret.conf names, and which of them it is to be. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/internal.h"

#define RETRY_LIST_S 60 /* egret.conf's policy waits for a list that cannot be had */

int guard_load_conf(struct guard *g, struct buf *messages)
{
	struct guard_load load = { .mode = g->conf_mode, .from_conf = true };
	int r = guard_load_read(g, g->conf_path, &load, messages);

	g->conf_waits = r == -EINPROGRESS || r == -EAGAIN;
	g->conf_try_s = guard_now_s(g) + (r == -EAGAIN ? RETRY_LIST_S : 0);
	return r;
}

/* The policy whose image the kernel still has: its rules, for hits and records. */
static void adopt(struct guard *g, struct kept *k, struct buf *messages)
{
	struct rule_set *rules;

	kept_done(&g->kept);
	g->kept = *k;
	kept_init(k);
	if (guard_parse(&g->kept, &rules, messages) < 0)
		return;
	g->built.rules = rules;
	if (quotas_map(g, rules) < 0)
		buf_puts(messages,
			 "warning: no memory: bytes that move before the policy is loaded "
			 "are of no quota\n");
	g->built.list_expires_s = INT64_MAX;
	g->gen = g->cfg.attach ? attach_policy_gen(g->cfg.attach) : 0;
	g->kernel_mode = !g->gen                       ? GUARD_OFF
			 : g->kept.mode == GUARD_WATCH ? GUARD_WATCH
						       : GUARD_ENFORCE;
	if (g->gen)
		guard_remember(g, g->gen, rules);
}

static int read_kept(struct guard *g, struct kept *ret, struct buf *messages)
{
	int r = g->state ? kept_read(g->state, "inforce", ret, &g->ids) : -ENOENT;

	if (r == -EBADMSG)
		buf_printf(messages,
			   "warning: %s/inforce is damaged and was set aside as inforce.damaged\n",
			   g->state);
	else if (r < 0 && r != -ENOENT)
		buf_printf(messages, "warning: cannot read %s/inforce: %s\n", g->state,
			   strerror(-r));
	if (r < 0 || !ret->confirm_by_s)
		return r;
	if (kept_read(g->state, "before", &g->before, NULL) < 0) {
		buf_puts(messages, "warning: what was in force before the policy that waits to be "
				   "confirmed is lost: it would roll back to none\n");
		kept_init(&g->before);
	}
	return 0;
}

/* The kernel went on with a policy that nobody here knows the words of. */
static void adopt_unknown(struct guard *g, struct buf *messages)
{
	g->gen = attach_policy_gen(g->cfg.attach);
	if (!g->gen)
		return;
	g->kernel_mode = GUARD_ENFORCE;
	buf_puts(messages, "warning: a policy is in force in the kernel whose text is lost; load "
			   "one, or remove it with 'egret disarm'\n");
}

static int restore_kept(struct guard *g, struct buf *messages)
{
	struct kept next;
	int r;

	if (g->kept.confirm_by_s && g->kept.confirm_by_s <= guard_now_s(g)) {
		buf_puts(messages, "warning: policy rolled back: it was not confirmed in time\n");
		return guard_go_back(g, messages);
	}
	r = kept_copy(&next, &g->kept);
	return r < 0 ? r : guard_move_to(g, &next, 0, true, NULL, messages);
}

int guard_restore(struct guard *g, const char *path, enum guard_mode mode, struct buf *messages)
{
	bool want_conf = path && path[0] && mode != GUARD_OFF;
	struct kept k;
	int r;

	kept_init(&k);
	r = read_kept(g, &k, messages);
	if (r == 0)
		adopt(g, &k, messages);
	else if (g->cfg.attach && attach_took_over(g->cfg.attach))
		adopt_unknown(g, messages);
	if (want_conf) {
		g->conf_mode = mode;
		g->conf_path = strdup(path);
		if (!g->conf_path)
			return -ENOMEM;
	}
	if (want_conf && (kept_is_empty(&g->kept) || g->kept.from_conf)) {
		r = guard_load_conf(g, messages);
		if (r == 0 || kept_is_empty(&g->kept))
			return r;
		buf_printf(messages, "warning: %s is not loaded: what was in force before stays\n",
			   path);
		return restore_kept(g, messages);
	}
	if (kept_is_empty(&g->kept))
		return 0;
	if (!want_conf && g->kept.from_conf &&
	    !g->cfg.follows) { /* egret.conf names none any more */
		buf_clear(&g->kept.files);
		g->kept.mode = GUARD_OFF;
		g->kept.from_conf = false;
		g->kept.confirm_by_s = 0;
	}
	return kept_is_empty(&g->kept) ? guard_clear(g) : restore_kept(g, messages);
}

/* What was loaded by hand has no file that is read again: who loaded it may have been another user, elsewhere. */
int guard_reload(struct guard *g, struct buf *messages)
{
	guard_open_geo(g);
	if (g->conf_path && (g->conf_waits || g->kept.from_conf || kept_is_empty(&g->kept)))
		return guard_load_conf(g, messages);
	return g->built.image ? guard_rebuild(g, "asked to") : -ENOENT;
}
