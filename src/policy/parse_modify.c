/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind the selectors of a rule: limit, quota, priority, alert, log, quiet, until, as. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

static bool take_limit(struct parser *p, struct policy_rule *r)
{
	static const char *const each[] = {
		"app", "user", "unit", "host", "segment", "flow", NULL
	};
	int i;

	if (!take_rate(p, &r->limit_bits))
		return false;
	if (!take_word(p, "each"))
		return true;
	i = take_choice(p, each, "app, user, unit, host, segment or flow");
	r->limit_each = (enum limit_each)(i + 1);
	return i >= 0;
}

#define QUOTA_MAX 1000000000000000000ULL /* 1,000,000 tb */

static bool parse_quota(struct str s, struct policy_rule *r)
{
	static const char *const periods[] = { "hour", "day", "week", "month" };
	const char *slash = memchr(s.p, '/', s.n);
	struct str period;

	if (!slash)
		return false;
	period = str_sub(s, (size_t)(slash - s.p) + 1, s.n);
	for (size_t i = 0; i < ARRAY_SIZE(periods); i++)
		if (str_eq(period, str_of(periods[i]))) {
			r->quota_period = periods[i][0];
			return parse_size(str_sub(s, 0, (size_t)(slash - s.p)), &r->quota_bytes);
		}
	return false;
}

static bool take_quota(struct parser *p, struct policy_rule *r)
{
	static const char *const then[] = { "deny", "reject", "audit", "limit", NULL };
	struct lex_token at = p->tok;
	int i;

	if (p->tok.kind != LEX_WORD || !parse_quota(p->tok.text, r)) {
		mistake(p, &p->tok,
			"a size for a time is expected here\nas 200gb/month; times are hour, day, "
			"week and month");
		if (!at_end(&p->tok))
			next(p);
		return false;
	}
	next(p);
	if (r->quota_bytes > QUOTA_MAX) {
		mistake(p, &at, "a quota is 1,000,000tb at most");
		return false;
	}
	r->quota_then = EG_DENY;
	if (!take_word(p, "then"))
		return true;
	i = take_choice(p, then, "deny, reject, audit or limit");
	if (i == 3)
		return take_rate(p, &r->quota_then_bits);
	r->quota_then = (enum eg_action)(i + EG_DENY);
	return i >= 0;
}

static bool take_alert(struct parser *p, struct policy_rule *r)
{
	static const char *const levels[] = { "low", "medium", "high", "critical", NULL };
	struct lex_token t = p->tok;
	struct advice a;

	r->alert = LEVEL_MEDIUM;
	for (int i = 0; levels[i]; i++)
		if (take_word(p, levels[i]))
			r->alert = (enum policy_level)(i + 1);
	if (p->tok.kind == LEX_STRING) {
		r->alert_text = p->tok.text;
		next(p);
		return true;
	}
	if (p->tok.kind != LEX_WORD || reserved_word(p->tok.text))
		return true;
	if (t.text.p == p->tok.text.p && advise(&a, t.text, levels)[0])
		mistake(p, &p->tok, "'%.*s' is no level of an alert%s", QUOTED(t.text), a.text);
	else
		mistake(p, &p->tok, "the text of an alert stands in quotes\n\"%.*s\"",
			QUOTED(p->tok.text));
	return false;
}

static bool take_note(struct parser *p, struct policy_rule *r)
{
	return take_string(p, &r->note, "a note");
}

static bool take_until(struct parser *p, struct policy_rule *r)
{
	return take_date(p, &r->until_s);
}

static bool take_log(struct parser *p, struct policy_rule *r)
{
	r->log = true;
	return true;
}

static bool take_quiet(struct parser *p, struct policy_rule *r)
{
	r->quiet = true;
	return true;
}

static bool take_priority(struct parser *p, struct policy_rule *r)
{
	static const char *const words[] = { "high", "normal", "low", NULL };
	int i = take_choice(p, words, "high, normal or low");

	if (i >= 0)
		r->priority = (enum policy_priority)(i + PRIORITY_HIGH);
	return i >= 0;
}

static bool has_limit(const struct policy_rule *r)
{
	return r->limit_bits;
}

static bool has_quota(const struct policy_rule *r)
{
	return r->quota_bytes;
}

static bool has_priority(const struct policy_rule *r)
{
	return r->priority;
}

static bool has_alert(const struct policy_rule *r)
{
	return r->alert;
}

static bool has_log(const struct policy_rule *r)
{
	return r->log;
}

static bool has_quiet(const struct policy_rule *r)
{
	return r->quiet;
}

static bool has_until(const struct policy_rule *r)
{
	return r->until_s;
}

static bool has_note(const struct policy_rule *r)
{
	return r->note.n;
}

static const struct modifier {
	const char *word;
	bool (*take)(struct parser *p, struct policy_rule *r);
	bool (*has)(const struct policy_rule *r);
	bool of_passing; /* makes sense for what passes only */
} modifiers[] = {
	{ "limit", take_limit, has_limit, true },
	{ "quota", take_quota, has_quota, true },
	{ "priority", take_priority, has_priority, true },
	{ "alert", take_alert, has_alert, false },
	{ "log", take_log, has_log, false },
	{ "quiet", take_quiet, has_quiet, false },
	{ "until", take_until, has_until, false },
	{ "as", take_note, has_note, false },
};

bool take_modifier(struct parser *p, struct policy_rule *r)
{
	struct lex_token at = p->tok;
	const struct modifier *m = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(modifiers); i++)
		if (is_word(&at, modifiers[i].word))
			m = &modifiers[i];
	if (!m)
		return false;
	next(p);
	if (m->has(r))
		mistake(p, &at, "'%s' stands twice in this rule", m->word);
	else if (m->of_passing && r->action != EG_ALLOW && r->action != EG_AUDIT)
		mistake(p, &at, "'%s' goes with 'allow' and 'audit'\nwhat is refused needs none",
			m->word);
	else if ((m->has == has_log && r->quiet) || (m->has == has_quiet && r->log))
		mistake(p, &at, "'log' and 'quiet' cannot stand together");
	return m->take(p, r);
}
