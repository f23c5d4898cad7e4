/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds for one reading: files that `egret read --intel` names, as a snapshot that is gone when the reading is. */
#pragma once

#include <stddef.h>

struct intel_slot;

/*
 * Each "FILE" or "CLASS=FILE" (class of a feed, c2 unless told). 0; -errno after saying why. What of a file cannot be read is
 * said; entries older than their class lets them live weigh nothing at the recording's time, as always.
 */
int read_feeds(struct intel_slot **ret, char **specs, size_t n);
