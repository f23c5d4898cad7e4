/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to attach/: a filter of ours at tc's clsact, by libbpf. A filter needs no process to go on: it is found again by its
 * handle and the name of its program, whoever attached it, and replaced in place. Those of others stay as they are; the clsact qdisc
 * stays when ours was the first filter there: others may have joined since.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bpf/libbpf.h>

struct tc_filter {
	enum bpf_tc_attach_point where;
	uint32_t handle;
	const char *program; /* its name in the kernel */
};

/* The program's id; 0: the kernel does not tell. */
uint32_t tc_program_id(int prog_fd);
/* From now on it runs this program there; at one of the first priorities. 0 or -errno. */
int tc_attach(const struct tc_filter *f, int ifindex, int prog_fd);
bool tc_is_attached(const struct tc_filter *f, int ifindex, int prog_fd);
/* How many were taken away; `prog_id` 0: whichever program they run. */
size_t tc_detach(const struct tc_filter *f, int ifindex, uint32_t prog_id);

/* What libbpf says of filters that are not there is no news: between these two it says nothing. */
libbpf_print_fn_t tc_hush(void);
void tc_unhush(libbpf_print_fn_t before);
