/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs are, as both sides keep it: values of the maps of path.h and who.h. The same rules as for abi.h. */
#pragma once

#include "abi.h"

/*
 * A file by its own path in its own file system, from that one's root: whatever is mounted where, and over what, in
 * whichever namespace. By the host's mounts that becomes the path that policy knows. A script is a path as it was given.
 */
#define EG_DEV_GIVEN 0xffffffffU /* the text is a path of the host already */
struct eg_path {
	__u64 judged; /* generation << 32 | mounts << 16 | class, in one word */
	__u32 dev;
	__u32 used_s; /* CLOCK_MONOTONIC: when a program began that is called so */
	__u32 len;    /* 0: being written */
	__u32 pad;
	char text[EG_PATH_MAX];
};

/* A mount of the host: what lies below the folder `root` of device `dev` is found at `point`. */
struct eg_mount_key {
	__u64 root; /* hash of the folder's path in its file system; "" (0) is the root */
	__u32 dev;
	__u32 pad;
};
struct eg_mount {
	__u32 len;
	__u32 pad;
	char point[EG_PATH_MAX]; /* without '/' at the end: "" is the root */
};

/* By tgid. */
struct eg_process {
	__u64 start_ns; /* of the process, CLOCK_BOOTTIME: numbers are used again */
	__u64 exe, script, trees;
	__u32 ppid; /* who forked it */
	__u32 pad;
};

/* By cgroup id. The path ends at the end of `text`. */
struct eg_cgroup_path {
	__u64 judged; /* generation << 16 | class */
	__u32 from;   /* 0: being written */
	__u32 looks;  /* like a container's */
	char text[EG_CGROUP_MAX + 256];
};

/* Told by user space; two generations, because the next is told before it is in force. */
struct eg_container {
	__u64 judged[2]; /* generation << 16 | class, at generation & 1 */
};

/* What could not be known; each an entry of an array per CPU. */
#define EG_WHO_LOST(X)                                                           \
	X(PROCESSES, "processes: no room, their programs are unknown to policy") \
	X(PATHS, "paths: no room, programs are unknown to policy")               \
	X(LONG, "paths: too long or too deep to be matched")                     \
	X(GROUPS, "groups: a process has more than are looked at")
#define EG_WHO_LOST_COUNT 4

/* Argument of the program that adds trees to a process. */
struct eg_tag {
	__u64 start_ns, trees;
	__u32 pid, pad;
};
