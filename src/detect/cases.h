/* SPDX-License-Identifier: Apache-2.0 */
/* Inside cases.c and cases_state.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EXPLAIN_MAX 1024

struct cases {
	uint64_t day_ns; /* the budget's day began; 0: none yet */
	unsigned spent;  /* of it */
	bool said_over;
	bool warmed, learned; /* there was a first day; what it showed to be ordinary is marked */
	char explain[EXPLAIN_MAX];
};
