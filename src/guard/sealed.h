/* SPDX-License-Identifier: Apache-2.0 */
/* A file that says whether it is whole: `word` and a checksum begin it. */
#pragma once

#include "base/buf.h"

int sealed_write(const char *folder, const char *name, const char *word, const struct buf *body);
/* -EBADMSG: damaged. What is left in `text` is what was written. */
int sealed_open(const char *word, struct str *text);
