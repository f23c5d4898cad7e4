/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/proc_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"

static int read_all(int dir, const char *name, char *to, size_t size, size_t *ret_n)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (*ret_n = 0; *ret_n < size; *ret_n += (size_t)n) {
		n = read(fd, to + *ret_n, size - *ret_n);
		if (n < 0)
			return -errno;
		if (!n)
			break;
	}
	return 0;
}

/* Fields 2 (comm), 4 (ppid) and 22 (start, clock ticks) of /proc/PID/stat; comm may hold blanks and parentheses. */
static int read_stat(int dir, struct proc_read *ret, uint64_t *ret_start_ns)
{
	char text[1024], *open, *close;
	struct str rest, part;
	uint64_t v = 0, ticks;
	size_t n;
	int r = read_all(dir, "stat", text, sizeof(text) - 1, &n);

	if (r < 0)
		return r;
	text[n] = 0;
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || close < open || close + 2 > text + n)
		return -EIO;
	n = MIN((size_t)(close - open - 1), sizeof(ret->comm) - 1);
	memcpy(ret->comm, open + 1, n);
	ret->comm[n] = 0;
	rest = str_of(close + 2);
	for (int field = 3; field <= 22; field++) {
		if (!str_cut(&rest, ' ', &part))
			return -EIO;
		if (field == 4 && str_parse_u64(part, &v) == 0)
			ret->ppid = (uint32_t)v;
	}
	if (str_parse_u64(part, &ticks) < 0)
		return -EIO;
	*ret_start_ns = ticks * (NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
	return 0;
}

static void read_exe(int dir, struct proc_read *ret)
{
	static const char deleted[] = " (deleted)", memfd[] = "/memfd:";
	ssize_t n = readlinkat(dir, "exe", ret->exe, sizeof(ret->exe) - 1);

	ret->exe_state = EXE_UNKNOWN;
	if (n <= 0) {
		/* No file at all and no arguments either: a thread of the kernel. */
		ret->exe[0] = 0;
		if (n < 0 && errno == ENOENT && !ret->n_args)
			ret->exe_state = EXE_KERNEL;
		return;
	}
	ret->exe[n] = 0;
	ret->exe_state = EXE_FILE;
	if ((size_t)n < sizeof(deleted) || strcmp(ret->exe + n - (sizeof(deleted) - 1), deleted))
		return;
	ret->exe[(size_t)n - (sizeof(deleted) - 1)] = 0;
	ret->exe_state = strncmp(ret->exe, memfd, sizeof(memfd) - 1) ? EXE_DELETED : EXE_MEMFD;
}

static int open_checked(struct proc_read *ret, uint32_t pid, uint64_t start_ns)
{
	_cleanup_close_ int dir = -1;
	char path[32];
	uint64_t found, tick = NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	int r;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -ESRCH;
	r = read_stat(dir, ret, &found);
	if (r < 0 || found > start_ns || start_ns - found >= tick)
		return -ESRCH;
	/* The directory belongs to this process alone: when it has ended, reads below it fail. */
	return TAKE_FD(dir);
}

int proc_open(uint32_t pid, uint64_t start_ns)
{
	struct proc_read stat = { 0 };

	return open_checked(&stat, pid, start_ns);
}

int proc_read(struct proc_read *ret, uint32_t pid, uint64_t start_ns)
{
	_cleanup_close_ int dir = -1;

	*ret = (struct proc_read){ 0 };
	dir = open_checked(ret, pid, start_ns);
	if (dir < 0)
		return dir;
	if (read_all(dir, "cmdline", ret->args, sizeof(ret->args), &ret->n_args) < 0)
		ret->n_args = 0;
	ret->args_cut = ret->n_args == sizeof(ret->args);
	read_exe(dir, ret);
	return 0;
}
