/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes back of a fleet to those who send to it: files in the folder of the spool, each replaced as a whole. From ClickHouse, or from a
 * collector, which hands on the files that its own sender fetched (collector/hand_on.h).
 *
 *     PREVALENCE_FILE     what its machines contact (detect/prevalence.h): once an hour, when there is a newer one
 *     SHIP_OTHERS_FILE    what became of the versions of its policy on them (fleet/rollout.h): every five minutes
 */
#pragma once

#include <stdint.h>

#include "store/clickhouse_http.h"

/* The newest summary's first line; its other lines, by the time that the first one says. */
#define SHIP_PREVALENCE_HEAD                                                         \
	"SELECT toUInt32(ts), hosts, least, days FROM prevalence WHERE domain = '' " \
	"ORDER BY ts DESC LIMIT 1 FORMAT TabSeparated"
#define SHIP_PREVALENCE_ASKED "SELECT domain, hosts, days FROM prevalence "
#define SHIP_PREVALENCE_ROWS  \
	SHIP_PREVALENCE_ASKED \
	"WHERE domain != '' AND ts = toDateTime(%" PRIu64 ") FORMAT TabSeparated"
#define SHIP_OTHERS                                                                            \
	"SELECT version, state, uniqExact(host) FROM policy GROUP BY version, state ORDER BY " \
	"version DESC, state LIMIT 100 FORMAT TabSeparated"

#define SHIP_OTHERS_FILE "policy"

struct ship_fleet {
	uint64_t prevalence_ns, others_ns; /* when each is due; time_now_boot() */
	uint64_t prevalence_s;             /* the one that is here */
	char prevalence_why[SHIP_WHY_MAX], others_why[SHIP_WHY_MAX];
};

/* Fetches what is due into `folder`. What stands in the way of it, in words; empty: nothing. */
const char *ship_fleet_fetch(struct ship_fleet *f, struct clickhouse_http *http, int folder);
bool ship_fleet_due(const struct ship_fleet *f);
void ship_fleet_later(struct ship_fleet *f); /* nobody is there to ask */
