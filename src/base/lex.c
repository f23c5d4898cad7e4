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
	if (str_has_prefix(source,
			   STR("\xef\xbb\xbf"))) { /* what editors of other systems put there */
		l->rest = str_sub(source, 3, source.n);
		l->line_start = l->rest.p;
	}
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
		} else if (*p == '\\' && l->rest.n > 2 && p[1] == '\r' && p[2] == '\n') {
			advance(l, 3);
			next_line(l);
		} else {
			return;
		}
	}
}

/* By a table: policies may hold a million words. */
static bool ends_word(char c)
{
	static const bool ends[256] = {
		[' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true, ['#'] = true,
		['{'] = true, ['}'] = true,  [','] = true,  ['='] = true,  ['"'] = true,
	};

	return ends[(unsigned char)c];
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

struct str lex_line(struct str source, unsigned line)
{
	struct str rest = source, text = STR("");

	for (unsigned i = 0; i < line; i++) {
		const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

		text = str_sub(rest, 0, end ? (size_t)(end - rest.p) : rest.n);
		rest = str_sub(rest, text.n + 1, rest.n);
	}
	if (line == 1 && str_has_prefix(text, STR("\xef\xbb\xbf")))
		text = str_sub(text, 3, text.n);
	if (text.n && text.p[text.n - 1] == '\r')
		text.n--;
	return text;
}

/* Bytes of the character at s, 0 when it is not well-formed UTF-8 or nothing to show on a terminal. */
static size_t shown_char(struct str s)
{
	const unsigned char *c = (const unsigned char *)s.p;
	size_t n = c[0] < 0x80                   ? 1
		   : c[0] >= 0xc2 && c[0] < 0xe0 ? 2
		   : c[0] >= 0xe0 && c[0] < 0xf0 ? 3
		   : c[0] >= 0xf0 && c[0] < 0xf5 ? 4
						 : 0;

	if (n == 1)
		return c[0] == '\t' || (c[0] >= 0x20 && c[0] != 0x7f);
	if (!n || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	if (n == 2 && c[0] == 0xc2 && c[1] < 0xa0) /* C1 controls */
		return 0;
	/* what cannot be seen, and what turns the direction of the text behind it */
	if (n == 3 && c[0] == 0xe2 &&
	    ((c[1] == 0x80 && ((c[2] >= 0x8b && c[2] <= 0x8f) || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
	     (c[1] == 0x81 && c[2] >= 0xa0 && c[2] <= 0xaf)))
		return 0;
	return n;
}

/* `s` for a terminal. With `blank` only the room it takes. */
static void put_shown(struct buf *b, struct str s, bool blank)
{
	for (size_t i = 0, n; i < s.n; i += n ? n : 1) {
		n = shown_char(str_sub(s, i, s.n));
		if (blank)
			buf_putc(b, s.p[i] == '\t' ? '\t' : ' ');
		else if (n)
			buf_put(b, s.p + i, n);
		else
			buf_putc(b, '?');
	}
}

#define SHOWN_MAX 160 /* of a longer line: what stands around the caret */

/* Bytes of the word, or of the string with its quotes, that `s` begins with. */
static size_t word_at(struct str s)
{
	const char *end;
	size_t n = 0;

	if (s.n && s.p[0] == '"') {
		end = memchr(s.p + 1, '"', s.n - 1);
		return end ? (size_t)(end - s.p) + 1 : s.n;
	}
	while (n < s.n && !ends_word(s.p[n]))
		n++;
	return n;
}

void lex_show(struct buf *messages, const struct lex_spot *at, const char *kind,
	      const char *message)
{
	const char *advice = strchr(message, '\n');
	size_t column = MIN((size_t)(at->column ? at->column - 1 : 0), at->text.n);
	size_t from = at->text.n > SHOWN_MAX && column > SHOWN_MAX / 2 ? column - SHOWN_MAX / 2 : 0;
	struct str text = str_sub(at->text, from, SHOWN_MAX);
	struct str before = str_sub(text, 0, column - from),
		   word = str_sub(text, column - from, text.n);
	size_t n = at->n;

	if (!n)
		n = word_at(word);
	buf_printf(messages, "%s:%u:%u: %s: ", at->file, at->line, at->column, kind);
	put_shown(messages,
		  (struct str){ message, advice ? (size_t)(advice - message) : strlen(message) },
		  false);
	buf_printf(messages, "\n%5u | %s", at->line, from ? "…" : "");
	put_shown(messages, text, false);
	buf_printf(messages, "%s\n      | %s", from + text.n < at->text.n ? "…" : "",
		   from ? " " : "");
	put_shown(messages, before, true);
	buf_putc(messages, '^');
	word = str_sub(word, 0, n);
	for (size_t i = 1; i < word.n; i++)
		if ((word.p[i] & 0xc0) != 0x80)
			buf_putc(messages, '~');
	if (advice) {
		buf_putc(messages, ' ');
		put_shown(messages, str_of(advice + 1), false);
	}
	buf_putc(messages, '\n');
}

void lex_complain(struct lex *l, const struct lex_token *at, const char *kind, const char *fmt, ...)
{
	char message[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	lex_show(l->messages,
		 &(struct lex_spot){ l->file, lex_line(l->source, at->line), at->line, at->column,
				     MAX(at->text.n, (size_t)1) },
		 kind, message);
	if (!strcmp(kind, "error"))
		l->n_errors++;
}

/* Levenshtein's distance with two letters in the wrong order as one mistake; both at most 31 long. */
static unsigned distance(struct str a, struct str b)
{
	unsigned rows[3][32];

	for (unsigned j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3],
			 *before = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned change = above[j - 1] + (a.p[i - 1] != b.p[j - 1]);
			unsigned least = MIN(above[j], row[j - 1]) + 1;

			row[j] = MIN(change, least);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

size_t lex_nearest_of(struct str s, const struct str *words, size_t n)
{
	size_t best = n;
	unsigned least = 4;

	if (s.n > 31)
		return n;
	for (size_t i = 0; i < n; i++) {
		unsigned d = words[i].n > 31 ? least : distance(s, words[i]);

		if (d < least && d * 2 <= MAX(s.n, words[i].n)) {
			least = d;
			best = i;
		}
	}
	return best;
}

const char *lex_nearest(struct str s, const char *const *words)
{
	struct str all[64];
	size_t n = 0, at;

	for (; n < ARRAY_SIZE(all) && words[n]; n++)
		all[n] = str_of(words[n]);
	at = lex_nearest_of(s, all, n);
	return at < n ? words[at] : NULL;
}

void lex_unknown_statement(struct lex *l, const struct lex_token *at, const char *const *words)
{
	const char *near = lex_nearest(at->text, words);

	if (near)
		lex_complain(l, at, "error", "unknown statement; did you mean '%s'?", near);
	else
		lex_complain(l, at, "error", "unknown statement");
}
