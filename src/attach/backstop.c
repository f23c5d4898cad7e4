// SPDX-License-Identifier: Apache-2.0
/*
 * tc's clsact on interfaces, by libbpf. A filter needs no process to go on: it is taken over by being replaced in place,
 * and found again by its handle and the name of its program, whoever attached it. The clsact qdisc stays when ours was the first filter
 * there: others may have joined since.
 */
#include "attach/backstop.h"

#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "attach/policy.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "bpf/host.skel.h"

#define HANDLE 0xe67e7
#define PRIORITIES \
	8 /* the first ones, so that another filter's "let it pass" does not end the way before ours */
#define LOOK_EVERY_NS (60 * (uint64_t)NSEC_PER_SEC)

static const char program_name[] = "eg_backstop";

static struct bpf_tc_opts filter_of(uint32_t priority)
{
	return (struct bpf_tc_opts){ .sz = sizeof(struct bpf_tc_opts),
				     .handle = HANDLE,
				     .priority = priority };
}

static struct bpf_tc_hook hook_of(int ifindex)
{
	return (struct bpf_tc_hook){ .sz = sizeof(struct bpf_tc_hook),
				     .ifindex = ifindex,
				     .attach_point = BPF_TC_EGRESS };
}

/* A filter with our handle. To ask for its program's name takes a right that the daemon has given up by then. */
static bool is_ours(uint32_t prog_id)
{
	struct bpf_prog_info info = { 0 };
	uint32_t n = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return errno == EPERM;
	return !bpf_obj_get_info_by_fd(fd, &info, &n) && !strcmp(info.name, program_name);
}

static uint32_t id_of(int prog_fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t n = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &n) ? 0 : info.id;
}

/* The priority above `from` at which a filter of ours stands, or 0. *ret_id: its program. */
static uint32_t find(int ifindex, uint32_t from, uint32_t *ret_id)
{
	for (uint32_t i = from + 1; i <= PRIORITIES; i++) {
		struct bpf_tc_hook hook = hook_of(ifindex);
		struct bpf_tc_opts filter = filter_of(i);

		if (bpf_tc_query(&hook, &filter) || !is_ours(filter.prog_id))
			continue;
		*ret_id = filter.prog_id;
		return i;
	}
	return 0;
}

static int put(int ifindex, uint32_t priority, int prog_fd, bool replace)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct bpf_tc_opts filter = filter_of(priority);

	filter.prog_fd = prog_fd;
	filter.flags = replace ? BPF_TC_F_REPLACE : 0;
	return bpf_tc_attach(&hook, &filter);
}

static int attach_to(int ifindex, int prog_fd, uint32_t prog_id)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	uint32_t there = 0, at = find(ifindex, 0, &there);
	int r;

	if (at)
		return there == prog_id ? 0 : put(ifindex, at, prog_fd, true);
	r = bpf_tc_hook_create(&hook);
	if (r && r != -EEXIST)
		return r;
	for (at = 1, r = -EBUSY; r && at <= PRIORITIES; at++)
		r = put(ifindex, at, prog_fd, false);
	return r;
}

/* `prog_id` 0: whichever program of ours. */
static size_t detach_from(int ifindex, uint32_t prog_id)
{
	uint32_t id = 0, at = 0;
	size_t n = 0;

	while ((at = find(ifindex, at, &id))) {
		struct bpf_tc_hook hook = hook_of(ifindex);
		struct bpf_tc_opts filter = filter_of(at);

		if (!prog_id || prog_id == id)
			n += !bpf_tc_detach(&hook, &filter);
	}
	return n;
}

/* What libbpf says of filters that are not there is no news. */
static int say_nothing(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* All interfaces; those that ours is on already are left alone. 0: at least one has it. */
static int attach_to_all(struct attach *a)
{
	libbpf_print_fn_t before = libbpf_set_print(say_nothing);
	struct if_nameindex *list = if_nameindex();
	int fd = bpf_program__fd(a->skel->progs.eg_backstop), r = -ENODEV, one;
	uint32_t id = id_of(fd);

	for (size_t i = 0; list && id && list[i].if_index; i++) {
		if (!strcmp(list[i].if_name, "lo"))
			continue;
		one = attach_to((int)list[i].if_index, fd, id);
		if (one && one != -ENODEV)
			log_warn("backstop: not on %s: %s", list[i].if_name, strerror(-one));
		if (!one || r == -ENODEV)
			r = one;
	}
	if (list)
		if_freenameindex(list);
	libbpf_set_print(before);
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
	libbpf_print_fn_t before = libbpf_set_print(say_nothing);
	struct if_nameindex *list = if_nameindex();
	size_t n = 0;

	for (size_t i = 0; list && list[i].if_index; i++)
		n += detach_from((int)list[i].if_index, prog_id);
	if (list)
		if_freenameindex(list);
	libbpf_set_print(before);
	return n;
}

void backstop_stop(struct attach *a)
{
	uint32_t id;

	if (!is_on(a))
		return;
	id = id_of(bpf_program__fd(a->skel->progs.eg_backstop));
	if (id)
		detach_from_all(id);
}

size_t backstop_disarm(void)
{
	return detach_from_all(0);
}
