/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about what is kept, {"ask":"history"}: the options their commands share, the asking, and the words below an answer. */
#pragma once

#include <getopt.h>
#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/when.h"

struct json;

enum history_form { HISTORY_TABLE, HISTORY_JSON, HISTORY_CSV };

struct ask_history {
	struct when_words when; /* borrowed, as the rest */
	struct when_span span;  /* from ask_history_ready() on */
	enum history_form form;
	uint64_t limit; /* 0: not given */
	const char *by, *sort;
	struct buf filter;
};

#define ASK_HISTORY_INIT ((struct ask_history){ .filter = BUF_INIT(8192) })

/* --last, --from, --to, --period, --limit, --json, --csv: for getopt_long(), and what it found. */
#define ASK_HISTORY_OPTIONS                                                                    \
	{ "last", required_argument, NULL, 'L' }, { "from", required_argument, NULL, 'F' },    \
		{ "to", required_argument, NULL, 'T' },                                        \
		{ "period", required_argument, NULL, 'P' },                                    \
		{ "limit", required_argument, NULL, 'l' }, { "json", no_argument, NULL, 'j' }, \
	{                                                                                      \
		"csv", no_argument, NULL, 'c'                                                  \
	}

/* 1: it was one of these; 0: it is none; -EINVAL: it was, and is wrong, told. */
int ask_history_option(struct ask_history *a, int option, const char *arg);
bool ask_history_has_time(const struct ask_history *a); /* --last, --from, --to or --period */
/* Time and filter are looked at, before anybody is asked. 0; -EINVAL, told. */
int ask_history_ready(struct ask_history *a, int n_words, char **words);

/* {"ask":"history","do":VERB and what the options say: all but `by` and `sort` where those are NULL. The caller ends the object. */
void ask_history_begin(struct json *j, const struct ask_history *a, const char *verb);

/*
 * Asks egretd; where none runs and we may read its files, those. `line` gets each line of the answer, as text and as read, until it
 * returns other than 1: 0, that was the last; -errno. 0; -errno, told.
 */
int ask_history_send(struct str request,
		     int (*line)(void *ctx, struct str text, const json_t *read), void *ctx);
/* Lines are printed as they come. Exit status. */
int ask_history_print(struct str request);
/* All rows as an array, and the last line; the caller's to decref, also after an error. 0; -errno, told. */
int ask_history_gather(struct str request, json_t **ret_rows, json_t **ret_end);
/* What was printed is out. Exit status. */
int ask_history_flush(void);

/* --- words of answers -------------------------------------------------------------------------------------------- */

/* "2026-11-03 14:00 to 2026-11-10 14:00, from sums by day", and each note in a line of its own. */
void history_put_end(struct buf *out, const json_t *end);
/* "12 flows, 1.2 MB up, 34 MB down, 3 refused, 0.12 USD" of a row or of totals. */
void history_put_totals(struct buf *out, const json_t *totals);
/* "0.12 USD", "0.12 USD + 3.00 EUR"; false: there is no cost. */
bool history_put_cost(struct buf *out, const json_t *cost);
/* A fact of a row as text, made fit for a terminal; "-" when it is not known. */
void history_put_fact(struct buf *out, const json_t *fact);
uint64_t history_number(const json_t *row, const char *key);
