/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the SQLite store: reading sums over all months. */
#pragma once

#include "store/read.h"

struct sums_reader;

int sums_reader_new(struct sums_reader **ret, const char *dir,
		    uint64_t *skipped); /* counts there what cannot be read */
struct sums_reader *sums_reader_free(struct sums_reader *r);
uint64_t sums_reader_oldest(struct sums_reader *r, enum store_step step);
int sums_reader_read(struct sums_reader *r, enum store_step step, struct store_span span,
		     bool series, store_sum_fn fn, void *ctx);
