/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/cgroup2.h"
#include "base/cleanup.h"
#include "base/str.h"

/* The caller's own cgroup v2 path, from the "0::" line of /proc/self/cgroup. */
static int own_path(char *ret, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		struct str s = str_trim(str_of(line));

		if (!str_has_prefix(s, STR("0::/")))
			continue;
		if (s.n - 3 >= size)
			return -ENAMETOOLONG;
		snprintf(ret, size, "%.*s", (int)(s.n - 3), s.p + 3);
		return 0;
	}
	return -ENOENT;
}

int cgroup_make(struct cgroup *c, char error[256])
{
	char own[256];
	int r;

	c->mount_fd = cgroup2_open();
	if (c->mount_fd < 0) {
		snprintf(error, 256, "no cgroup v2 can be had here: %s", strerror(-c->mount_fd));
		return c->mount_fd;
	}
	/* A caller whose cgroup lies outside what is mounted here gets a folder at the root. */
	if (own_path(own, sizeof(own)) < 0 || faccessat(c->mount_fd, own + 1, F_OK, 0) < 0)
		own[1] = 0;
	snprintf(c->path, sizeof(c->path), "%s%segret-exec-%d", own + 1, own[1] ? "/" : "",
		 (int)getpid());
	if (mkdirat(c->mount_fd, c->path, 0755) < 0) {
		r = -errno;
		snprintf(error, 256, "cannot make the cgroup %.180s: %s", c->path, strerror(-r));
		return r;
	}
	c->fd = openat(c->mount_fd, c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->fd < 0) {
		r = -errno;
		snprintf(error, 256, "cannot open the cgroup %.180s: %s", c->path, strerror(-r));
		unlinkat(c->mount_fd, c->path, AT_REMOVEDIR);
		return r;
	}
	return 0;
}

pid_t cgroup_fork(const struct cgroup *c)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)c->fd,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

bool cgroup_is_populated(const struct cgroup *c)
{
	_cleanup_close_ int fd = openat(c->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = 0;
	return strstr(text, "populated 1") != NULL;
}

void cgroup_kill(const struct cgroup *c)
{
	_cleanup_close_ int fd = openat(c->fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);

	/* Since Linux 5.14; a process that forks meanwhile is caught, too. */
	if (fd < 0 || write(fd, "1", 1) != 1)
		return;
	for (int tries = 0; cgroup_is_populated(c) && tries < 200; tries++)
		usleep(10000);
}

#define LEFTOVER_DEPTH 8

/* Looks for the folder below `fd`, which it closes. -ENOENT: it is not there. */
static int remove_named(int fd, const char *name, int depth)
{
	DIR *dir = fdopendir(fd);
	int r = -ENOENT, below;
	struct dirent *d;

	if (!dir) {
		close(fd);
		return -errno;
	}
	if (unlinkat(dirfd(dir), name, AT_REMOVEDIR) == 0)
		r = 0;
	else if (errno == EBUSY || errno == ENOTEMPTY)
		r = -EBUSY;
	while (r == -ENOENT && depth < LEFTOVER_DEPTH && (d = readdir(dir))) {
		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		below = openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (below >= 0)
			r = remove_named(below, name, depth + 1);
	}
	closedir(dir);
	return r;
}

int cgroup_remove_leftover(int mount_fd, pid_t pid)
{
	char name[32];
	int fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "egret-exec-%d", (int)pid);
	r = remove_named(fd, name, 0);
	return r == -ENOENT ? 0 : r;
}

/* Moves every process of the folder to its parent; how many. New ones may appear meanwhile: call again. */
static int evict(const struct cgroup *c)
{
	_cleanup_close_ int procs = openat(c->fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int parent = openat(c->fd, "../cgroup.procs", O_WRONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = procs < 0 ? NULL : fdopen(procs, "r");
	char line[32];
	int n = 0;

	if (!f || parent < 0)
		return -errno;
	TAKE_FD(procs);
	while (fgets(line, sizeof(line), f))
		n += write(parent, line, strlen(line)) > 0;
	return n;
}

int cgroup_remove(struct cgroup *c)
{
	int moved = 0, n = 0;

	if (c->fd < 0)
		return 0;
	/* A folder is busy for a moment after its last process ended. */
	for (int tries = 0;
	     unlinkat(c->mount_fd, c->path, AT_REMOVEDIR) < 0 && errno == EBUSY && tries < 100;
	     tries++) {
		n = evict(c);
		moved += n > 0 ? n : 0;
		if (n <= 0)
			usleep(10000);
	}
	close(TAKE_FD(c->fd));
	close(TAKE_FD(c->mount_fd));
	return moved;
}
