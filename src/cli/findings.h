/* SPDX-License-Identifier: Apache-2.0 */
/* Findings as people read them: a head line, the sentence, the evidence with its weights, the flows. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "detect/finding.h"

struct buf;

struct findings; /* texts, heaviest first, made when a finding comes: a finding itself is only borrowed */

int findings_new(struct findings **ret);
struct findings *findings_free(struct findings *f);
void findings_add(struct findings *fs, const struct finding *f);
/* Nothing when there are none. `width` 0: no limit. */
void findings_print(const struct findings *fs, FILE *to, unsigned width);
size_t findings_count(const struct findings *fs);

/* Text from the network: nothing in it may move the cursor. */
void finding_put_clean(struct buf *out, struct str s);
/* One finding in two or three lines. */
void finding_format_short(const struct finding *f, struct buf *out);
/* One finding with everything behind it. */
void finding_format(const struct finding *f, struct buf *out);
