/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers: which one a cgroup path belongs to, and what its runtime calls it. Runtimes keep that in files of their
 * own (Docker: config.v2.json; containerd: the bundle's config.json; Podman and CRI-O: containers.json); they are read
 * when they can be, and nothing is asked of any daemon.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

#define CONTAINER_TEXT_MAX 256

struct container {
	struct str id;       /* points into the path */
	const char *runtime; /* "docker", "containerd", "podman", "cri-o", "lxc", "nspawn", "oci" */
	bool own_unit;       /* the innermost unit of the path is only the container's own scope */
	char name[CONTAINER_TEXT_MAX], image[CONTAINER_TEXT_MAX]; /* empty: not known */
};

/* False: the path is of no container. Fills id and runtime; for LXC and nspawn also the name, which is the id. */
bool container_of_path(struct str path, struct container *ret);

/* Reads the runtime's state below `root`; true when a name or image was found. */
bool container_read_state(const char *root, struct container *c);
