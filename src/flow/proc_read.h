/* SPDX-License-Identifier: Apache-2.0 */
/* One living process from /proc, for those that were never announced (a lost notice). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/proc.h"

struct proc_read {
	uint32_t ppid;
	enum exe_state exe_state;
	char comm[32];
	char exe[4096]; /* empty when it cannot be read */
	char args[4096];
	size_t n_args;
	bool args_cut;
};

/* 0; -ESRCH when the process is gone or the pid is another's by now (its start differs from CLOCK_BOOTTIME start_ns). */
int proc_read(struct proc_read *ret, uint32_t pid, uint64_t start_ns);

/* The process's folder in /proc, to read below; the caller closes it. -ESRCH as above. */
int proc_open(uint32_t pid, uint64_t start_ns);
