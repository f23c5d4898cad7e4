/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cli/: what the subcommands of `egret fleet` share. They are questions to the history of a fleet (history/question.h). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct fleet_ask {
	const char *
		config; /* path of egret.conf, which names the ClickHouse; not read when a console is asked */
	uint64_t last_ns;
	bool as_json;
};

/*
 * The rows of {"do":VERB}, the caller's: of a console where one is asked, else of ClickHouse itself. 0; -errno, told. Where there are more
 * rows than one answer gives, that is told, too.
 */
int fleet_gather(const struct fleet_ask *a, const char *verb, json_t **ret_rows);
uint64_t fleet_number(const json_t *row, const char *key); /* 0: none */
struct str fleet_text(const json_t *row, const char *key);

void fleet_print_hosts(const json_t *rows);
void fleet_print_cases(const json_t *rows);
void fleet_print_policies(const json_t *rows);
