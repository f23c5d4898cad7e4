/* SPDX-License-Identifier: Apache-2.0 */
/* The model of `egret top` laid out for a screen of so many rows and columns; every line is exactly as wide as that. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct top_model;

#define TOP_FRAME_LINES 512 /* of taller screens the rest stays empty */

enum top_style { TOP_PLAIN, TOP_TITLE, TOP_HEAD, TOP_SELECTED, TOP_WARN, TOP_FAINT };

struct top_frame {
	struct buf text; /* all lines, one after the other */
	struct {
		size_t from, n;
		enum top_style style;
	} lines[TOP_FRAME_LINES];
	size_t n_lines;
	size_t cursor_column; /* of the last line while the filter is edited; SIZE_MAX: no cursor */
};

void top_frame_init(struct top_frame *f);
void top_frame_done(struct top_frame *f);

/* Also settles which rows are on the screen (the model's cursors). */
void top_layout(struct top_model *m, size_t rows, size_t columns, struct top_frame *f);

/* The groups as plain lines, at most `limit` of them, for output that is no terminal. */
void top_print(const struct top_model *m, size_t limit, size_t columns, struct buf *out);
