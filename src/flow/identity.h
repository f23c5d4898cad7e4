/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for numbers of this host: users from the user database, systemd unit and container from the cgroup path,
 * container name and image from the runtime's state files when they can be read (Docker, containerd, Podman/CRI-O,
 * LXC). Answers are cached; `root` is put before every path, so tests bring a tree of their own.
 */
#pragma once

#include <stdint.h>

#include "base/intern.h"

struct identity;
struct workload;

/* `root` "": this host, whose user database is asked; else users are in root/etc/passwd. cgroup2_fd, the mount's root,
 * is borrowed and may be -1: then cgroups are only known by path. */
int identity_new(struct identity **ret, struct intern *texts, const char *root, int cgroup2_fd);
struct identity *identity_free(struct identity *id);

/* Borrowed until the next call; NULL: no name. */
struct text *identity_user(struct identity *id, uint32_t uid);
/* `path` may be empty: then it is looked up by the cgroup id. `pid` helps on hosts where units live in cgroup v1.
 * NULL only without memory. Borrowed until the next call; who keeps it takes a reference. */
const struct workload *identity_workload(struct identity *id, struct str path, uint64_t cgroup_id,
					 uint32_t pid);
void workload_ref(const struct workload *w); /* NULL is fine, as below */
void workload_put(struct identity *id, const struct workload *w);
