/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fleet contacts, fetched by those who send to it: from ClickHouse, where `egret-clickhouse prevalence` leaves it, or from a
 * collector, which hands on the file that its own sender fetched. The file is PREVALENCE_FILE (detect/prevalence.h) of the spool's
 * folder: replaced as a whole, asked for once an hour, fetched when there is a newer one.
 */
#pragma once

#include <stdint.h>

#include "store/clickhouse_http.h"

/* The newest summary: its first line. What a summary has: the other lines, of the one of that time. */
#define SHIP_PREVALENCE_HEAD                                                         \
	"SELECT toUInt32(ts), hosts, least, days FROM prevalence WHERE domain = '' " \
	"ORDER BY ts DESC LIMIT 1 FORMAT TabSeparated"
#define SHIP_PREVALENCE_ASKED "SELECT domain, hosts, days FROM prevalence "
#define SHIP_PREVALENCE_ROWS  \
	SHIP_PREVALENCE_ASKED \
	"WHERE domain != '' AND ts = toDateTime(%" PRIu64 ") FORMAT TabSeparated"

/* Into `folder`. 1: there was one newer than *time_s, which is now its time; 0: there was none; -EIO, and why. */
int ship_prevalence_fetch(struct clickhouse_http *http, int folder, uint64_t *time_s,
			  char why[SHIP_WHY_MAX]);
