/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which feeds there are: FOLDER/feeds, one statement a line, words as in egret.conf (base/lex.h):
 *
 *     feed feodo url "https://feodotracker.example/ipblocklist.csv" class c2 format csv refresh 1h expire 14d added 2026-11-28
 *     feed mine file "/etc/egret/mine.txt" class suspicious confidence 60 names exact
 *
 * Downloads are kept in FOLDER/cache by the list loader of the policy (policy/list.h), the snapshot in FOLDER/snapshot.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "detect/intel_index.h"
#include "policy/policy.h"

#define INTEL_FEED_NAME_MAX 63

/* What a name on a list takes in where the format does not say it. */
enum intel_names {
	INTEL_NAMES_AUTO, /* plain lists and MISP: the name and all below it; others: as they say */
	INTEL_NAMES_EXACT, /* as the list loader says: in plain lists the name alone */
	INTEL_NAMES_BELOW  /* always the name and all below it */
};

struct intel_feed {
	char name[INTEL_FEED_NAME_MAX + 1]; /* letters, digits, '-', '_', '.' */
	char where[1024];                   /* an absolute path, or an URL (http, https) */
	bool is_url;
	enum list_format format;
	enum intel_class class;
	enum intel_names names;
	uint8_t confidence;             /* 1..100; times that of the entry, where it says one */
	uint64_t expire_ns, refresh_ns; /* 0: not said */
	int64_t added_s;                /* Unix seconds, to the day; 0: not said */
};
#define INTEL_FEED_INIT ((struct intel_feed){ .confidence = 100 })

struct intel_feeds {
	struct intel_feed *v;
	size_t n;
};

/*
 * The feeds of a folder; none when there is no such file. -EINVAL: mistakes, each in `messages` with its place; the other
 * statements are in `ret`. -E2BIG: more than 1 MiB.
 */
int intel_feeds_read(struct intel_feeds *ret, const char *folder, struct buf *messages);
void intel_feeds_done(struct intel_feeds *f);
const struct intel_feed *intel_feeds_find(const struct intel_feeds *f, const char *name);

/*
 * Both read the file, change it and put it in place at once, keeping what else stands in it, comments too; 0644. -EEXIST,
 * -ENOENT by name; -EINVAL: a mistake, in the file as it is or in `feed`, said in `messages`. One writer at a time (flock).
 */
int intel_feeds_add(const char *folder, const struct intel_feed *feed, struct buf *messages);
int intel_feeds_remove(const char *folder, const char *name, struct buf *messages);

/* A feed as the list loader takes it, for list_load(), list_fetch_start() and list_next_refresh(); borrows its texts. */
void intel_feed_list(const struct intel_feed *feed, struct policy_list *ret);
void intel_cache_path(const char *folder, char path[PATH_MAX]); /* FOLDER/cache */

/*
 * A feed beside what became of it in a snapshot (NULL: there is none yet). False: it is not in there (just added).
 * `ret_age_s`: since it was fetched or written, -1: not known. `ret->expired` is as of `now_s`.
 */
bool intel_feed_look(const struct intel_feed *feed, const struct intel_index *ix, int64_t now_s,
		     struct intel_feed_state *ret, int64_t *ret_age_s);
