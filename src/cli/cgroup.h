/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup v2 of one's own for a command and all it starts. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct cgroup {
	char path[512]; /* below the cgroup2 mount, no '/' in front */
	int fd;         /* of the folder; -1 before cgroup_make() */
	int mount_fd;   /* of the cgroup2 root */
};

#define CGROUP_INIT ((struct cgroup){ .fd = -1, .mount_fd = -1 })

/* Makes "egret-exec-PID" inside the caller's own cgroup. 0; -errno with the reason in `error`. */
int cgroup_make(struct cgroup *c, char error[256]);

/* A child inside the cgroup from its first instruction: as fork(). */
pid_t cgroup_fork(const struct cgroup *c);

bool cgroup_is_populated(const struct cgroup *c);

/* The folder "egret-exec-PID" of a run that is gone, wherever it is: 0 removed or none; -EBUSY: something runs in it. */
int cgroup_remove_leftover(int mount_fd, pid_t pid);

/* Ends every process in it. */
void cgroup_kill(const struct cgroup *c);

/* Hands what still runs back to the caller's cgroup and removes it; how many processes that were. */
int cgroup_remove(struct cgroup *c);
