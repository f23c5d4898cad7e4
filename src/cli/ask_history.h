/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about what is kept, {"ask":"history"}: the options their commands share, and the asking. */
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
/* The same of a history that is read in this process. */
struct history_source;
int ask_history_gather_of(const struct history_source *source, struct str request,
			  json_t **ret_rows, json_t **ret_end);
/* Sums as the options say, as JSON or by `show`, which gives the exit status. */
int ask_history_usage(const struct ask_history *a,
		      int (*show)(const struct ask_history *a, const json_t *rows,
				  const json_t *end));
/* What was printed is out. Exit status. */
int ask_history_flush(void);
