/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the sender only: which collector may have which batch, on disk before it is sent there. */
#pragma once

#include <stdbool.h>

#include "store/spool.h"

struct ship_note {
	char url[256];
	char batch[SPOOL_NAME_MAX]; /* empty: none */
};

/* Less than a sector, written in its place: that works with a full disk, too. */
int ship_note_open(int spool); /* a descriptor, or -errno */
int ship_note_write(int fd, const struct ship_note *n);
bool ship_note_read(int fd, struct ship_note *ret); /* false: there is none */
