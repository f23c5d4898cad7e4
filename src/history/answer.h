/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question to the history answered: JSON lines, a row each, then {"end":true,…}; or one object; or {"error":"…"}. In a process of
 * its own (history/child.h), or where there is no daemon in that of the command line.
 */
#pragma once

#include <stdio.h>

#include "history/scan.h"

/* 0: answered, be it with an error in words; -EIO: `out` took no more. */
int history_answer(const struct history_source *source, struct str question, FILE *out);
