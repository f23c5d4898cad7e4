/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics as Prometheus reads them: text exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats), names after
 * prometheus.io/docs/practices/naming. docs/metrics.md is this table. Label sets are bounded, and no label carries an address, the
 * name of a host or a pid. Counters never fall while the process lives.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* X(identifier, name, type, labels, help) */
#define METRICS(X)                                                                              \
	X(BUILD_INFO, "egret_build_info", "gauge", "version", "Always 1: which egret this is.") \
	X(BYTES, "egret_bytes_total", "counter", "direction app",                               \
	  "Bytes of IP packets, up or down, by program: the largest, and other.")               \
	X(PACKETS, "egret_packets_total", "counter", "", "IP packets of all flows, both ways.") \
	X(FLOWS, "egret_flows_total", "counter", "", "Flows seen.")                             \
	X(ACTIVE_FLOWS, "egret_active_flows", "gauge", "", "Flows that live now.")              \
	X(UNREPORTED, "egret_unreported_bytes_total", "counter", "direction",                   \
	  "Bytes that were counted, but of no flow.")                                           \
	X(REFUSED, "egret_refused_total", "counter", "what",                                    \
	  "Calls and packets refused by policy.")                                               \
	X(REFUSED_BYTES, "egret_refused_bytes_total", "counter", "",                            \
	  "Bytes of packets refused by policy.")                                                \
	X(LOST, "egret_lost_total", "counter", "reason", "What was lost, by reason.")           \
	X(FINDINGS, "egret_findings_total", "counter", "detector severity",                     \
	  "Findings told, as they were when they opened.")                                      \
	X(OPEN_FINDINGS, "egret_open_findings", "gauge", "", "Findings that are open.")         \
	X(CLIENTS, "egret_clients", "gauge", "", "Clients of the control socket.")              \
	X(POLICY_MODE, "egret_policy_mode", "gauge", "mode",                                    \
	  "1 for the mode of the policy in force: off, watch or enforce.")                      \
	X(VERDICTS, "egret_verdicts_total", "counter", "rule verdict",                          \
	  "Verdicts by rule (file and line), in watch mode what would have been decided.")      \
	X(LIMITED, "egret_limited_packets_total", "counter", "rule",                            \
	  "Packets dropped because they were over a rule's rate (rule: file and line).")        \
	X(LIMITED_BYTES, "egret_limited_bytes_total", "counter", "rule", "Their bytes.")        \
	X(QUOTA_USED, "egret_quota_used_bytes", "gauge", "rule",                                \
	  "Bytes used of a rule's quota in the period that is now (rule: file and line).")      \
	X(QUOTA_LIMIT, "egret_quota_limit_bytes", "gauge", "rule", "The quota.")                \
	X(BUDGET_LIMIT, "egret_budget_limit", "gauge", "budget currency",                       \
	  "What a month may cost, in units of the currency.")                                   \
	X(BUDGET_USED, "egret_budget_used", "gauge", "budget currency",                         \
	  "What counts for the budget has cost so far this month.")                             \
	X(BUDGET_FORECAST, "egret_budget_forecast", "gauge", "budget currency",                 \
	  "What it comes to by the end of the month; absent on its first day.")                 \
	X(MAP_ENTRIES, "egret_map_entries", "gauge", "map", "What a map of the kernel holds.")  \
	X(MAP_CAPACITY, "egret_map_capacity", "gauge", "map", "What it can hold.")              \
	X(FEED_ENTRIES, "egret_feed_entries", "gauge", "kind feed",                             \
	  "Entries of a list of the policy or a feed of threat intelligence.")                  \
	X(FEED_AGE, "egret_feed_age_seconds", "gauge", "kind feed",                             \
	  "How long ago it was last fetched, confirmed or written.")                            \
	X(FEED_FAILING, "egret_feed_failing", "gauge", "kind feed",                             \
	  "1 when it could not be read or fetched, or has expired.")                            \
	X(STORE_ROWS, "egret_store_rows_total", "counter", "",                                  \
	  "Pieces of flows written to history.")                                                \
	X(STORE_QUEUED, "egret_store_queued_bytes", "gauge", "", "What waits to be written.")   \
	X(STORE_DISK, "egret_store_disk_bytes", "gauge", "", "Size of the history on disk.")    \
	X(STORE_FAILING, "egret_store_failing", "gauge", "",                                    \
	  "1 when something hinders the writing.")                                              \
	X(STORE_BATCH, "egret_store_batch_seconds", "histogram", "",                            \
	  "How long it took to write a batch.")                                                 \
	X(CONSOLE_HOSTS, "egret_console_hosts", "gauge", "",                                    \
	  "Hosts of the last 24 h in the ClickHouse of a console.")                             \
	X(CONSOLE_FAILING, "egret_console_failing", "gauge", "",                                \
	  "1 when the ClickHouse of a console does not answer.")                                \
	X(COLLECTOR_CONNECTIONS, "egret_collector_connections", "gauge", "",                    \
	  "Connections of agents that are open at a collector.")                                \
	X(COLLECTOR_SPOOLS, "egret_collector_spools", "gauge", "",                              \
	  "Spools of agents that a collector knows: those of 30 days.")                         \
	X(COLLECTOR_BATCHES, "egret_collector_batches_total", "counter", "",                    \
	  "Batches that a collector took from agents.")                                         \
	X(COLLECTOR_ROWS, "egret_collector_rows_total", "counter", "", "Rows of them.")         \
	X(COLLECTOR_AGAIN, "egret_collector_batches_again_total", "counter", "",                \
	  "Batches that came once more, and were not taken again.")                             \
	X(COLLECTOR_REFUSED, "egret_collector_refused_total", "counter", "why",                 \
	  "Requests that a collector refused: a batch, a certificate, or because it is busy.")  \
	X(COLLECTOR_WAITING, "egret_collector_waiting_rows", "gauge", "",                       \
	  "Rows that wait in a collector for ClickHouse.")                                      \
	X(COLLECTOR_SPOOL, "egret_collector_spool_bytes", "gauge", "",                          \
	  "Size of a collector's spool.")                                                       \
	X(CPU, "process_cpu_seconds_total", "counter", "", "User and system time of egretd.")   \
	X(RESIDENT, "process_resident_memory_bytes", "gauge", "", "Resident memory of egretd.") \
	X(OPEN_FDS, "process_open_fds", "gauge", "", "Open file descriptors of egretd.")        \
	X(MAX_FDS, "process_max_fds", "gauge", "", "How many it may have.")                     \
	X(START_TIME, "process_start_time_seconds", "gauge", "",                                \
	  "When egretd was started, Unix time.")

enum metric {
#define X(id, name, type, labels, help) METRIC_##id,
	METRICS(X)
#undef X
		METRIC_COUNT
};

struct metrics_out {
	struct buf *out;
	int family; /* of the last sample: all samples of one are to come in a row; -1: none yet */
	bool labelled;
};
#define METRICS_OUT(buf) ((struct metrics_out){ .out = (buf), .family = -1 })

/* One sample is a begin, its labels, and a value. Label values are cut at 128 bytes, what is not UTF-8 in them is U+FFFD. */
void metric_begin(struct metrics_out *m, enum metric id);
/* Of a histogram: "_bucket", "_sum", "_count". */
void metric_begin_part(struct metrics_out *m, enum metric id, const char *part);
void metric_label(struct metrics_out *m, const char *label, struct str value);
void metric_u64(struct metrics_out *m, uint64_t value);
void metric_f64(struct metrics_out *m, double value);
/* A sample without labels. */
void metric_put(struct metrics_out *m, enum metric id, uint64_t value);
