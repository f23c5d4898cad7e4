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

/*
 * One GET into `fd`, where it is appended; TLS is verified, what began with it does not go on without. `known` (may be
 * empty) is what a conditional question says; `got` is what the answer said. 1: it came; 0: not changed; -errno with words.
 */
struct fetch_tags {
	char etag[256], modified[64];
};
struct fetch_get {
	const char *url, *ca; /* NULL: the authorities of the system */
	int fd;
	const struct fetch_tags *known;
	struct fetch_tags got;
};
int fetch_get(struct fetch_get *get, const struct fetch_limits *limits, char why[FETCH_WHY_MAX]);

/*
 * What meets bytes of strangers does so in a child without capabilities (fetch_confine()): `work` runs there and gives the
 * result, with words; what it is to hand back goes into `fd`, a memfd of the caller's, or is -1. `arg` is read by the
 * child alone, and may go after the call. `done` is called from the loop; *ret is gone then.
 */
struct loop;
struct fetch_child;
typedef int (*fetch_work_fn)(const void *arg, int fd, char why[FETCH_WHY_MAX]);
typedef void (*fetch_done_fn)(void *ctx, int result, const char *why);
int fetch_child_start(struct fetch_child **ret, struct loop *loop, fetch_work_fn work,
		      const void *arg, int fd, fetch_done_fn done, void *ctx);
struct fetch_child *fetch_child_cancel(struct fetch_child *f);

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
	struct fetch_tags tags;
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
