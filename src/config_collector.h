/* SPDX-License-Identifier: Apache-2.0 */
/* The block of `collector { … }` in egret.conf. */
#pragma once

#include "base/lex.h"
#include "serve/page.h"

/* Behind the word `collector`: where it listens, and as whom. Mistakes are told by `lex`; then *ret is not to be used. */
void config_parse_collector(struct lex *lex, struct page_settings *ret);
