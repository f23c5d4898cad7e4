/* SPDX-License-Identifier: Apache-2.0 */
/* `response` statements of the policy: a finding puts a dated rule in front of all others. */
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "detect/popular.h"
#include "guard/guard.h"
#include "sentry/internal.h"

#define RULE_MAX 1024

static bool wanted(const struct policy_response *r, const struct finding *f)
{
	const char *class = finding_class_name(f->class);

	/* Levels of rules and severities of findings are the same four. */
	if ((int)f->severity < (int)r->least)
		return false;
	return str_eq(r->finding_class, STR("any")) ||
	       (class && str_eq(r->finding_class, str_of(class))) ||
	       str_eq(r->finding_class, str_of(f->detector));
}

static bool quotable(struct str s)
{
	return s.n && !memchr(s.p, '"', s.n) && !memchr(s.p, '\n', s.n);
}

static void put_app(struct buf *rule, const struct finding *f)
{
	buf_printf(rule, " app \"%.*s\"", STR_FMT(f->exe));
	if (f->user.n)
		buf_printf(rule, " user %.*s", STR_FMT(f->user));
}

/*
 * The whole domain when nobody else's business is there; the one name where it is somebody's large platform, and then for this
 * program alone. Without a name, the address.
 */
static bool put_destination(const struct sentry *s, struct buf *rule, const struct finding *f)
{
	char addr[ADDR_TEXT_MAX];
	bool has_domain = f->peer.n && f->name.n;

	if (has_domain && detect_fame(s->detect, f->peer) == FAME_NONE) {
		buf_printf(rule, " to **.%.*s", STR_FMT(f->peer));
		return true;
	}
	if (f->name.n) {
		if (quotable(f->exe))
			put_app(rule, f);
		buf_printf(rule, " to %.*s", STR_FMT(f->name));
		return true;
	}
	if (addr_is_unset(&f->addr))
		return false;
	buf_printf(rule, " to %s", addr_format(&f->addr, addr));
	return true;
}

static bool in_force(struct sentry *s, struct str rule)
{
	uint64_t h = hash_bytes(rule.p, rule.n, 0), now = s->cfg.now();

	for (size_t i = 0; i < s->n_done; i++)
		if (s->done[i].rule == h && now < s->done[i].until_ns)
			return true;
	return false;
}

static void remember(struct sentry *s, struct str rule, uint64_t for_ns)
{
	size_t i = s->n_done < RESPONSES_KEPT ? s->n_done++ : 0;

	for (size_t k = 0; k < s->n_done && s->n_done == RESPONSES_KEPT; k++)
		if (s->done[k].until_ns < s->done[i].until_ns)
			i = k;
	s->done[i].rule = hash_bytes(rule.p, rule.n, 0);
	s->done[i].until_ns = s->cfg.now() + for_ns;
}

static void put_in_force(struct sentry *s, const struct policy_response *r, struct str rule,
			 const struct finding *f, struct buf *said)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(65536);
	char note[128], lasts[TIME_TEXT_MAX];
	int e;

	duration_format(r->for_ns, lasts);
	if (in_force(s, rule))
		return;
	if (guard_mode(s->cfg.guard) != GUARD_ENFORCE) {
		log_warn("finding %s: response '%.*s' would put in force for %s: %.*s (the policy "
			 "is in "
			 "watch mode)",
			 f->id, STR_FMT(r->name), lasts, STR_FMT(rule));
		remember(s, rule, r->for_ns);
		buf_printf(said, "%swould: %.*s for %s", said->n ? "; " : "", STR_FMT(rule), lasts);
		return;
	}
	snprintf(note, sizeof(note), "response %.*s, finding %s", STR_FMT(r->name), f->id);
	e = guard_block(s->cfg.guard, rule, r->for_ns / NSEC_PER_SEC, str_of(note), &messages);
	if (e < 0) {
		log_error("finding %s: response '%.*s' could not be put in force: %s: %.*s", f->id,
			  STR_FMT(r->name), strerror(-e), STR_FMT(buf_str(&messages)));
		return;
	}
	log_warn("finding %s: response '%.*s' is in force for %s: %.*s", f->id, STR_FMT(r->name),
		 lasts, STR_FMT(rule));
	remember(s, rule, r->for_ns);
	buf_printf(said, "%s%.*s for %s", said->n ? "; " : "", STR_FMT(rule), lasts);
}

void respond(struct sentry *s, const struct finding *f, struct buf *said)
{
	const struct policy *p =
		s->cfg.guard ? guard_policy(s->cfg.guard, guard_gen(s->cfg.guard)) : NULL;

	for (size_t i = 0; p && !f->acked && i < p->n_responses; i++) {
		const struct policy_response *r = &p->responses[i];
		_cleanup_buf_ struct buf rule = BUF_INIT(RULE_MAX);

		if (!wanted(r, f))
			continue;
		if (r->deny_destination) {
			buf_puts(&rule, "deny");
			if (put_destination(s, &rule, f) && !rule.failed)
				put_in_force(s, r, buf_str(&rule), f, said);
		}
		buf_clear(&rule);
		if (r->deny_subject && quotable(f->exe)) {
			buf_puts(&rule, "deny");
			put_app(&rule, f);
			if (!rule.failed)
				put_in_force(s, r, buf_str(&rule), f, said);
		}
	}
}
