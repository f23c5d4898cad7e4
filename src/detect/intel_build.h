/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From feeds to a snapshot (detect/intel_index.h). Building takes about 25 bytes an indicator besides the text of one feed, and
 * blocks: the daemon does it in a child (intel_build_start), which hands a file on by rename() and ends.
 *
 * What one place is said to be by several feeds is merged: the entry that weighs most at the time of building is kept.
 *
 * What is left out although a feed lists it, counted as `unusable`: hashes of files; addresses of no internet (loopback,
 * multicast, link-local, unspecified) and ranges within private blocks; URLs longer than 4 KiB; paths alone of less than 6
 * bytes; more than 256 ports of one address; what is beyond 16 million indicators. And made narrower: a name that is a public
 * suffix ("co.uk", "github.io") stands for itself alone on a list that accuses, whatever the list says of what is below it.
 * Notes beyond 24 MiB in all are left out. Beyond a million different records entries lose note and date (they are as old as
 * their feed), beyond two million they are unusable. Each is counted.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "detect/intel_index.h"

struct list_entry;
struct intel_feed;
struct intel_builder;

struct intel_built {
	uint64_t entries; /* taken from all feeds */
	uint64_t merged;  /* of them: said by others too */
	uint64_t unusable, narrowed;
	uint64_t notes_lost, dates_lost;
	uint64_t bad; /* lines not understood */
	uint32_t feeds, feeds_failed;
	uint64_t file_bytes;
};

/* `seed` 0: a random one, as it has to be where others write the feeds. */
int intel_builder_new(struct intel_builder **ret, int64_t now_s, uint64_t seed);
struct intel_builder *intel_builder_free(struct intel_builder *b);

/* Whose entries come from now on. -E2BIG: more than 1024 feeds. `as_of_s`: what undated entries are as old as. */
int intel_builder_feed(struct intel_builder *b, const struct intel_feed *feed, int64_t as_of_s);
struct list_report;
/* A feed with all entries of its text. Gives what list_parse() gives; -E2BIG. */
int intel_builder_list(struct intel_builder *b, const struct intel_feed *feed, struct str text,
		       int64_t as_of_s, struct list_report *report);
/* -ENOMEM; what cannot be used is counted, no error. */
int intel_builder_add(struct intel_builder *b, const struct list_entry *e);
/* Writes to `path`.new, syncs, checks it as intel_index_open() does, renames. The builder is used up. */
int intel_builder_write(struct intel_builder *b, const char *path, struct intel_built *ret);

/*
 * All feeds of a folder (detect/intel_feeds.h) into FOLDER/snapshot. A feed that cannot be read is counted and told of by
 * intel_index_feed(); the others are built. -errno and `why`: nothing was changed.
 */
int intel_build(const char *folder, int64_t now_s, struct intel_built *ret, char why[256]);

/* The same in a child without capabilities; `done` is called from the loop when it ended, and *ret is gone then. */
struct loop;
struct intel_child;
typedef void (*intel_done_fn)(void *ctx, int result, const struct intel_built *built,
			      const char *why);
int intel_build_start(struct intel_child **ret, struct loop *loop, const char *folder,
		      int64_t now_s, intel_done_fn done, void *ctx);
struct intel_child *intel_build_cancel(struct intel_child *c);

/* FOLDER/snapshot. */
void intel_snapshot_path(const char *folder, char path[PATH_MAX]);
