/* SPDX-License-Identifier: Apache-2.0 */
/* Flow records as a table for people: of `egret flows` and of the last flows in `egret who`. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct table;

/* With which column a table begins: those before are left out. The time stands in full behind a date. */
enum flows_table_from { FLOWS_FROM_HOST, FLOWS_FROM_DATE, FLOWS_FROM_START };
int flows_table_new(struct table **ret, enum flows_table_from from);
void flows_table_add(struct table *t, const json_t *record, uint64_t now_ns,
		     enum flows_table_from from);

/* The same columns as a stream of lines, where no row can wait for the widest; each replaces what *out holds. */
void flows_stream_head(struct buf *out, unsigned width);
void flows_stream_row(struct buf *out, const json_t *record, uint64_t now_ns, unsigned width);
