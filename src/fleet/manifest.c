/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/lex.h"
#include "base/time.h"
#include "policy/policy.h"

#define PATH_BYTES_MAX 1024
#define STAGE_MAX_S (30 * 86400)
#define OVER_DEFAULT 20

struct parser {
	struct lex lex;
	struct fleet_manifest *m;
	size_t room; /* of values */
	bool failed; /* no memory */
	bool given[5];
};

bool fleet_word_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && !strchr("-_.", s.p[i]))
			return false;
	return s.n && s.n <= FLEET_NAME_MAX;
}

static bool is_word(const struct lex_token *t, const char *word)
{
	return t->kind == LEX_WORD && str_eq(t->text, str_of(word));
}

static bool at_end(const struct lex_token *t)
{
	return t->kind == LEX_NEWLINE || t->kind == LEX_END;
}

static void expected(struct parser *p, const struct lex_token *t, const char *what)
{
	lex_complain(&p->lex, t, "error", "%s is expected here", what);
}

/* Whether the next word is this one, which is then taken. */
static bool take_if(struct parser *p, const char *word)
{
	struct lex_token t = lex_peek(&p->lex);

	if (!is_word(&t, word))
		return false;
	lex_next(&p->lex);
	return true;
}

static int64_t take_time(struct parser *p)
{
	struct lex_token t = lex_next(&p->lex);
	uint64_t ns = 0;

	if (t.kind != LEX_WORD || duration_parse(t.text, &ns) < 0 ||
	    ns > STAGE_MAX_S * NSEC_PER_SEC || ns % NSEC_PER_SEC)
		expected(p, &t, "a time of whole seconds and at most 30d, as 2h,");
	return (int64_t)(ns / NSEC_PER_SEC);
}

/* "10%", "3x", "20": a number and what follows it. */
static uint64_t take_number(struct parser *p, char unit, uint64_t most, const char *what)
{
	struct lex_token t = lex_next(&p->lex);
	struct str s = t.text;
	uint64_t n = 0;

	if (unit && s.n && s.p[s.n - 1] == unit)
		s.n--;
	else if (unit)
		s.n = 0;
	if (t.kind != LEX_WORD || !s.n || str_parse_u64(s, &n) < 0 || !n || n > most)
		expected(p, &t, what);
	return n;
}

/* ---- statements ---- */

static void parse_version(struct parser *p)
{
	p->m->version = take_number(p, 0, INT64_MAX,
				    "a number above 0, which grows from version to version,");
}

static void parse_note(struct parser *p)
{
	struct lex_token t = lex_next(&p->lex);

	if (t.kind != LEX_STRING || !t.text.n || t.text.n > FLEET_NOTE_MAX)
		expected(p, &t, "a text of 1 to 200 bytes in quotes");
	else
		p->m->note = t.text;
}

static void parse_expires(struct parser *p)
{
	struct lex_token t = lex_next(&p->lex);

	if (t.kind != LEX_WORD || !policy_time_parse(t.text, true, &p->m->expires_s) ||
	    p->m->expires_s <= 0)
		expected(p, &t, "a date or time, as 2027-01-31 or 2027-01-31T18:00Z,");
}

static bool add_value(struct parser *p, struct str s)
{
	struct str *more;

	if (p->m->n_values == p->room) {
		p->room = p->room ? 2 * p->room : 64;
		more = realloc(p->m->values, p->room * sizeof(*more));
		p->failed |= !more;
		if (!more)
			return false;
		p->m->values = more;
	}
	p->m->values[p->m->n_values++] = s;
	return true;
}

/* A name that is one of these is written in quotes: what is forgotten is no name. */
static bool is_reserved(const struct lex_token *t)
{
	return is_word(t, "hosts") || is_word(t, "labels") || is_word(t, "policy");
}

/* A, B, … */
static struct fleet_any take_values(struct parser *p, bool labels)
{
	struct fleet_any any = { .from = p->m->n_values };
	struct lex_token t;

	do {
		t = lex_next(&p->lex);
		if ((t.kind != LEX_WORD && t.kind != LEX_STRING) || is_reserved(&t))
			expected(p, &t, labels ? "a label" : "the name of a host, as web-*,");
		else if (labels && !fleet_word_ok(t.text))
			expected(p, &t, "a label of letters, digits, '-', '_' and '.'");
		else if (!t.text.n || t.text.n > 255)
			expected(p, &t, "the name of a host, as web-*,");
		else if (p->m->n_values == FLEET_VALUES_MAX)
			lex_complain(&p->lex, &t, "error", "at most %d hosts and labels together",
				     FLEET_VALUES_MAX);
		else if (add_value(p, t.text))
			any.n++;
		t = lex_peek(&p->lex);
	} while (t.kind == LEX_COMMA && (lex_next(&p->lex), true));
	return any;
}

bool fleet_path_ok(struct str path)
{
	struct str part;

	if (!path.n || path.n > PATH_BYTES_MAX || path.p[0] == '/' || path.p[path.n - 1] == '/')
		return false;
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] < ' ')
			return false;
	while (str_cut(&path, '/', &part))
		if (!part.n || str_eq(part, STR("..")))
			return false;
	return true;
}

static void take_policy(struct parser *p, struct fleet_group *g)
{
	struct lex_token t = lex_next(&p->lex);

	if ((t.kind != LEX_WORD && t.kind != LEX_STRING) || !fleet_path_ok(t.text) ||
	    str_eq(t.text, STR(FLEET_MANIFEST)))
		expected(p, &t, "the name of a policy's file beside the manifest");
	g->policy = t.text;
	if (take_if(p, "watch"))
		g->watch = true;
	else
		take_if(p, "enforce");
}

static void parse_group(struct parser *p)
{
	struct lex_token at = lex_next(&p->lex), t = at;
	struct fleet_group g = { .name = at.text }, *more;
	unsigned errors = p->lex.n_errors;

	if (at.kind != LEX_WORD || !fleet_word_ok(at.text))
		expected(p, &at, "a name of letters, digits, '-', '_' and '.'");
	for (size_t i = 0; i < p->m->n_groups; i++)
		if (str_eq(p->m->groups[i].name, g.name))
			lex_complain(&p->lex, &at, "error", "there is a group of this name");
	while (p->lex.n_errors == errors && !g.policy.n) {
		t = lex_peek(&p->lex);
		if (!g.hosts.n && take_if(p, "hosts"))
			g.hosts = take_values(p, false);
		else if (!g.labels.n && take_if(p, "labels"))
			g.labels = take_values(p, true);
		else if (take_if(p, "policy"))
			take_policy(p, &g);
		else
			expected(p, &t,
				 g.hosts.n && g.labels.n ? "policy FILE"
							 : "hosts, labels or policy");
	}
	if (p->lex.n_errors > errors)
		return;
	if (p->m->n_groups == FLEET_GROUPS_MAX) {
		lex_complain(&p->lex, &at, "error", "at most %d groups", FLEET_GROUPS_MAX);
		return;
	}
	more = realloc(p->m->groups, (p->m->n_groups + 1) * sizeof(*more));
	p->failed |= !more;
	if (!more)
		return;
	p->m->groups = more;
	more[p->m->n_groups++] = g;
}

static void take_canary(struct parser *p, struct fleet_rollout *r)
{
	struct lex_token t;

	if (!take_if(p, "labels")) {
		r->canary = (unsigned)take_number(p, '%', 100, "a share, as 10%,");
		return;
	}
	t = lex_next(&p->lex);
	if (t.kind != LEX_WORD || !fleet_word_ok(t.text))
		expected(p, &t, "a label");
	r->label = t.text;
}

static void take_step_back(struct parser *p, struct fleet_rollout *r)
{
	struct lex_token t = lex_peek(&p->lex);

	if (!take_if(p, "refusals")) {
		expected(p, &t, "refusals");
		return;
	}
	r->times = (unsigned)take_number(p, 'x', 1000, "how many times as many, as 3x,");
	r->over = OVER_DEFAULT;
	if (take_if(p, "over"))
		r->over = take_number(p, 0, UINT32_MAX, "so many a minute");
}

/* watch DUR, canary N% | labels NAME, for DUR, step-back refusals Nx [over N]: in any order, each once. */
static void parse_rollout(struct parser *p)
{
	struct fleet_rollout *r = &p->m->rollout;
	struct lex_token at = lex_peek(&p->lex), t;
	unsigned errors = p->lex.n_errors;

	r->given = true;
	for (t = at; !at_end(&t) && p->lex.n_errors == errors; t = lex_peek(&p->lex)) {
		if (!r->watch_s && take_if(p, "watch"))
			r->watch_s = take_time(p);
		else if (!r->canary && !r->label.n && take_if(p, "canary"))
			take_canary(p, r);
		else if (!r->for_s && take_if(p, "for"))
			r->for_s = take_time(p);
		else if (!r->times && take_if(p, "step-back"))
			take_step_back(p, r);
		else
			expected(p, &t, "watch, canary, for or step-back, each once,");
	}
	if (p->lex.n_errors == errors && (r->canary || r->label.n) && !r->for_s)
		lex_complain(&p->lex, &at, "error",
			     "'canary' needs 'for': how long they are alone");
}

static const struct {
	const char *word;
	void (*parse)(struct parser *p);
	bool often;
} statements[] = {
	{ "version", parse_version, false }, { "note", parse_note, false },
	{ "expires", parse_expires, false }, { "group", parse_group, true },
	{ "rollout", parse_rollout, false },
};
_Static_assert(ARRAY_SIZE(statements) == ARRAY_SIZE(((struct parser *)0)->given), "each once");

static void unknown(struct parser *p, const struct lex_token *t)
{
	const char *words[ARRAY_SIZE(statements) + 1] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(statements); i++)
		words[i] = statements[i].word;
	lex_unknown_statement(&p->lex, t, words);
}

static void parse_statement(struct parser *p)
{
	struct lex_token t = lex_next(&p->lex), end;
	unsigned errors = p->lex.n_errors;
	size_t i = 0;

	if (at_end(&t))
		return;
	while (i < ARRAY_SIZE(statements) && !is_word(&t, statements[i].word))
		i++;
	if (i == ARRAY_SIZE(statements))
		unknown(p, &t);
	else if (p->given[i] && !statements[i].often)
		lex_complain(&p->lex, &t, "error", "this was said before");
	else
		statements[i].parse(p);
	if (i < ARRAY_SIZE(statements))
		p->given[i] = true;
	end = lex_peek(&p->lex);
	if (p->lex.n_errors == errors && !at_end(&end))
		lex_complain(&p->lex, &end, "error", "the statement should end here");
	lex_skip_line(&p->lex);
}

/* The first line says what this is, so that a later form is not half understood. */
static void parse_head(struct parser *p)
{
	struct lex_token t = lex_next(&p->lex);

	while (t.kind == LEX_NEWLINE)
		t = lex_next(&p->lex);
	if (!is_word(&t, "egret-fleet")) {
		expected(p, &t, "'egret-fleet 1'");
		return;
	}
	t = lex_next(&p->lex);
	if (!is_word(&t, "1"))
		lex_complain(&p->lex, &t, "error",
			     "this egret knows manifests of the form 1 alone");
}

static void check_whole(struct parser *p)
{
	struct lex_token t = lex_peek(&p->lex);

	if (!p->m->version)
		lex_complain(&p->lex, &t, "error", "'version' is missing");
	if (!p->m->n_groups)
		lex_complain(&p->lex, &t, "error",
			     "there is no group: no host would take anything");
}

int fleet_manifest_parse(struct fleet_manifest *ret, const char *file, struct str text,
			 struct buf *messages)
{
	struct fleet_manifest m = { 0 };
	struct parser p = { .m = &m };
	bool headless;

	if (text.n > FLEET_MANIFEST_MAX) {
		buf_printf(messages, "%s: error: it is larger than %u KiB\n", file,
			   FLEET_MANIFEST_MAX >> 10);
		return -EINVAL;
	}
	lex_init(&p.lex, file, text, messages);
	parse_head(&p);
	headless = p.lex.n_errors != 0;
	while (!headless && lex_peek(&p.lex).kind != LEX_END)
		parse_statement(&p);
	if (!p.lex.n_errors)
		check_whole(&p);
	if (p.lex.n_errors || p.failed) {
		fleet_manifest_done(&m);
		return p.failed ? -ENOMEM : -EINVAL;
	}
	*ret = m;
	return 0;
}

void fleet_manifest_done(struct fleet_manifest *m)
{
	free(m->groups);
	free(m->values);
	*m = (struct fleet_manifest){ 0 };
}

/* ---- who takes what ---- */

bool fleet_host_has(const struct fleet_host *h, struct str label)
{
	for (size_t i = 0; i < h->n_labels; i++)
		if (str_eq(h->labels[i], label))
			return true;
	return false;
}

static bool takes(const struct fleet_manifest *m, const struct fleet_group *g,
		  const struct fleet_host *h)
{
	bool host = !g->hosts.n, label = !g->labels.n;

	for (size_t i = 0; i < g->hosts.n; i++)
		host |= str_glob(m->values[g->hosts.from + i], h->name);
	for (size_t i = 0; i < g->labels.n; i++)
		label |= fleet_host_has(h, m->values[g->labels.from + i]);
	return host && label;
}

const struct fleet_group *fleet_group_of(const struct fleet_manifest *m, const struct fleet_host *h)
{
	for (size_t i = 0; i < m->n_groups; i++)
		if (takes(m, &m->groups[i], h))
			return &m->groups[i];
	return NULL;
}
