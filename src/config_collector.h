/* SPDX-License-Identifier: Apache-2.0 */
/* The block of `collector { … }` in egret.conf. */
#pragma once

#include "base/lex.h"
#include "base/time.h"
#include "serve/page.h"

#define COLLECTOR_WAIT_NS (30 * NSEC_PER_SEC) /* unless told */

struct collector_settings {
	struct page_settings at; /* where it listens, and as whom; not on: no collector */
	uint64_t wait_ns;        /* so long few rows wait for more */
};

/* Behind the word `collector`. Mistakes are told by `lex`; then *ret is not to be used. */
void config_parse_collector(struct lex *lex, struct collector_settings *ret);
