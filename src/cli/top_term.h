/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of `egret top`: ncurses and nothing but it. One at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct top_frame;

int top_term_begin(void); /* -ENOTTY, -EINVAL (a terminal nobody knows; said on standard error) */
void top_term_end(void);  /* puts the terminal back; harmless when it was not begun */

void top_term_size(unsigned *ret_rows, unsigned *ret_columns);
void top_term_draw(const struct top_frame *f);
/* The next key waiting, as cli/top_model.h numbers them; 0: none. A changed size is taken in here. */
uint32_t top_term_key(void);
