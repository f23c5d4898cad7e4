/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of addresses and names that others publish, for `list` of the policy and for threat intelligence. One row a
 * format in list.c; the recipe is docs/recipes/add-a-list-format.md. Names on lists are never resolved.
 *
 * What a name on a list takes in: in plain and hosts files that name alone (`*.x`: what is below it; `**.x`, `.x`: both);
 * in Adblock, CSV and MISP `domain` the name and all below it; in RPZ and STIX that name alone, or `*.x`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/str.h"
#include "policy/policy.h"

enum list_kind {
	LIST_RANGE,
	LIST_NAME,
	LIST_BELOW,
	LIST_TREE,
	LIST_URL,
	LIST_PATH, /* of a URL, on any host: "/gate.php" */
	LIST_JA3,
	LIST_JA4,
	LIST_CERT,
	LIST_HASH
};

struct list_entry {
	enum list_kind kind;
	struct addr lo, hi; /* RANGE */
	uint16_t port;      /* RANGE of one address, NAME; 0: any */
	struct str text;    /* names as in struct policy_dest; others as written */
	struct str note;    /* what the list says of it (malware family …); may be empty */
	uint8_t confidence; /* 1..100, as the list says; 0: it says nothing of it */
	int64_t seen_s;     /* when last seen, or else first, Unix seconds; 0: it does not say */
};

struct list_sink {
	int (*on_entry)(void *ctx,
			const struct list_entry *e); /* borrowed; < 0 ends the parse with it */
	void *ctx;
	int64_t now_s; /* entries that say until when they hold are left out then; 0: none is */
};

struct list_report {
	enum list_format format; /* as found */
	uint64_t entries;        /* given to the sink */
	uint64_t skipped;        /* of no use here; comments are not counted */
	uint64_t bad;            /* lines that could not be understood */
	uint32_t first_bad_line;
	char first_bad[160]; /* what was wrong with it */
	int64_t as_of_s;     /* when the text was last fetched or confirmed, or the file written */
	bool expired;
};

/*
 * The text of a list to entries. -EINVAL: this is no list of that format, more of it is bad than good (report.first_bad
 * says what); the sink may then have seen entries. Memory: none that grows with the list; of JSON one element at a time.
 */
int list_parse(enum list_format format, struct str text, struct list_sink sink,
	       struct list_report *report);

bool list_format_parse(struct str word, enum list_format *ret); /* "auto", "csv" … */

/*
 * A list of a policy: its file (also gzip), or the last good download in `cache` (folder; NULL: none). -ENOENT: there is
 * none yet. -EBADMSG: the download was damaged on disk, is set aside as *.damaged (report.first_bad says so) and will be
 * fetched anew. An expired one gives no entries, report.expired. The text is held in memory while it is read.
 */
int list_load(const struct policy_list *l, const char *cache, int64_t now_s, struct list_sink sink,
	      struct list_report *report);

/*
 * Fetches a list by HTTP(S) into the cache: conditional (ETag, Last-Modified), at most 512 MiB, unpacked from gzip when
 * sent so, parsed before it takes the place of the old one. Keeps the old one, and says why in `why`, when the download
 * fails, does not parse, is empty, or has less than half of the old one's entries. 1: new; 0: not changed; -errno: kept.
 * Blocks: run it in a process of its own (list_fetch_start).
 */
int list_fetch(const struct policy_list *l, const char *cache, char why[256]);

/* The same in a child without capabilities (policy/fetch.h): fetch_child_cancel() ends it. */
struct loop;
struct fetch_child;
int list_fetch_start(struct fetch_child **ret, struct loop *loop, const struct policy_list *l,
		     const char *cache, void (*done)(void *ctx, int result, const char *why),
		     void *ctx);
int64_t list_next_refresh(const struct policy_list *l,
			  const char *cache); /* Unix seconds; INT64_MAX: never */
