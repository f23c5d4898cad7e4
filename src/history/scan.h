/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span of history as a stream of portions, from whatever answers it exactly and cheapest: sums, the largest step first, where they hold
 * all that is asked for; else pieces of flows, as far back as those are kept. What living flows moved and is not kept yet
 * comes with both.
 */
#pragma once

#include "base/buf.h"
#include "history/flow_of_row.h"
#include "history/groups.h"
#include "history/question.h"
#include "store/read.h"

struct fleet;
struct locator;
struct policy;
struct policy_file;
struct ship_settings;

struct history_source {
	const char *dir; /* of the files */
	const struct ship_settings
		*fleet;              /* the ClickHouse that is asked instead; NULL: the files are */
	struct str overlay;          /* encoded rows (store/row_code.h) of what is not kept yet */
	const struct policy *policy; /* in force, for its prices; NULL: none */
	const char *host;            /* sensor name in records; NULL: left out */
	uint64_t now_ns;
	/* "replay": the policy that is tried, and where lists and databases of both are */
	const struct policy_file *candidate;
	size_t n_candidate;
	const char *lists, *geo_country, *geo_asn; /* NULL: none */
};

struct portion {
	const struct store_row *row; /* NULL: of a sum */
	const struct store_key *key; /* always */
	struct moved sum;
	uint64_t time_ns; /* where in time it belongs: end of a piece, begin of a bucket */
	struct flow_maker *maker;
	struct locator *places;
};
typedef int (*portion_fn)(
	void *ctx, const struct portion *p); /* negative: ends the scan, which gives it back */

/* Groups by some of what is asked by. All others may come as one, or, of those that are asked for alone, not at all. */
struct scan_apart {
	const unsigned *by;
	size_t n_by;
	const struct group *const *groups;
	size_t n;
	bool alone; /* by names or domains; of a fleet's sums */
};

struct scan {
	const struct history_source *source;
	const struct history_question *question;
	struct store_reader *reader; /* NULL: nothing is kept yet, or a fleet is asked */
	struct fleet *fleet;         /* NULL: the files are asked */
	struct flow_maker *maker;
	struct locator *places; /* NULL: not asked by from or to */
	bool by_address; /* pieces as far back as they are kept, for what sums say no address of */
	bool series;     /* portions of sums by bucket, none longer than `step` */
	enum store_step step;
	uint64_t step_s;                /* the same of a timeline, in seconds */
	const struct scan_apart *apart; /* NULL: all are told apart */
	/* of a fleet's sums: only so many groups, the largest by what is sorted by; without `apart`: their flows and bytes alone. 0: all */
	uint64_t top;
	bool in_overlay;        /* the row at hand is in no file yet: such rows are in no order */
	struct store_span span; /* what is answered for: the question's, widened to whole buckets */
	const char *from_what;  /* "minutes", "hours", "days", "flows": the finest that was read */
	struct buf notes;       /* lines */
	size_t n_opened;        /* bytes of them that scan_open() made */
};

int scan_open(struct scan *s, const struct history_source *source, const struct history_question *q,
	      char error[QUESTION_ERROR_MAX]);
void scan_close(struct scan *s);
/* Before another run of it: what the last one noted and widened is forgotten. */
void scan_again(struct scan *s);
void scan_note(struct scan *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Only what the question's filter lets through. */
int scan_run(struct scan *s, portion_fn fn, void *ctx);
/* The same for sums over all, without a filter: what a month has cost so far. */
int scan_all(struct scan *s, struct store_span span, portion_fn fn, void *ctx);
/* Pieces as rows, filtered as they are or unfiltered; newest first. */
int scan_rows(struct scan *s, struct store_span span, const struct store_hint *hint,
	      bool newest_first, store_row_fn fn, void *ctx);
/* Those of them that are in no file yet, unfiltered. */
int scan_overlay(struct scan *s, struct store_span span, store_row_fn fn, void *ctx);
/* What the filter says of where to look. */
void scan_hint(const struct history_question *q, struct store_hint *ret, char text[256],
	       struct addr *addr);
bool scan_filter_is_of_whole_flows(const struct filter *f);
bool scan_needs_pieces(const struct history_question *q);
