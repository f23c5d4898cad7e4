/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded traffic for `egret policy replay`, `learn` and `diff`: captures, Zeek logs and egret's own records, packed or
 * not, as they are named, or the history of this host: what egretd has kept of flows (store/read.h), and without that eve.json of
 * egret.conf and what it was rotated to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "config.h"
#include "policy/history.h"

struct recordings {
	char *const *files; /* none: the history of this host */
	size_t n_files;
	uint64_t from_ns; /* leave out what is older; 0: nothing */
	const struct cidr *inside;
	size_t n_inside;
	const struct config *config; /* of this host; from recordings_config() */
};

struct recordings_stats {
	struct history_stats history; /* of records */
	uint64_t capture_flows;       /* of captures and logs */
	uint64_t inputs, inputs_failed;
	uint64_t first_ns, last_ns;
	bool no_who;    /* some of them know no programs and users */
	bool from_kept; /* it was the history that egretd keeps, not records */
};

/* egret.conf ("" the usual place), for paths and for what counts as inside. Says what is wrong. */
int recordings_config(struct config *ret, const char *path);

/*
 * Reads them all and hands on what policy decides. Inputs that cannot be read are said and counted; -errno when there is
 * nothing that can be.
 */
int recordings_read(const struct recordings *r, void (*fn)(void *ctx, const struct recorded *r),
		    void *ctx, struct recordings_stats *ret);

/* "42,113 flows from 2026-… over 6 d 3 h (2 inputs could not be read)" */
void recordings_describe(const struct recordings_stats *s, struct buf *out);
