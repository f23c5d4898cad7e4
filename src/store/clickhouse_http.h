/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions and inserts to ClickHouse over HTTP(S), one after the other, at one of the addresses of the settings: the first, until
 * clickhouse_http_next(). Blocks: for processes that may.
 */
#pragma once

#include "store/ship.h"

struct clickhouse_http;

/* `settings` are borrowed. Answers are cut at `answer_max`. */
int clickhouse_http_new(struct clickhouse_http **ret, const struct ship_settings *settings,
			size_t answer_max);
struct clickhouse_http *clickhouse_http_free(struct clickhouse_http *h);

const char *clickhouse_http_url(const struct clickhouse_http *h); /* where it is now */
bool clickhouse_http_next(
	struct clickhouse_http *h); /* goes on to the next; false: to the first again */
bool clickhouse_http_use(struct clickhouse_http *h, struct str url); /* false: it is none of them */

/* Before the first question, and again after a failure: the file of the password is read anew. -errno, and why. */
int clickhouse_http_login(struct clickhouse_http *h, char why[SHIP_WHY_MAX]);

/*
 * `query` with a body (packed: store/spool_pack.h) is an insert; `more` are further settings, "&name=value". 0: it succeeded; -EBADMSG: the body will never be
 * taken; else -EIO; and why.
 */
int clickhouse_http_post(struct clickhouse_http *h, const char *query, struct str body,
			 const char *more, char why[SHIP_WHY_MAX]);
struct str clickhouse_http_answer(const struct clickhouse_http *h); /* until the next */

/*
 * Asks without being able to change anything, and hands on the answer as it comes, once it is known to be one. `part` gives false to end it;
 * then 0. Else as clickhouse_http_post().
 */
int clickhouse_http_ask(struct clickhouse_http *h, struct str query,
			bool (*part)(void *ctx, struct str part), void *ctx,
			char why[SHIP_WHY_MAX]);

/* The last question or insert: whether it got there, and who answered. */
enum clickhouse_fate { CLICKHOUSE_NOT_SENT, CLICKHOUSE_IN_DOUBT, CLICKHOUSE_ANSWERED };
enum clickhouse_fate clickhouse_http_fate(const struct clickhouse_http *h);
bool clickhouse_http_collector(const struct clickhouse_http *h);
/* Header lines of the next insert; borrowed, NULL: none. */
void clickhouse_http_headers(struct clickhouse_http *h, const char *spool, const char *batch);
