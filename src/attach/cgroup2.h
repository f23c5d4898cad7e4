/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup v2 hierarchy: where it is, and how deep a folder of it lies. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Where it is mounted (from /proc/self/mounts; also beside v1); 0 or -ENOENT. */
int cgroup2_mount_path(char *ret_path, size_t size);

/*
 * Its root folder. Where none is mounted, as in `ip netns exec`, which puts a fresh /sys over it, one is mounted that
 * belongs to the returned fd alone and changes nothing for anybody else. An fd of the caller's own; -errno.
 */
int cgroup2_open(void);

/* Steps from the folder `fd` up to the root of its mount. */
uint32_t cgroup2_level(int fd);
