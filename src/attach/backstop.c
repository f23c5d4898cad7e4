// SPDX-License-Identifier: Apache-2.0
/* The backstop on all interfaces of this network namespace but loopback. */
#include "attach/backstop.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "attach/internal.h"
#include "attach/policy.h"
#include "attach/tc.h"
#include "base/log.h"
#include "base/time.h"
#include "bpf/host.skel.h"

#define LOOK_EVERY_NS (60 * (uint64_t)NSEC_PER_SEC)

static const struct tc_filter backstop = { BPF_TC_EGRESS, 0xe67e7, "eg_backstop" };

/* All interfaces; those that ours is on already are left alone. 0: at least one has it. */
static int attach_to_all(struct attach *a)
{
	libbpf_print_fn_t before = tc_hush();
	struct if_nameindex *list = if_nameindex();
	int fd = bpf_program__fd(a->skel->progs.eg_backstop), r = -ENODEV, one;

	for (size_t i = 0; list && list[i].if_index; i++) {
		if (!strcmp(list[i].if_name, "lo"))
			continue;
		one = tc_attach(&backstop, (int)list[i].if_index, fd);
		if (one && one != -ENODEV)
			log_warn("backstop: not on %s: %s", list[i].if_name, strerror(-one));
		if (!one || r == -ENODEV)
			r = one;
	}
	if (list)
		if_freenameindex(list);
	tc_unhush(before);
	return r;
}

static bool is_on(const struct attach *a)
{
	return a->skel && bpf_program__fd(a->skel->progs.eg_backstop) >= 0;
}

int backstop_start(struct attach *a)
{
	int r;

	if (!is_on(a)) {
		if (attach_took_over(a))
			backstop_disarm(); /* it was on before */
		return 0;
	}
	r = attach_to_all(a);
	a->backstop_ns = attach_mono_ns();
	return r == -ENODEV ? 0 : r; /* nothing but loopback: interfaces may come */
}

void backstop_tick(struct attach *a, uint64_t now_ns)
{
	unsigned int n = 0;
	struct if_nameindex *list;

	if (!is_on(a))
		return;
	list = if_nameindex();
	for (size_t i = 0; list && list[i].if_index; i++)
		n = n * 31 + list[i].if_index;
	if (list)
		if_freenameindex(list);
	if (n == a->backstop_devices && now_ns - a->backstop_ns < LOOK_EVERY_NS)
		return;
	a->backstop_devices = n;
	a->backstop_ns = now_ns;
	attach_to_all(a);
}

static size_t detach_from_all(uint32_t prog_id)
{
	libbpf_print_fn_t before = tc_hush();
	struct if_nameindex *list = if_nameindex();
	size_t n = 0;

	for (size_t i = 0; list && list[i].if_index; i++)
		n += tc_detach(&backstop, (int)list[i].if_index, prog_id);
	if (list)
		if_freenameindex(list);
	tc_unhush(before);
	return n;
}

void backstop_stop(struct attach *a)
{
	uint32_t id;

	if (!is_on(a))
		return;
	id = tc_program_id(bpf_program__fd(a->skel->progs.eg_backstop));
	if (id)
		detach_from_all(id);
}

size_t backstop_disarm(void)
{
	return detach_from_all(0);
}
