/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside list fetching only. A download is kept in one file of the cache, so that it is replaced by one rename():
 *
 *     egret-list 1 / url … / etag … / last-modified … / entries N / bytes N / hash 16 hex digits / empty line / the text
 *
 * The file's time of change is when the server last sent or confirmed it. Beside it there may be FILE.tried (empty: when a
 * fetch last failed), FILE.new (being written, locked) and FILE.damaged (set aside).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <limits.h>

#include "base/str.h"
#include "policy/policy.h"

#define LIST_BYTES_MAX (512ULL << 20)
#define FETCH_WHY_MAX 256

struct fetch_limits {
	long connect_s, stall_s, total_s; /* stall: that long below 100 bytes a second */
	uint64_t bytes;
};
extern const struct fetch_limits fetch_limits;
int list_fetch_within(const struct policy_list *l, const char *cache,
		      const struct fetch_limits *limits, char why[FETCH_WHY_MAX]);

/* A whole file in memory, unpacked when it is gzip. */
struct list_text {
	char *p;
	size_t n;
};
/* Takes the descriptor. -EFBIG: more than `max` bytes unpacked; -EBADMSG: gzip that is cut short or damaged. */
int list_text_read(struct list_text *ret, int fd, uint64_t max);
void list_text_done(struct list_text *t);

struct list_cached {
	struct list_text file;
	struct str text; /* of the list, in `file` */
	char etag[256], modified[64];
	uint64_t entries;
	int64_t as_of_s;
};
void cache_path(const struct policy_list *l, const char *cache, const char *suffix,
		char path[PATH_MAX]);
/* -ENOENT: none; -EBADMSG: it was damaged and is now set aside. */
int cache_read(struct list_cached *ret, const struct policy_list *l, const char *cache);
void cache_done(struct list_cached *c);
/* Writes and renames; `fd` is FILE.new, locked. */
int cache_write(int fd, const struct policy_list *l, const char *cache,
		const struct list_cached *like);
bool cache_is_expired(const struct policy_list *l, int64_t as_of_s, int64_t now_s);

/* From here on: no capabilities, no new privileges, no programs to start, no other processes or namespaces to touch. */
int fetch_confine(void);
