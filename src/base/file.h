/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that are read and replaced as a whole. Names are within an open folder; links are not followed. 0 or -errno. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

int file_open_folder(const char *path); /* a descriptor, or -errno */
int file_write_all(int fd, struct str s);

/*
 * Written beside its place, synced and renamed: a crash leaves the old or the new, never a part. Mode 0600. The two texts
 * follow each other.
 */
int file_replace(int folder, const char *name, struct str head, struct str body);
#define FILE_READ_MORE (64U << 10) /* so much more room than the file has is wanted */
int file_read(int folder, const char *name,
	      struct buf *ret); /* -EBADMSG: larger than the buffer may be */
/* "name" becomes "name.damaged", in the place of an earlier one. */
void file_set_aside(int folder, const char *name);
