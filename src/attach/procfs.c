/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process from /proc: for those that the kernel's walk over tasks leaves out (the init of some virtual machines),
 * but that are the parent of one it told of. That child knows when its parent began, to the nanosecond.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attach/internal.h"
#include "base/cleanup.h"
#include "base/time.h"

/* A whole small file; its length, 0 when it cannot be read. */
static size_t read_file(uint32_t pid, const char *name, char *buf, size_t room)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, room);
	return n > 0 ? n : 0;
}

struct str procfs_args(uint32_t pid, char *buf, size_t room, bool *ret_cut)
{
	size_t n = read_file(pid, "cmdline", buf, room);

	*ret_cut = n == room;
	return (struct str){ buf, n };
}

static uint32_t status_number(struct str status, const char *name)
{
	struct str line, want = str_of(name);
	uint64_t v = 0;

	while (str_cut(&status, '\n', &line)) {
		struct str word;

		if (!str_has_prefix(line, want))
			continue;
		line = str_trim(str_sub(line, want.n, line.n));
		str_cut(&line, '\t', &word);
		return str_parse_u64(word, &v) ? 0 : v;
	}
	return 0;
}

static void fill_exe(struct event_proc *p, char *path, size_t room)
{
	static const struct str gone = { " (deleted)", 10 }, memfd = { "/memfd:", 7 };
	char link[64];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%u/exe", p->pid);
	n = readlink(link, path, room);
	if (n <= 0)
		return; /* a thread of the kernel, or not ours to see */
	p->exe = (struct str){ path, n };
	if (p->exe.n > gone.n && !memcmp(path + n - gone.n, gone.p, gone.n)) {
		p->exe_deleted = true;
		p->exe.n -= gone.n;
	}
	if (p->exe_deleted && str_has_prefix(p->exe, memfd)) {
		p->exe_memfd = true;
		p->exe = str_sub(p->exe, 1, p->exe.n);
	}
	if (stat(link, &st))
		return;
	p->exe_inode = st.st_ino;
	p->exe_dev_major = major(st.st_dev);
	p->exe_dev_minor = minor(st.st_dev);
}

void procfs_tell(struct attach *a, uint32_t pid, uint64_t start_ns)
{
	struct event e = { .type = EVENT_PROC, .time_ns = time_now() };
	char status[2048], comm[32], args[EG_ARGS_MAX], cgroups[1024];
	struct str lines, line;

	lines = (struct str){ status, read_file(pid, "status", status, sizeof(status)) };
	if (!lines.n)
		return;
	e.proc.change = PROC_SEEN;
	e.proc.pid = pid;
	e.proc.start_ns = start_ns;
	e.proc.ppid = status_number(lines, "PPid:");
	e.proc.uid = status_number(lines, "Uid:");
	e.proc.gid = status_number(lines, "Gid:");
	e.proc.comm = str_trim((struct str){ comm, read_file(pid, "comm", comm, sizeof(comm)) });
	e.proc.args = procfs_args(pid, args, sizeof(args), &e.proc.args_cut);
	fill_exe(&e.proc, a->path, sizeof(a->path));
	lines = (struct str){ cgroups, read_file(pid, "cgroup", cgroups, sizeof(cgroups)) };
	while (str_cut(&lines, '\n', &line))
		if (str_has_prefix(line, STR("0::")))
			e.proc.cgroup = str_sub(line, 3, line.n);
	attach_emit(a, &e);
}
