/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `egret top` knows and what the person in front of it has chosen, without a terminal and without a socket:
 *
 *     lines of egretd ─► top_model_line() ─┐                      ┌─► top_layout() ─► frame (cli/top_view.h)
 *                keys ─► top_model_key() ──┴─► struct top_model ──┴─► top_model_request() ─► egretd
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "flow/rollup.h"

#define TOP_FILTER_MAX 1024
#define TOP_LABEL_MAX 512
#define TOP_ROWS 1000 /* groups or flows asked for; more than anybody scrolls through */

enum top_view {
	TOP_GROUPS, /* one row a program, user, …: a running "top" */
	TOP_FLOWS,  /* the flows of one row, asked for anew each second */
	TOP_RECORD, /* all of one flow's record, likewise */
	TOP_HELP,
};

enum { /* keys beyond all characters */
       TOP_KEY_UP = 0x110000,
       TOP_KEY_DOWN,
       TOP_KEY_PAGE_UP,
       TOP_KEY_PAGE_DOWN,
       TOP_KEY_HOME,
       TOP_KEY_END,
       TOP_KEY_ENTER,
       TOP_KEY_ESCAPE,
       TOP_KEY_BACKSPACE,
};

enum top_act { /* what the caller must do after a key */
	       TOP_DRAW,
	       TOP_ASK, /* what is wanted of egretd has changed */
	       TOP_QUIT,
};

struct top_sums {
	struct str label; /* points into the answer */
	uint64_t flows, up, down;
	double up_rate, down_rate;
};

/* A place in a list. */
struct top_cursor {
	size_t at, first; /* the selected row, the first one on the screen */
	size_t page;      /* rows on the screen; set by the layout */
	bool chosen;      /* somebody moved: the row is followed when rows change places */
};

struct top_model {
	enum top_view view, before_help;
	uint64_t now_ns; /* set by the caller before each call */
	bool paused;

	enum rollup_key by;
	unsigned group_sort, flow_sort; /* places in the lists of orders */
	char filter[TOP_FILTER_MAX];
	bool editing;
	char edit[TOP_FILTER_MAX]; /* the filter as it is being typed */
	char edit_error[256];

	/* TOP_GROUPS */
	json_t *answer;
	struct top_sums *groups, totals;
	size_t n_groups, most_groups; /* told to us; in all */
	uint64_t flows_now;
	struct top_cursor group_cursor;

	/* TOP_FLOWS */
	enum rollup_key label_by;
	char label[TOP_LABEL_MAX]; /* the row entered */
	json_t *flows, *coming;    /* arrays of records: shown, and of the answer under way */
	uint64_t flows_matched;
	struct top_cursor flow_cursor;

	/* TOP_RECORD */
	uint64_t record_id;
	bool record_gone; /* no longer among the flows: what is shown is the last that was heard of it */
	struct buf record_text; /* its lines, each ended by a newline */
	struct top_cursor record_cursor;

	/* the connection */
	bool complete;     /* the answer to a "flows" is whole: ask again in a second */
	uint64_t heard_ns; /* when egretd last said something; 0: never */
	char trouble[256]; /* why it says nothing; empty: it does */
};

void top_model_init(struct top_model *m);
void top_model_done(struct top_model *m);

/* 0 or -EINVAL with the reason in `why`; what holds words joined by blanks. */
int top_model_set_filter(struct top_model *m, struct str text, char why[256]);
int top_model_set_by(struct top_model *m, const char *word);   /* -EINVAL */
int top_model_set_sort(struct top_model *m, const char *word); /* of groups; -EINVAL */

void top_model_request(struct top_model *m, struct buf *out); /* begins a new answer */
void top_model_line(struct top_model *m, struct str line);    /* of the answer to it */
/* `key` is a character (Unicode) or one of the above. */
enum top_act top_model_key(struct top_model *m, uint32_t key);

/* The record of the entered flow, made text; kept as it was when the flow is no longer among those shown. */
void top_model_show_record(struct top_model *m);
const char *top_model_order(const struct top_model *m); /* the order of the rows, as a word */
