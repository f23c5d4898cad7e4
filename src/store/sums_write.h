/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the SQLite store: one month of sums, as it is written. Pieces of a day go to the month of the day's file, and with them,
 * in the same transaction, the id of the last piece that is in: whatever happens, each piece is summed once.
 */
#pragma once

#include <stdint.h>

#include "store/db.h"
#include "store/row.h"

#define MONTH_NAME_MAX 32
int64_t month_of_day(int64_t day);                               /* months since 1970 */
char *month_file_name(int64_t month, char text[MONTH_NAME_MAX]); /* "sums-2026-01.db" */
bool month_file_parse(const char *name, int64_t *ret_month);

struct sums;

int sums_open(struct sums **ret, const char *dir, int64_t month, char error[DB_ERROR_MAX]);
struct sums *sums_close(struct sums *s); /* what is not committed is forgotten */
int64_t sums_month(const struct sums *s);
const char *sums_path(const struct sums *s);

int sums_mark(struct sums *s, int64_t day, int64_t file,
	      int64_t *ret_id); /* pieces up to it are in; 0: none */
int sums_add(struct sums *s, const struct store_row *row);
/* On failure nothing since the last commit is there, and *s must be closed. */
int sums_commit(struct sums *s, int64_t day, int64_t file, int64_t id);

/* Makes minutes, hours and days that were over before `now_s` into one row each. In a transaction of its own. */
int sums_roll(struct sums *s, int64_t now_s);
/* Forgets sums by minute and by hour that begin before; 0: none. Those not rolled yet stay. */
int sums_forget(struct sums *s, int64_t minutes_before_s, int64_t hours_before_s);
