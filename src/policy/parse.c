/* SPDX-License-Identifier: Apache-2.0 */
/* The policy language: its ways in, its words and messages, and which statement is which. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

/* --- words -------------------------------------------------------------------------------------------------------- */

static void keep_text(struct parser *p, const struct lex_token *t)
{
	if (p->text.n && t->kind != LEX_COMMA)
		buf_putc(&p->text, ' ');
	if (t->kind == LEX_STRING)
		buf_putc(&p->text, '"');
	buf_put_str(&p->text, t->text);
	if (t->kind == LEX_STRING)
		buf_putc(&p->text, '"');
}

void next(struct parser *p)
{
	if (p->keep && !at_end(&p->tok))
		keep_text(p, &p->tok);
	p->tok = lex_next(&p->lex);
	if (p->tok.kind == LEX_BAD) {
		mistake(p, &p->tok, "this string does not end on its line\na \" is missing");
		p->tok.kind = LEX_STRING;
		p->tok.text = str_sub(p->tok.text, 1, p->tok.text.n);
		p->muted_line = p->tok.line;
	} else if (p->tok.kind == LEX_WORD && (!p->ascii || p->tok.text.p[0] == '\'') &&
		   odd_characters(p, &p->tok)) {
		p->muted_line = p->tok.line;
	}
}

bool is_word(const struct lex_token *t, const char *word)
{
	return t->kind == LEX_WORD && str_eq(t->text, str_of(word));
}

bool at_end(const struct lex_token *t)
{
	return t->kind == LEX_NEWLINE || t->kind == LEX_END;
}

bool take_word(struct parser *p, const char *word)
{
	if (!is_word(&p->tok, word))
		return false;
	next(p);
	return true;
}

struct policy_place place_of(const struct parser *p, const struct lex_token *t)
{
	return (struct policy_place){ .file = p->file, .line = t->line, .column = t->column };
}

static void list_words(char *to, size_t size, const char *const *words)
{
	size_t n = 0;

	to[0] = 0;
	for (size_t i = 0; words[i] && n < size; i++)
		n += (size_t)snprintf(to + n, size - n, "%s%s",
				      i ? words[i + 1] ? ", " : " or " : "", words[i]);
}

int take_choice(struct parser *p, const char *const *words, const char *what)
{
	struct advice a;
	char all[200];

	for (int i = 0; p->tok.kind == LEX_WORD && words[i]; i++)
		if (take_word(p, words[i]))
			return i;
	list_words(all, sizeof(all), words);
	if (p->tok.kind == LEX_WORD &&
	    (advise(&a, p->tok.text, words)[0] ||
	     (words == action_words && advise_foreign(&a, p->tok.text)[0])))
		mistake(p, &p->tok, "%s is expected here, not '%.*s'%s", what, QUOTED(p->tok.text),
			a.text);
	else if (p->tok.kind == LEX_WORD)
		mistake(p, &p->tok, "%s is expected here, not '%.*s'%s%s", what,
			QUOTED(p->tok.text), strcmp(what, all) ? "\n" : "",
			strcmp(what, all) ? all : "");
	else
		mistake(p, &p->tok, "%s is expected here%s%s", what, strcmp(what, all) ? "\n" : "",
			strcmp(what, all) ? all : "");
	return -1;
}

bool take_string(struct parser *p, struct str *ret, const char *what)
{
	bool ok = p->tok.kind == LEX_STRING && p->tok.text.n;

	if (ok)
		*ret = p->tok.text;
	else if (p->tok.kind == LEX_STRING)
		mistake(p, &p->tok, "%s is empty", what);
	else if (p->tok.kind == LEX_WORD)
		mistake(p, &p->tok, "%s stands in quotes\n\"%.*s\"", what, QUOTED(p->tok.text));
	else
		mistake(p, &p->tok, "%s in quotes is expected here", what);
	if (!at_end(&p->tok))
		next(p);
	return ok;
}

/* Words that begin a selector or modifier and no value of any. */
static bool never_value(const struct lex_token *t)
{
	static const char *const words[] = { "user",     "group",  "from",   "to",    "port",
					     "speaking", "during", "except", "limit", "quota",
					     "priority", "alert",  "until",  "by",    NULL };

	for (const char *const *w = words; *w; w++)
		if (is_word(t, *w))
			return true;
	return false;
}

bool more_values(struct parser *p)
{
	if (p->tok.kind != LEX_COMMA)
		return false;
	next(p);
	if (p->tok.kind == LEX_COMMA) {
		mistake(p, &p->tok, "a value is missing between two commas");
		while (p->tok.kind == LEX_COMMA)
			next(p);
	}
	if (!at_end(&p->tok) && never_value(&p->tok)) {
		mistake(p, &p->tok,
			"no comma stands before '%.*s'\ncommas separate the values of one selector",
			QUOTED(p->tok.text));
		return false;
	}
	if (!at_end(&p->tok))
		return true;
	p->broken_line = true;
	mistake(p, &p->tok,
		"a value is expected after the comma\nto go on in the next line, end this one with "
		"'\\'");
	return false;
}

/* --- messages ------------------------------------------------------------------------------------------------------- */

/* The line at `at`: near the place that is read it is found without counting from the first. */
static struct str line_at(const struct parser *p, struct policy_place at)
{
	struct str source = ((const struct str *)p->sources.p)[at.file];
	const char *begin = p->lex.line_start, *end;
	unsigned back = p->lex.line - at.line;

	if (at.file != p->file || !begin || at.line > p->lex.line || back > 1000)
		return lex_line(source, at.line);
	for (; back; back--) {
		end = memrchr(source.p, '\n', (size_t)(begin - source.p) - 1);
		begin = end ? end + 1 : source.p;
	}
	source = str_sub(source, (size_t)(begin - source.p), source.n);
	return lex_line(source, 1);
}

static void vcomplain(struct parser *p, struct policy_place at, const char *kind, const char *fmt,
		      va_list ap)
{
	const char *file = ((const struct str *)p->files.p)[at.file].p;
	bool error = !strcmp(kind, "error");
	char message[600];

	if (error)
		p->errors++;
	if (error && p->muted_line && at.file == p->file && at.line == p->muted_line)
		return;
	if (p->shown == PARSE_SHOWN_MAX ||
	    p->messages->n + strlen(file) + 2048 > p->messages->max) {
		p->hidden++;
		return;
	}
	p->shown++;
	vsnprintf(message, sizeof(message), fmt, ap);
	lex_show(p->messages, &(struct lex_spot){ file, line_at(p, at), at.line, at.column, 0 },
		 kind, message);
}

void complain(struct parser *p, struct policy_place at, const char *kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(p, at, kind, fmt, ap);
	va_end(ap);
}

void mistake(struct parser *p, const struct lex_token *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(p, place_of(p, t), "error", fmt, ap);
	va_end(ap);
}

/* --- statements ----------------------------------------------------------------------------------------------------- */

static void parse_default(struct parser *p)
{
	struct policy *policy = p->policy;
	struct lex_token at = p->tok;
	int action = take_choice(p, action_words, "allow, deny, reject or audit");

	if (policy->has_fallback && action >= 0)
		mistake(p, &at, "'default' is said twice\nfirst in line %u",
			policy->fallback_place.line);
	policy->fallback = action < 0 ? EG_ALLOW : (enum eg_action)(action + EG_ALLOW);
	policy->has_fallback = true;
	policy->fallback_place = place_of(p, &at);
}

static void parse_allow(struct parser *p)
{
	parse_rule(p, EG_ALLOW);
}

static void parse_deny(struct parser *p)
{
	parse_rule(p, EG_DENY);
}

static void parse_reject(struct parser *p)
{
	parse_rule(p, EG_REJECT);
}

static void parse_audit(struct parser *p)
{
	parse_rule(p, EG_AUDIT);
}

static const struct statement {
	const char *word;
	void (*parse)(struct parser *p);
	bool is_rule; /* its text is kept from the first word on */
} statements[] = {
	{ "allow", parse_allow, true },
	{ "deny", parse_deny, true },
	{ "reject", parse_reject, true },
	{ "audit", parse_audit, true },
	{ "expect", parse_expect, true },
	{ "default", parse_default, false },
	{ "app", parse_app, false },
	{ "set", parse_set, false },
	{ "segment", parse_segment, false },
	{ "list", parse_list, false },
	{ "schedule", parse_schedule, false },
	{ "include", parse_include, false },
	{ "resolvers", parse_resolvers, false },
	{ "price", parse_price, false },
	{ "budget", parse_budget, true },
	{ "response", parse_response, false },
	{ "link", parse_link, false },
};

static void unknown_statement(struct parser *p)
{
	struct lex_token t = p->tok;
	struct advice a;

	if (t.kind == LEX_OPEN || t.kind == LEX_CLOSE)
		mistake(p, &t,
			"a policy has no braces\neach statement stands on a line of its own");
	else if (t.kind != LEX_WORD)
		mistake(p, &t,
			"a statement begins with a word\nas 'allow', 'deny', 'set' or 'app'");
	else if (reserved_word(t.text))
		mistake(p, &t, "a rule begins with its action\nas: allow %.*s …", QUOTED(t.text));
	else if (advise_foreign(&a, t.text)[0] || advise(&a, t.text, statement_words)[0])
		mistake(p, &t, "unknown statement '%.*s'%s", QUOTED(t.text), a.text);
	else
		mistake(p, &t,
			"unknown statement '%.*s'\na rule begins with 'allow', 'deny', 'reject' or "
			"'audit'",
			QUOTED(t.text));
}

/* What stands behind a statement that is complete. */
static void left_over(struct parser *p)
{
	struct lex_token t = p->tok;

	if (t.kind == LEX_EQUALS)
		mistake(p, &t, "there is no '=' here");
	else if (t.kind == LEX_OPEN || t.kind == LEX_CLOSE)
		mistake(p, &t, "a policy has no braces\nvalues are separated by commas");
	else if (t.kind == LEX_COMMA)
		mistake(p, &t, "there is nothing to go on with a comma here");
	else if (reserved_word(t.text))
		mistake(p, &t,
			"'%.*s' cannot stand here\neach statement stands on a line of its own",
			QUOTED(t.text));
	else
		mistake(p, &t, "a comma is missing before '%.*s', or the line should end there",
			QUOTED(t.text));
}

void parse_statement(struct parser *p)
{
	unsigned errors = p->errors;
	bool goes_on = p->broken_line; /* the line before ended with a comma, which was told */
	size_t i;

	p->broken_line = false;
	for (i = 0; i < ARRAY_SIZE(statements); i++)
		if (is_word(&p->tok, statements[i].word))
			break;
	if (i == ARRAY_SIZE(statements)) {
		if (!goes_on)
			unknown_statement(p);
	} else {
		p->keep = statements[i].is_rule;
		p->action = p->tok;
		buf_clear(&p->text);
		next(p);
		statements[i].parse(p);
		if (!at_end(&p->tok) && errors == p->errors)
			left_over(p);
	}
	p->keep = false;
	p->dests.n = p->parts.n = p->numbers.n = p->ports.n = 0;
	while (!at_end(&p->tok))
		next(p);
}

/* --- ways in ------------------------------------------------------------------------------------------------------- */

static void take_over(struct parser *p)
{
	struct policy *policy = p->policy;

	policy->files = vec_take(p, &p->files, sizeof(struct str), &policy->n_files);
	policy->sources = vec_take(p, &p->sources, sizeof(struct str), &policy->n_files);
	policy->apps = vec_take(p, &p->apps, sizeof(struct policy_app), &policy->n_apps);
	policy->sets = vec_take(p, &p->sets, sizeof(struct policy_set), &policy->n_sets);
	policy->segments =
		vec_take(p, &p->segments, sizeof(struct policy_segment), &policy->n_segments);
	policy->lists = vec_take(p, &p->lists, sizeof(struct policy_list), &policy->n_lists);
	policy->schedules =
		vec_take(p, &p->schedules, sizeof(struct policy_schedule), &policy->n_schedules);
	policy->prices = vec_take(p, &p->prices, sizeof(struct policy_price), &policy->n_prices);
	policy->budgets =
		vec_take(p, &p->budgets, sizeof(struct policy_budget), &policy->n_budgets);
	policy->responses =
		vec_take(p, &p->responses, sizeof(struct policy_response), &policy->n_responses);
	policy->links = vec_take(p, &p->links, sizeof(struct policy_link), &policy->n_links);
	policy->rules = vec_take(p, &p->rules, sizeof(struct policy_rule), &policy->n_rules);
	policy->expects =
		vec_take(p, &p->expects, sizeof(struct policy_expect), &policy->n_expects);
	policy->arena = TAKE_PTR(p->arena);
}

static void parser_done(struct parser *p)
{
	struct vec *all[] = { &p->files,    &p->sources,   &p->apps,      &p->sets,
			      &p->segments, &p->lists,     &p->schedules, &p->prices,
			      &p->budgets,  &p->responses, &p->links,     &p->rules,
			      &p->expects,  &p->symbols,   &p->uses,      &p->symbol_slots,
			      &p->dests,    &p->parts,     &p->numbers,   &p->ports };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		vec_free(all[i]);
	buf_done(&p->text);
	arena_free(p->arena);
	policy_free(p->policy);
}

/* Rules of `egret block` were read last and come first. */
static void move_front(struct parser *p, size_t n_before)
{
	size_t n = p->rules.n - n_before, size = sizeof(struct policy_rule);
	struct policy_rule *front = n ? malloc(n * size) : NULL;

	if (!n)
		return;
	if (!front) {
		p->failed = true;
		return;
	}
	memcpy(front, p->rules.p + n_before * size, n * size);
	memmove(p->rules.p + n * size, p->rules.p, n_before * size);
	memcpy(p->rules.p, front, n * size);
	for (size_t i = 0; i < n; i++)
		((struct policy_rule *)p->rules.p)[i].front = true;
	free(front);
}

/* `key`: see note_file() */
static int parse_all(struct parser *p, struct str name, struct str key, struct str text,
		     struct str front)
{
	static const struct str front_name = { "egret block", sizeof("egret block") - 1 };
	size_t n;

	note_file(p, (struct policy_place){ 0 }, name.p, key);
	parse_text(p, name, text);
	n = p->rules.n;
	if (front.n && !p->failed) {
		p->in_front = true;
		parse_text(p, front_name, front);
		move_front(p, n);
	}
	if (!p->failed)
		resolve(p);
	if (p->hidden)
		buf_printf(p->messages, "%u more messages are not shown\n", p->hidden);
	if (p->failed)
		return -ENOMEM;
	if (p->errors)
		return -EINVAL;
	take_over(p);
	return p->failed ? -ENOMEM : 0;
}

static int parser_init(struct parser *p, struct buf *messages)
{
	*p = (struct parser){ .messages = messages, .text = BUF_INIT(POLICY_TEXT_MAX) };
	p->policy = calloc(1, sizeof(*p->policy));
	if (!p->policy || arena_new(&p->arena) < 0)
		return -ENOMEM;
	p->policy->fallback = EG_ALLOW;
	return 0;
}

static int parser_end(struct parser *p, struct policy **ret, int r)
{
	if (r == 0)
		*ret = TAKE_PTR(p->policy);
	else if (r == -ENOMEM)
		buf_puts(p->messages, "error: there is not enough memory for this policy\n");
	parser_done(p);
	return r;
}

int policy_read(struct policy **ret, const char *path, struct buf *messages)
{
	_cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
	struct parser p;
	char key[FILE_KEY_MAX] = "-";
	int r = parser_init(&p, messages);

	if (r == 0)
		r = read_policy_file(path, false, &text, key);
	if (r < 0) {
		buf_printf(messages, "%s: error: the policy cannot be read: %s\n", path,
			   r == -EFBIG ? "it is larger than 64 MiB" : strerror(-r));
	} else {
		struct str name =
			arena_str(&p, str_of(strcmp(path, "-") ? path : "(standard input)"));

		r = parse_all(&p, name, str_of(key), arena_take(&p, &text), STR(""));
	}
	return parser_end(&p, ret, r);
}

int policy_parse_files(struct policy **ret, const struct policy_file *files, size_t n,
		       struct str front, struct buf *messages)
{
	struct parser p;
	int r = parser_init(&p, messages);

	if (r == 0) {
		p.given = files;
		p.n_given = n;
		r = parse_all(&p, arena_str(&p, files[0].name), files[0].name,
			      arena_str(&p, files[0].text), arena_str(&p, front));
	}
	return parser_end(&p, ret, r);
}

int policy_parse(struct policy **ret, const char *file, struct str text, struct str front,
		 struct buf *messages)
{
	struct parser p;
	int r = parser_init(&p, messages);

	if (r == 0)
		r = parse_all(&p, arena_str(&p, str_of(file)), str_of(file), arena_str(&p, text),
			      arena_str(&p, front));
	return parser_end(&p, ret, r);
}

struct policy *policy_free(struct policy *p)
{
	if (p)
		arena_free(p->arena);
	free(p);
	return NULL;
}
