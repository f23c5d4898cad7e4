/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines without their secrets. What is recognised: options and assignments whose name says password, token,
 * key and the like (--password=…, --password …, TOKEN=…, ?token=…&, "password":"…"), HTTP header arguments
 * (Authorization: …), user:password@ in URLs, user:password for curl and wget, and -p… where the program is known to
 * take a password that way. The secret becomes "***"; all else stays as it was.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* `args` NUL-separated, as the process got them. */
void redact_args(struct str args, struct buf *out);
