/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side counts CLOCK_MONOTONIC, events carry Unix time: the difference moves when the clock is set. */
#include <time.h>

#include "attach/internal.h"
#include "base/time.h"

uint64_t attach_mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

void attach_clock(struct attach *a)
{
	a->mono_to_unix_ns = (int64_t)(time_now() - attach_mono_ns());
}

uint64_t attach_unix(const struct attach *a, uint64_t mono_ns)
{
	return mono_ns ? mono_ns + a->mono_to_unix_ns : 0;
}
