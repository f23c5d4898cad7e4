/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cli/: what the subcommands of `egret fleet` share, which ask the ClickHouse that egret.conf names. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct fleet_ask {
	const char *config; /* path of egret.conf */
	uint64_t last_ns;
	bool as_json;
};

/* What the query, which ends in FORMAT JSONCompact, was answered with: {"data":[[…],…],…}; the caller's. NULL: told. */
json_t *fleet_query(const struct fleet_ask *a, struct str query);
/* Values of one row. Old servers put 64-bit numbers in quotes. */
uint64_t fleet_number(const json_t *row, size_t column);
struct str fleet_text(const json_t *row, size_t column);

/* Each prints, and gives the exit status. */
int fleet_status(const struct fleet_ask *a);
