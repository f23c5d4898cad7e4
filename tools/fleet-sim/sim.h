/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that are not there, with flows as bench/history_rows.h makes them. By one seed. */
#pragma once

#include "bench/history_rows.h"
#include "store/clickhouse_http.h"
#include "store/clickhouse_row.h"

#define WORKERS_MAX 64
#define TEAMS 16
#define TEAM_NAMES 20

struct options {
	struct ship_settings to;
	unsigned hosts, workers;
	uint64_t seed;
	double rate; /* pieces a second, all hosts together */
	unsigned seconds;
	uint64_t fill; /* pieces; 0: in real time */
	unsigned days;
	uint64_t end_ns;
};

struct host {
	char name[24], odd_name[40];
	unsigned number;
	struct addr addr;
	uint64_t seed, boot, began_ns, last_id, n;
	double weight, rate; /* its part of all, and what that is in pieces a second */
	double owed;         /* pieces that its rate asks for and that were not made yet */
	uint64_t batches;    /* that it has sent */
	uint64_t pieces, flows, up_bytes, down_bytes, names, told; /* sent; told: rows of `host` */
};

/* One thread: a part of the hosts. */
struct worker {
	const struct options *opt;
	struct host *hosts;
	unsigned n_hosts;
	double *cumulated; /* weights of the hosts */
	struct bench bench;
	char team[TEAMS][TEAM_NAMES][48];
	struct buf rows[CLICKHOUSE_TABLES], bodies[CLICKHOUSE_TABLES];
	uint32_t counted[CLICKHOUSE_TABLES]; /* rows of them */
	uint64_t inserts, sent_bytes, retries, late_ns_max, insert_ns, insert_ns_max;
	bool failed;
};

/* ---- hosts.c ---- */

void host_init(struct host *h, unsigned number, const struct options *opt);
int worker_init(struct worker *w, const struct options *opt, struct host *hosts, unsigned n_hosts);
void worker_done(struct worker *w);
/* One flow that ended at `at_ns`, with all its pieces and sometimes the answer of DNS before it, appended to the rows. Pieces it made. */
unsigned host_flow(struct worker *w, struct host *h, uint64_t at_ns);
void host_tells(struct worker *w, struct host *h, uint64_t at_ns);
struct host *worker_pick(struct worker *w); /* by weight */
/* u: 0 to 1, a part of the span; more of it falls into days than into nights. */
uint64_t day_rhythm(const struct options *opt, double u);

/* ---- send.c ---- */

void *run_live(void *worker); /* batches every 5 s of each host, on a connection of its own */
void *run_fill(void *worker); /* a span of days, in large blocks */
