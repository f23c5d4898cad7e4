/* SPDX-License-Identifier: Apache-2.0 */
/* The block of `store clickhouse { … }` in egret.conf. */
#pragma once

#include "base/lex.h"
#include "store/ship.h"

#define CLICKHOUSE_SPOOL_BYTES (10ULL * 1000 * 1000 * 1000) /* unless told */
#define CLICKHOUSE_SPOOL_MIN (100ULL * 1000 * 1000)

/* Behind the word `clickhouse`. Mistakes are told by `lex`; then *ret is not to be used. */
void config_parse_clickhouse(struct lex *lex, struct ship_settings *ret);
