/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History: flows, names, verdicts and findings, kept by one writer behind a bounded queue. What a kind of store does is one const
 * struct; store_kinds lists them. Whoever gives rows to the store knows no SQL and waits for no disk.
 *
 * Files below `dir` (sqlite): flows-YYYY-MM-DD.db, pieces of flows by the UTC day in which they ended; sums-YYYY-MM.db, sums by minute,
 * hour and day over the dimensions of store/sums.h; findings.db. A file that is damaged is set aside (NAME.damaged-SECONDS) and told.
 * What of it survives a kill, a full disk, damage: docs/history.md.
 */
#pragma once

#include <stdint.h>

#include "base/time.h"
#include "store/row.h"

struct store;
struct store_kind;

#define STORE_MINUTES_NS (7 * 86400 * NSEC_PER_SEC) /* sums by minute are kept so long at most */
#define STORE_HOURS_NS (90 * 86400 * NSEC_PER_SEC)  /* and those by hour */

struct store_config {
	const char *dir;     /* made when absent, mode 0750 */
	uint64_t flows_ns;   /* retention: pieces of flows; 0: for ever */
	uint64_t rollups_ns; /* sums by day, findings; 0: for ever */
	uint64_t
		max_bytes; /* all files together: the oldest detail goes first, sums by day stay; 0: no limit */
	size_t queue_bytes;    /* 0: 64 MiB */
	const char *host;      /* clickhouse: whose rows they are; borrowed */
	uint64_t (*now)(void); /* Unix time; NULL: time_now */
};

extern const struct store_kind
	*const store_kinds[]; /* that can be asked; ends in NULL; the first is the default */
extern const struct store_kind store_clickhouse;           /* a spool, which store/ship.h empties */
const struct store_kind *store_kind_find(struct str name); /* NULL: there is none */
const char *store_kind_name(const struct store_kind *k);

/* Takes rows from now on; store_start() makes the thread that writes them. A thread has its capabilities from whoever starts it. */
int store_open(struct store **ret, const struct store_kind *kind, const struct store_config *cfg);
int store_start(struct store *s);
struct store *
store_close(struct store
		    *s); /* writes what is queued first, at most 5 s; the rest is counted nowhere */

/* Copies; never blocks. Full: the row is lost, and counted. */
void store_put(struct store *s, const struct store_row *row);
void store_put_name(struct store *s, const struct store_name *name); /* where the kind keeps them */
void store_put_finding(struct store *s, const struct store_finding *f);
void store_put_host(struct store *s, const struct store_host *h); /* where the kind keeps them */
void store_put_policy(struct store *s,
		      const struct store_policy *p); /* where the kind keeps them */
void store_sync(struct store *s); /* what was put so far is on its way to disk; once a second */
int store_flush(struct store *s,
		uint64_t wait_ns); /* waits until it is there: for tests and benches; -ETIMEDOUT */

#define STORE_WRITE_STEPS 7
struct store_stats {
	uint64_t rows, findings, batches, queued_bytes, lost_queue, lost_write;
	uint64_t disk_bytes, oldest_ns, damaged, errors;
	uint64_t waiting, dropped;                            /* rows: clickhouse */
	uint64_t write_ns_last, write_ns_max, write_ns_total; /* of a batch, of all */
	uint64_t write_steps
		[STORE_WRITE_STEPS]; /* batches that took up to 1, 5, 25, 100, 500, 2500 ms, and longer */
	char problem[256];           /* what hinders it now, in words; empty: nothing */
};
void store_stats(struct store *s, struct store_stats *ret);
