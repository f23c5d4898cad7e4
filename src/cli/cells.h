/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from the network and from other people's processes, made fit for a terminal: exactly so many columns wide, and
 * without anything that moves the cursor, changes colours, or makes one text look like another (control characters,
 * C1 controls, invisible and direction-changing characters are shown as '?').
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Once, at the start: the user's locale. Where it is not UTF-8, everything but ASCII is shown as '?'. */
void cells_init(void);
bool cells_are_utf8(void);

/* Columns the text takes when shown in full. */
size_t cell_width(struct str text);

/* Exactly `width` columns: padded with blanks, or cut with "…" at the end. */
void cell_put(struct buf *out, struct str text, size_t width, bool right);

/* All of it, at its natural width. */
void cell_put_all(struct buf *out, struct str text);
