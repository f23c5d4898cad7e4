/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many machines of a fleet contact which domains: a summary that `egret-clickhouse prevalence` makes of the last days, and that
 * each machine fetches (store/ship_fleet.h). A machine alone cannot tell what is rare from what is new to it; a fleet can.
 *
 *     TIME \t MACHINES \t LEAST \t DAYS          Unix seconds; machines that were counted; the days they were watched
 *     DOMAIN \t MACHINES \t DAYS                 of each registrable domain that at least LEAST of them contacted, on how many days
 *
 * What is not in it was contacted by fewer, so that its size does not grow with the fleet: what N machines each have M of, a
 * hundredth of them share at most 100 M times.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define PREVALENCE_FILE "prevalence"
#define PREVALENCE_BYTES_MAX (8U << 20)
#define PREVALENCE_ROWS_MAX 200000U
#define PREVALENCE_STALE_S (3 * 86400) /* older says nothing */

struct prevalence;

struct prevalence_head {
	uint64_t time_s;
	uint32_t hosts; /* counted */
	uint32_t least; /* fewer than so many have no row */
	uint32_t days;  /* looked at */
	size_t domains;
};

struct prevalence_row {
	uint32_t hosts; /* 0: fewer than `least` */
	uint32_t days;  /* on which any did */
};

/* The whole text, which is a stranger's. -EBADMSG: it is no such summary; -ENOMEM. */
int prevalence_parse(struct prevalence **ret, struct str text);
struct prevalence *prevalence_free(struct prevalence *p); /* NULL is fine */

const struct prevalence_head *prevalence_head(const struct prevalence *p);
struct prevalence_row prevalence_look(const struct prevalence *p, struct str domain);
