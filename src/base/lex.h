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

/* The word of `words` (NULL-ended) nearest to `s` by edit distance, when near enough to be meant; else NULL. */
const char *lex_nearest(struct str s, const char *const *words);
