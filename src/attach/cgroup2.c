/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/cgroup2.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define MAX_LEVEL 64

int cgroup2_mount_path(char *ret_path, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mounts", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) >= 0) {
		char *rest = line, *path, *type;

		strsep(&rest, " ");
		path = strsep(&rest, " ");
		type = strsep(&rest, " ");
		if (!path || !type || strcmp(type, "cgroup2") || strlen(path) >= size)
			continue;
		snprintf(ret_path, size, "%s", path);
		return 0;
	}
	return -ENOENT;
}

int cgroup2_open(void)
{
	_cleanup_close_ int context = -1;
	char path[4096];
	int fd;

	if (cgroup2_mount_path(path, sizeof(path)) == 0) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	context = fsopen("cgroup2", FSOPEN_CLOEXEC);
	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

uint32_t cgroup2_level(int fd)
{
	_cleanup_close_ int at = dup(fd);
	uint32_t level = 0;

	/* The root of a mount is its own parent, or leads out of it to another device. */
	while (at >= 0 && level < MAX_LEVEL) {
		int up = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct stat here, above;

		if (up < 0 || fstat(at, &here) < 0 || fstat(up, &above) < 0 ||
		    here.st_dev != above.st_dev || here.st_ino == above.st_ino) {
			if (up >= 0)
				close(up);
			break;
		}
		close(at);
		at = up;
		level++;
	}
	return level;
}
