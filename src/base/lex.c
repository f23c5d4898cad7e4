/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lex.h"

#include <stdio.h>

#include "base/cleanup.h"

void lex_init(struct lex *l, const char *file, struct str source, struct buf *messages)
{
	*l = (struct lex){
		.file = file,
		.source = source,
		.rest = source,
		.line = 1,
		.line_start = source.p,
		.messages = messages,
	};
}

static void advance(struct lex *l, size_t n)
{
	l->rest = str_sub(l->rest, n, l->rest.n);
}

static void next_line(struct lex *l)
{
	l->line++;
	l->line_start = l->rest.p;
}

/* Blanks, comments and continued line ends. */
static void skip_blank(struct lex *l)
{
	while (l->rest.n) {
		const char *p = l->rest.p;

		if (*p == ' ' || *p == '\t' || *p == '\r') {
			advance(l, 1);
		} else if (*p == '#') {
			const char *end = memchr(p, '\n', l->rest.n);

			advance(l, end ? (size_t)(end - p) : l->rest.n);
		} else if (*p == '\\' && l->rest.n > 1 && p[1] == '\n') {
			advance(l, 2);
			next_line(l);
		} else {
			return;
		}
	}
}

static bool ends_word(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#' || c == '{' ||
	       c == '}' || c == ',' || c == '=' || c == '"';
}

static struct lex_token take(struct lex *l, enum lex_kind kind, size_t skip, size_t n, size_t all)
{
	struct lex_token t = {
		.kind = kind,
		.text = str_sub(l->rest, skip, n),
		.line = l->line,
		.column = (unsigned)(l->rest.p - l->line_start) + 1,
	};

	advance(l, all);
	return t;
}

struct lex_token lex_next(struct lex *l)
{
	static const char marks[] = "{},=";
	static const enum lex_kind mark_kinds[] = { LEX_OPEN, LEX_CLOSE, LEX_COMMA, LEX_EQUALS };
	struct lex_token t;
	const char *mark;
	size_t n = 0;

	skip_blank(l);
	if (!l->rest.n)
		return take(l, LEX_END, 0, 0, 0);
	if (l->rest.p[0] == '\n') {
		t = take(l, LEX_NEWLINE, 0, 0, 1);
		next_line(l);
		return t;
	}
	if (l->rest.p[0] == '"') {
		for (n = 1; n < l->rest.n && l->rest.p[n] != '"' && l->rest.p[n] != '\n'; n++)
			;
		if (n == l->rest.n || l->rest.p[n] == '\n')
			return take(l, LEX_BAD, 0, n, n);
		return take(l, LEX_STRING, 1, n - 1, n + 1);
	}
	mark = l->rest.p[0] ? strchr(marks, l->rest.p[0]) : NULL;
	if (mark)
		return take(l, mark_kinds[mark - marks], 0, 1, 1);
	while (n < l->rest.n && !ends_word(l->rest.p[n]))
		n++;
	return take(l, LEX_WORD, 0, n, n);
}

struct lex_token lex_peek(const struct lex *l)
{
	struct lex ahead = *l;

	return lex_next(&ahead);
}

void lex_skip_line(struct lex *l)
{
	for (;;) {
		struct lex_token t = lex_peek(l);

		if (t.kind == LEX_NEWLINE || t.kind == LEX_END)
			return;
		lex_next(l);
	}
}

/* Line number `line` of the source, without its end. */
static struct str line_text(const struct lex *l, unsigned line)
{
	struct str rest = l->source, text = STR("");

	for (unsigned i = 0; i < line; i++) {
		const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

		text = str_sub(rest, 0, end ? (size_t)(end - rest.p) : rest.n);
		rest = str_sub(rest, text.n + 1, rest.n);
	}
	return text;
}

void lex_complain(struct lex *l, const struct lex_token *at, const char *kind, const char *fmt, ...)
{
	struct str text = line_text(l, at->line);
	char message[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	buf_printf(l->messages, "%s:%u:%u: %s: %s\n", l->file, at->line, at->column, kind, message);
	buf_printf(l->messages, "%5u | %.*s\n      | ", at->line, STR_FMT(text));
	for (size_t i = 0; i + 1 < at->column && i < text.n; i++)
		buf_putc(l->messages, text.p[i] == '\t' ? '\t' : ' ');
	buf_putc(l->messages, '^');
	for (size_t i = 1; i < at->text.n; i++)
		buf_putc(l->messages, '~');
	buf_putc(l->messages, '\n');
	if (!strcmp(kind, "error"))
		l->n_errors++;
}

/* Levenshtein's distance, both at most 31 long. */
static unsigned distance(struct str a, struct str b)
{
	unsigned row[32];

	for (unsigned j = 0; j <= b.n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned change = diagonal + (a.p[i - 1] != b.p[j - 1]);
			unsigned least = MIN(row[j], row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = MIN(change, least);
		}
	}
	return row[b.n];
}

const char *lex_nearest(struct str s, const char *const *words)
{
	const char *best = NULL;
	unsigned least = 4;

	if (s.n > 31)
		return NULL;
	for (; *words; words++) {
		struct str w = str_of(*words);
		unsigned d = w.n > 31 ? least : distance(s, w);

		if (d < least && d * 2 <= MAX(s.n, w.n)) {
			least = d;
			best = *words;
		}
	}
	return best;
}
