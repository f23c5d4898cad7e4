/* SPDX-License-Identifier: Apache-2.0 */
/* `policy from "https://HOST/fleet.bundle" { … }` in egret.conf. */
#pragma once

#include "base/lex.h"
#include "fleet/follower.h"

/* Behind the word `from`. Mistakes are told by `lex`; then *ret is not to be used. */
void config_parse_follow(struct lex *lex, struct follow_settings *ret);
