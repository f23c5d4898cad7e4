/* SPDX-License-Identifier: Apache-2.0 */
/* `egret flows --csv` (RFC 4180, lines end in LF): one row a flow record, columns as in the head line. */
#pragma once

#include <jansson.h>

#include "base/buf.h"

/* Each replaces what *out holds by one line. */
void flows_csv_head(struct buf *out);
void flows_csv_row(struct buf *out, const json_t *record);
