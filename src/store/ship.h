/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends the batches of a spool to ClickHouse over HTTP, in their order, each until it is taken: `egretd --ship`, a process of its own
 * without capabilities. What may have been taken is sent again with the same bytes, which ClickHouse does not count twice within its
 * window of deduplication. What keeps it from sending is told, not logged: the daemon says it, once.
 *
 * Of several addresses the next one is tried when one fails. Servers of one cluster know a repeated batch wherever it comes in; a
 * collector knows only what it took itself, so a batch that may have arrived at one is tried with that one alone until it answers,
 * by the next process, too (the file SHIP_COLLECTOR of the spool).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define SHIP_WHY_MAX 256
#define SHIP_VERSION_MAX 32

#define SHIP_URLS_MAX 8
struct ship_settings {
	char url[256]; /* "http://HOST:PORT", "https://…"; no user in it */
	char more_urls[SHIP_URLS_MAX - 1][256]; /* tried in turn when one fails */
	char database[64];                      /* letters, digits, '_' */
	char user[64];                          /* empty: ClickHouse's own default */
	char password_file[256]; /* empty: none; without '/': a systemd credential of that name */
	char ca[256];            /* PEM; empty: the system's */
	char certificate[256];   /* PEM, to be known by; empty: none */
	char key[256];           /* of it; without '/': a systemd credential of that name */
	uint64_t spool_bytes;
};

#define SHIP_PATH_MAX 512
/* Where a secret lies: the path, or that of the systemd credential of that name. Returns `path`. */
const char *ship_secret_path(const char *name, char path[SHIP_PATH_MAX]);
const char *ship_url(const struct ship_settings *s, size_t i); /* NULL: there are not so many */
/* All but spool_bytes as one text, and back, for the command line of another process. -EINVAL: it is no such text. */
void ship_settings_put(struct buf *out, const struct ship_settings *s);
int ship_settings_take(struct ship_settings *ret, struct str text);

/* What is wrong with a URL or name of the settings, in words; NULL: nothing. */
const char *ship_check_url(struct str url);
const char *ship_check_word(struct str word);

/* How it goes; sums since the process began. Written whole to SHIP_FD, whenever something changed. */
struct ship_report {
	uint64_t batches, rows, bytes,
		refused;                /* taken; `bytes` as sent; rows that will never be taken */
	uint64_t taken_ns;              /* Unix: when one was taken last */
	char url[256];                  /* of the one that was tried last */
	char version[SHIP_VERSION_MAX]; /* of the server; empty: not known */
	bool collector;                 /* it is one */
	char problem[SHIP_WHY_MAX];     /* empty: none */
	char fleet_problem
		[SHIP_WHY_MAX]; /* why nothing comes back of the fleet; empty: nothing does */
};

#define SHIP_FD 3

/* What a sender and a collector say to each other beyond what ClickHouse does. */
#define SHIP_HELLO                                                             \
	"SELECT version(), (SELECT count() FROM system.settings WHERE name = " \
	"'async_insert') FORMAT TabSeparated"
#define SHIP_COLLECTOR_HEADER "X-Egret-Collector" /* of each answer */
#define SHIP_SPOOL_HEADER "X-Egret-Spool"         /* what the file SPOOL_ID says */
#define SHIP_BATCH_HEADER "X-Egret-Batch"         /* SEQ-KIND-ROWS */
#define SHIP_COLLECTOR_SAYS "egret collector: "   /* so begins what it refuses with */
#define SHIP_COLLECTOR \
	"collector" /* in the spool: the one that may have a batch, and which batch */

/* argv[2…]: folder, settings (ship_settings_put()). Runs until nobody reads SHIP_FD any more. */
enum { SHIP_ARG_DIR = 2, SHIP_ARG_SETTINGS, SHIP_ARG_END };
int ship_main(int argc, char **argv);

/* What an answer of ClickHouse that is no success means; pure. */
enum ship_verdict { SHIP_RETRY, SHIP_NEVER };
enum ship_verdict ship_explain(long status, struct str body, const char *database,
			       char why[SHIP_WHY_MAX]);
/* "18.16.1\t0": version, and whether it knows the setting async_insert. -EINVAL: not ClickHouse; -ENOTSUP: too old. */
int ship_hello_parse(struct str answer, char version[SHIP_VERSION_MAX], bool *ret_async);
