/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of policy's "who" that only user space can do: the host's mounts, the processes that were there before, trees
 * that a new policy names, containers. The kernel's side is bpf/path.h and bpf/who.h.
 */
#pragma once

#include "attach/internal.h"
#include "bpf/who_abi.h"

struct who;

/* Once the hooks are attached: tells the kernel of the host's mounts and of every process. */
int who_start(struct attach *a);
void who_stop(struct attach *a);
/* With each sweep: mounts that changed, entries that nothing needs any more, what was lost. */
void who_tick(struct attach *a);

/* mounts.c: the host's mounts, as the kernel's side is told of them */
struct mounts;
int mounts_new(struct mounts **ret, struct attach *a);
struct mounts *mounts_free(struct mounts *m);
void mounts_tick(struct mounts *m);
bool mounts_of_self(
	const struct mounts *m); /* they are this process's own, else those of process 1 */
/* The host's path of a file, in `buf`; STR_NONE: none of the host's mounts holds it. */
struct str mounts_path(const struct mounts *m, const struct eg_path *path,
		       char buf[2 * EG_PATH_MAX]);
