/* SPDX-License-Identifier: Apache-2.0 */
/* egret.conf: what egretd watches and where it writes. Everything has a default; an empty file is valid. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "config_collector.h"
#include "fleet/follower.h"
#include "serve/page.h"
#include "store/alert_sink.h"
#include "store/ship.h"
#include "store/store.h"

#define CONFIG_MAX_INSIDE 64
#define CONFIG_MAX_ALERTS 8
#define CONFIG_MAX_LEASES 4
#define CONFIG_MAX_GATE 16 /* interfaces inside, and outside */

struct config {
	char cgroup[256]; /* the subtree to watch, below the cgroup2 mount */
	char run[256];    /* folder of the control socket */
	char state[256];
	char eve[256]; /* empty: off */
	struct cidr inside[CONFIG_MAX_INSIDE];
	size_t n_inside;   /* 0: private addresses */
	char policy[256];  /* empty: off */
	bool policy_given; /* false: the default place, where it may be absent */
	bool enforce;
	struct follow_settings follow; /* whose policy this host takes; without `from`: nobody's */
	bool findings;                 /* detection is on */
	uint64_t
		learn_ns; /* what timing, volume and rarity alone say is held back for so long at first */
	struct alert_config alerts[CONFIG_MAX_ALERTS];
	size_t n_alerts;
	struct page_settings page;
	char ipfix[128]; /* collector of flows, as ipfix_target_ok(); empty: off */
	uint32_t ipfix_domain;
	bool gateway;                          /* forwarded traffic is watched too */
	char gate_inside[CONFIG_MAX_GATE][16]; /* interfaces */
	size_t n_gate_inside;
	char gate_outside[CONFIG_MAX_GATE][16];
	size_t n_gate_outside;
	char gate_leases[CONFIG_MAX_LEASES][256]; /* files of DHCP servers */
	size_t n_gate_leases;
	bool backstop; /* also judge at tc egress what no socket hook judged */
	char geo_country[256], geo_asn[256];     /* .mmdb files; empty: none */
	const struct store_kind *store;          /* of history; NULL: off */
	struct ship_settings clickhouse;         /* of the fleet; without url: off */
	struct collector_settings collector;     /* at.on: there is one */
	uint64_t keep_flows_ns, keep_rollups_ns; /* how long: 0: for ever */
	uint64_t keep_bytes;                     /* how much; 0: no limit */
};

/*
 * Reads `path`; with `optional` a file that is absent gives the defaults. Every mistake is in `messages`, shown with
 * its line. 0; -EINVAL when there was an error (then *ret is not to be used); -errno when it cannot be read.
 */
int config_read(struct config *ret, const char *path, bool optional, struct buf *messages);
/* egret.conf names a policy, or one lies where it is looked for. */
bool config_has_policy(const struct config *c);
int config_parse(struct config *ret, const char *file, struct str text, struct buf *messages);
