/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three clocks: the kernel's side dates records by CLOCK_MONOTONIC and packets by jiffies, events carry Unix time. The
 * difference of the first and the last moves when the clock is set; jiffies are tied to the first anew at each sweep.
 */
#include <time.h>

#include "attach/internal.h"
#include "base/time.h"
#include "bpf/host.skel.h"

uint64_t attach_mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

void attach_clock(struct attach *a)
{
	struct timespec t;

	a->mono_to_unix_ns = (int64_t)(time_now() - attach_mono_ns());
	/* the coarse clock moves once a jiffy */
	clock_getres(CLOCK_MONOTONIC_COARSE, &t);
	a->tick_ns = t.tv_nsec;
}

uint64_t attach_unix(const struct attach *a, uint64_t mono_ns)
{
	return mono_ns ? mono_ns + a->mono_to_unix_ns : 0;
}

uint64_t attach_tick(const struct attach *a, uint64_t mono_ns)
{
	const struct host_bpf__bss *b = a->skel->bss;

	return b->clock_tick + ((int64_t)(mono_ns - b->clock_ns) / (int64_t)a->tick_ns);
}

uint64_t attach_unix_of_tick(const struct attach *a, uint64_t tick)
{
	const struct host_bpf__bss *b = a->skel->bss;

	return tick ? attach_unix(a, b->clock_ns +
					     (int64_t)(tick - b->clock_tick) * (int64_t)a->tick_ns)
		    : 0;
}
