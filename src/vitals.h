/* SPDX-License-Identifier: Apache-2.0 */
/* How the daemon is: what it adds to `egret status` and to the metrics. */
#pragma once

#include <stdint.h>

#include "attach/features.h"

struct attach;
struct config;
struct flow_table_stats;
struct guard;
struct inside;
struct json;
struct keeper;
struct shipper;
struct metrics_out;
struct outputs;
struct page;
struct sentry;
struct store_host;
struct totals;

#define VITALS_FEATURES 64

struct vitals {
	const struct config *config; /* borrowed, as all that follows */
	struct attach *attach;
	const struct outputs *outputs;
	struct guard *guard;
	struct sentry *sentry;           /* NULL: findings off */
	const struct page *page;         /* NULL: there is none */
	struct keeper *keeper;           /* NULL: no history */
	const struct inside *inside;     /* NULL: no gateway */
	struct shipper *shipper;         /* NULL: no ClickHouse */
	const struct follower *follower; /* NULL: the policy is nobody else's */
	const char *host, *pin;
	uint64_t started_ns;
	struct feature features[VITALS_FEATURES]; /* of this kernel, as they were at the start */
	size_t n_features;
};

void vitals_probe(struct vitals *v); /* the features; needs the rights of the start */
/* For control_config; `ctx` is a struct vitals. */
/* How this machine is, for a fleet; texts are borrowed until something is loaded. */
void vitals_host(const struct vitals *v, const struct flow_table_stats *flows,
		 struct store_host *ret);
void vitals_status(void *ctx, struct json *j);
void vitals_metrics(void *ctx, struct totals *t, struct metrics_out *m);
