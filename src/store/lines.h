/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines at the end of a file or of standard output, buffered.
 *
 * Invariants: the buffer holds whole lines only; the file ends in a whole line whenever a call has returned. When a
 * write ends inside a line (disk full), the file is cut back to the line before; where that cannot be done (a pipe)
 * the next write first ends the broken line. Lines that did not get out stay in the buffer and are tried again; only
 * when the next one finds no room are they dropped and counted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct lines {
	struct buf buf;
	size_t begun; /* where the line that is being made begins */
	int fd;       /* borrowed; may be changed after a flush */
	bool torn;    /* the file ends in half a line */
	int failed;   /* -errno of the last write, 0 when it went well */
	uint64_t *lost;
};

void lines_init(struct lines *l, int fd, uint64_t *lost); /* *lost: borrowed, counts lines */
struct buf *lines_begin(struct lines *l); /* to append one line to, its end included */
void lines_end(struct lines *l);          /* a line that did not fit is taken back and counted */
int lines_flush(struct lines *l);
void lines_done(struct lines *l); /* flushes; what still cannot be written is lost and counted */
