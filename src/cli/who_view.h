/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of `egret who`, in sections; one without anything in it is left out. */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* `width` 0: nothing is cut. 0, -ENOMEM. */
int who_print(FILE *to, const json_t *answer, uint64_t now_ns, unsigned width);
