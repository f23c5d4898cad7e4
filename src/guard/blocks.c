/* SPDX-License-Identifier: Apache-2.0 */
/* Dated rules: `egret block`. They stand before all others, are nobody's policy, and go when their time is over. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "guard/internal.h"

DEFINE_CLEANUP(struct policy, policy_free);

static int with_block(struct guard *g, struct kept *next, struct str rule, uint64_t for_s,
		      struct str note)
{
	struct dated_rule *b;

	if (next->n_blocks == BLOCKS_MAX)
		return -E2BIG;
	b = calloc(next->n_blocks + 1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	memcpy(b + 1, next->blocks, next->n_blocks * sizeof(*b));
	snprintf(b->rule, sizeof(b->rule), "%.*s", STR_FMT(rule));
	snprintf(b->note, sizeof(b->note), "%.*s", STR_FMT(note));
	b->since_s = guard_now_s(g);
	b->until_s = for_s ? b->since_s + guard_clip_s(for_s) : 0;
	free(next->blocks);
	next->blocks = b;
	next->n_blocks++;
	return 0;
}

static bool plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

/* One rule that refuses, and nothing else: not a definition, an include, a second line. */
static int check_block(struct str rule, struct str note, struct buf *messages)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	const struct policy_file none = { STR("no policy"), STR("default allow\n") };
	int r;

	if (!rule.n || rule.n >= BLOCK_RULE_MAX || note.n >= BLOCK_NOTE_MAX || !plain(rule) ||
	    !plain(note) || memchr(note.p ? note.p : "", '"', note.n) ||
	    rule.p[rule.n - 1] == '\\' || memchr(rule.p, '#', rule.n)) {
		buf_puts(messages, "error: a dated rule is one line of policy, its note has no "
				   "quotes\n");
		return -EINVAL;
	}
	r = policy_parse_files(&p, &none, 1, rule, messages);
	if (r < 0)
		return r;
	if (p->n_rules == 1 && p->rules[0].front && !p->rules[0].until_s && !p->rules[0].note.n &&
	    (p->rules[0].action == EG_DENY || p->rules[0].action == EG_REJECT))
		return 0;
	buf_puts(messages, "error: a dated rule is one deny or reject, without 'until' and 'as'\n");
	return -EINVAL;
}

int guard_block(struct guard *g, struct str rule, uint64_t for_s, struct str note,
		struct buf *messages)
{
	struct kept next;
	int r = check_block(rule, note, messages);

	if (r < 0)
		return r;
	r = kept_copy(&next, &g->kept);
	if (r < 0)
		return r;
	r = with_block(g, &next, rule, for_s, note);
	if (r == -E2BIG)
		buf_printf(messages, "error: there are %d dated rules already\n", BLOCKS_MAX);
	if (r < 0) {
		kept_done(&next);
		return r;
	}
	r = guard_move_to(g, &next, 0, false, NULL, messages);
	if (r == 0)
		log_info("blocked: %.*s", STR_FMT(rule));
	return r;
}

/* Without those with this text (empty: all), and those past their time at `now_s`; how many went. */
static size_t without(struct kept *next, bool all, struct str rule, int64_t now_s)
{
	size_t n = 0;

	for (size_t i = 0; i < next->n_blocks; i++) {
		const struct dated_rule *b = &next->blocks[i];

		if (all || (rule.n && str_eq(str_of(b->rule), rule)) ||
		    (b->until_s && b->until_s <= now_s))
			continue;
		next->blocks[n++] = *b;
	}
	all = n < next->n_blocks;
	n = next->n_blocks - n;
	next->n_blocks -= n;
	return all ? n : 0;
}

static int take_away(struct guard *g, bool all, struct str rule, struct buf *messages)
{
	struct kept next;
	int r = kept_copy(&next, &g->kept), n;

	if (r < 0)
		return r;
	n = (int)without(&next, all, rule, rule.n || all ? INT64_MIN : guard_now_s(g));
	if (!n) {
		kept_done(&next);
		return 0;
	}
	if (kept_is_empty(&next)) {
		bool waits = g->conf_waits;

		kept_done(&next);
		r = guard_clear(g);
		g->conf_waits = waits;
	} else {
		r = guard_move_to(g, &next, 0, false, NULL, messages);
	}
	return r < 0 ? r : n;
}

int guard_unblock(struct guard *g, struct str rule, struct buf *messages)
{
	int n = take_away(g, !rule.n, rule, messages);

	if (n > 0)
		log_info("unblocked: %s%.*s", rule.n ? "" : "all", STR_FMT(rule));
	return n;
}

void blocks_expire(struct guard *g)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int64_t now = guard_now_s(g);

	for (size_t i = 0; i < g->kept.n_blocks; i++) {
		if (!g->kept.blocks[i].until_s || g->kept.blocks[i].until_s > now)
			continue;
		/* The image knows the time itself: nothing is refused any more, whatever becomes of this. */
		if (take_away(g, false, STR_NONE, &messages) >= 0)
			log_info("dated rules expired");
		guard_log(&messages);
		return;
	}
}
