/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people read and write them: powers of 1000 (kb, mb …), or of 1024 when written kib, mib …. */
#pragma once

#include <stdint.h>

#include "base/str.h"

#define HUMAN_TEXT_MAX 32

char *human_bytes(uint64_t bytes,
		  char text[HUMAN_TEXT_MAX]); /* "0 B", "999 B", "1.2 kB", "34 MB" */
char *human_rate(double bytes_per_sec, char text[HUMAN_TEXT_MAX]); /* "1.2 kB/s" */
char *human_count(uint64_t n, char text[HUMAN_TEXT_MAX]);          /* "1,234,567" */
int size_parse(struct str s, uint64_t *ret_bytes); /* "1mb", "64kib", "512"; -EINVAL */
