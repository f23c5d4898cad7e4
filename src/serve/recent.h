/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to serve/: the flows that ended last, so that what lived shorter than a look at the screen can still be
 * listed. A ring of copies that hold references to their texts, names and process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "flow/flow.h"

struct recent;

struct recent_refs { /* what the references belong to; borrowed */
	struct intern *texts;
	struct name_table *names;
	struct proc_table *procs;
};

int recent_new(struct recent **ret, size_t n, struct recent_refs refs);
struct recent *recent_free(struct recent *r); /* before the tables of `refs` go */
void recent_add(struct recent *r, const struct flow *ended);
/* From the newest to the oldest; r may be NULL. */
void recent_each(const struct recent *r, void (*fn)(void *ctx, const struct flow *f), void *ctx);
bool recent_holds(const struct recent *r, const struct flow *f); /* f is one of the ring */
