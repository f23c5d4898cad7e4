/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `egret exec --policy` adds: a policy in force for one cgroup before the command starts in it. Its hooks are pinned
 * under a name of its own, so that the command stays restrained when egret is killed; what such a run left is taken
 * away by the next, once nothing runs in its cgroup any more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/cgroup.h"
#include "decode/event.h"
#include "flow/flow.h"

struct attach;
struct locator;
struct pipeline;
struct sandbox;

#define SANDBOX_PIN_MAX 32

/* What this process's hooks are pinned under: "exec-PID". */
void sandbox_pin_name(char name[SANDBOX_PIN_MAX]);
/* Pins and cgroups of runs that were killed. */
void sandbox_clear_leftovers(int cgroup_mount_fd);

/* 0; -errno after saying why: then the command is not to be run. `watch`: nothing is refused, only noted. */
int sandbox_new(struct sandbox **ret, struct attach *attach, struct pipeline *pipeline,
		struct locator *locator, const char *policy, bool watch);
struct sandbox *sandbox_free(struct sandbox *s); /* nothing is enforced any more */
/* Before attach_free(): nothing is enforced any more, rules keep their words. */
void sandbox_release(struct sandbox *s);

void sandbox_event(struct sandbox *s, const struct event *e); /* after the pipeline */
void sandbox_ended(struct sandbox *s, const struct flow *f);
void sandbox_tick(struct sandbox *s, uint64_t now_ns);

/*
 * Sockets that the command would get from us, and that no hook of its cgroup sees because they were made outside: the
 * descriptors of those that may not be handed on. A connected one is judged as the flow it is. How many; -errno.
 */
#define SANDBOX_FDS_MAX 256
int sandbox_inherited(struct sandbox *s, const char *command, int fds[SANDBOX_FDS_MAX]);
