/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comma-separated values (RFC 4180; lines end in LF) with text from the network in them. A field that a spreadsheet would take for
 * a formula (it begins with = + - @, a tab or a line end) gets an apostrophe in front, which spreadsheets take for "this is text".
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"

/* Quoted when needed; a quote inside stands twice. */
void csv_put_text(struct buf *out, struct str text);
/* A string as text, numbers and booleans as they are, everything else as nothing. */
void csv_put_value(struct buf *out, const json_t *v);
/* One line with its end, as it is; a terminal is not given what it could obey. Empties `line`. */
void csv_print(struct buf *line, FILE *to);
