/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of egret.conf (and of the policy): one statement a line, '#' starts a comment, a line that ends in '\' goes
 * on. Quoted strings may hold blanks; '{', '}', ',' and '=' stand alone; everything else up to a blank is a word.
 * Mistakes carry file, line and column and are shown with the line and a caret.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

enum lex_kind {
	LEX_END,
	LEX_NEWLINE,
	LEX_WORD,
	LEX_STRING,
	LEX_OPEN,
	LEX_CLOSE,
	LEX_COMMA,
	LEX_EQUALS,
	LEX_BAD
};

struct lex_token {
	enum lex_kind kind;
	struct str text; /* into the source, quotes taken off */
	unsigned line, column;
};

struct lex {
	const char *file; /* for messages */
	struct str source, rest;
	unsigned line;
	const char *line_start;
	struct buf *messages; /* all mistakes are collected here */
	unsigned n_errors;
};

void lex_init(struct lex *l, const char *file, struct str source, struct buf *messages);
struct lex_token lex_next(struct lex *l);
struct lex_token lex_peek(const struct lex *l);
void lex_skip_line(struct lex *l); /* to the end of this statement, after a mistake */

/* "file:3:7: error: …" with the line and a caret below the token. `kind` is "error" or "warning"; errors count. */
void lex_complain(struct lex *l, const struct lex_token *at, const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A place in a text, for lex_show(). */
struct lex_spot {
	const char *file;
	struct str text; /* its whole line */
	unsigned line, column;
	size_t n; /* bytes that are meant; 0: the word that stands there */
};

/*
 * The same form for whoever keeps places himself. A long line is cut on both sides; control characters are not shown.
 * What follows a newline in `message` is advice: it stands beside the caret.
 */
void lex_show(struct buf *messages, const struct lex_spot *at, const char *kind,
	      const char *message);
struct str lex_line(struct str source, unsigned line); /* without its end */

/* Index of the nearest of n words, when near enough to be meant; else n. */
size_t lex_nearest_of(struct str s, const struct str *words, size_t n);
/* The word of `words` (NULL-ended) nearest to `s` by edit distance, when near enough to be meant; else NULL. */
const char *lex_nearest(struct str s, const char *const *words);
/* Complains of a statement that is none of `words` (NULL-ended), with the one that may be meant. */
void lex_unknown_statement(struct lex *l, const struct lex_token *at, const char *const *words);
