// SPDX-License-Identifier: Apache-2.0
#include "attach/tc.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "base/cleanup.h"

/* The first ones, so that another filter's "let it pass" does not end the way before ours. */
#define PRIORITIES 8

static struct bpf_tc_opts opts_of(const struct tc_filter *f, uint32_t priority)
{
	return (struct bpf_tc_opts){ .sz = sizeof(struct bpf_tc_opts),
				     .handle = f->handle,
				     .priority = priority };
}

static struct bpf_tc_hook hook_of(const struct tc_filter *f, int ifindex)
{
	return (struct bpf_tc_hook){ .sz = sizeof(struct bpf_tc_hook),
				     .ifindex = ifindex,
				     .attach_point = f->where };
}

/* A filter with our handle. To ask for its program's name takes a right that the daemon has given up by then. */
static bool is_ours(const struct tc_filter *f, uint32_t prog_id)
{
	struct bpf_prog_info info = { 0 };
	uint32_t n = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return errno == EPERM;
	return !bpf_obj_get_info_by_fd(fd, &info, &n) && !strcmp(info.name, f->program);
}

uint32_t tc_program_id(int prog_fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t n = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &n) ? 0 : info.id;
}

/* The priority above `from` at which a filter of ours stands, or 0. *ret_id: its program. */
static uint32_t find(const struct tc_filter *f, int ifindex, uint32_t from, uint32_t *ret_id)
{
	for (uint32_t i = from + 1; i <= PRIORITIES; i++) {
		struct bpf_tc_hook hook = hook_of(f, ifindex);
		struct bpf_tc_opts filter = opts_of(f, i);

		if (bpf_tc_query(&hook, &filter) || !is_ours(f, filter.prog_id))
			continue;
		*ret_id = filter.prog_id;
		return i;
	}
	return 0;
}

bool tc_is_attached(const struct tc_filter *f, int ifindex, int prog_fd)
{
	uint32_t id = 0;

	return find(f, ifindex, 0, &id) && id == tc_program_id(prog_fd);
}

static int put(const struct tc_filter *f, int ifindex, uint32_t priority, int prog_fd, bool replace)
{
	struct bpf_tc_hook hook = hook_of(f, ifindex);
	struct bpf_tc_opts filter = opts_of(f, priority);

	filter.prog_fd = prog_fd;
	filter.flags = replace ? BPF_TC_F_REPLACE : 0;
	return bpf_tc_attach(&hook, &filter);
}

int tc_attach(const struct tc_filter *f, int ifindex, int prog_fd)
{
	struct bpf_tc_hook hook = hook_of(f, ifindex);
	uint32_t there = 0, at = find(f, ifindex, 0, &there);
	int r;

	if (at)
		return there == tc_program_id(prog_fd) ? 0 : put(f, ifindex, at, prog_fd, true);
	r = bpf_tc_hook_create(&hook);
	if (r && r != -EEXIST)
		return r;
	for (at = 1, r = -EBUSY; r && at <= PRIORITIES; at++)
		r = put(f, ifindex, at, prog_fd, false);
	return r;
}

size_t tc_detach(const struct tc_filter *f, int ifindex, uint32_t prog_id)
{
	uint32_t id = 0, at = 0;
	size_t n = 0;

	while ((at = find(f, ifindex, at, &id))) {
		struct bpf_tc_hook hook = hook_of(f, ifindex);
		struct bpf_tc_opts filter = opts_of(f, at);

		if (!prog_id || prog_id == id)
			n += !bpf_tc_detach(&hook, &filter);
	}
	return n;
}

static int say_nothing(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

libbpf_print_fn_t tc_hush(void)
{
	return libbpf_set_print(say_nothing);
}

void tc_unhush(libbpf_print_fn_t before)
{
	libbpf_set_print(before);
}
