/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to src/store: what a kind of store is. All functions are called by the writer's thread alone. An error that may pass
 * (-ENOSPC, -EBUSY, -EROFS, -EACCES, -EIO, -ENOMEM) is tried again with all that came since the last commit; any other
 * loses the one row.
 */
#pragma once

#include "store/store.h"

struct store_health {
	uint64_t disk_bytes, oldest_ns, damaged, errors;
	uint64_t waiting,
		dropped; /* rows that still have to leave; that were given up after they had been written */
	char problem[256];
};

struct store_kind {
	const char *name;
	const char *what; /* what messages begin with */
	int (*open)(
		void **ret,
		const struct store_config *cfg); /* -ENOMEM only: the rest may come good later */
	/* -EAGAIN: commit first, then give it again. */
	int (*row)(void *w, const struct store_row *row);
	int (*name_answer)(void *w, const struct store_name *name); /* NULL: not kept */
	int (*finding)(void *w, const struct store_finding *f);
	int (*host)(void *w, const struct store_host *h);     /* NULL: not kept */
	int (*policy)(void *w, const struct store_policy *p); /* NULL: not kept */
	int (*commit)(void *w); /* on failure nothing since the last one is there */
	void (*abort)(void *w); /* forgets what came since the last commit */
	void (*keep_house)(void *w, uint64_t now_ns); /* once a second, between commits */
	void (*health)(void *w, struct store_health *ret);
	void (*close)(void *w);
};

extern const struct store_kind store_sqlite;
