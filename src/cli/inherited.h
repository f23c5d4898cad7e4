/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internet sockets that a command would inherit. They belong to the cgroup that made them, whoever holds them later, so
 * a sandbox has to judge them before it starts.
 */
#pragma once

#include <stdbool.h>

#include "cli/offline.h"

/* Descriptors that survive exec() and are sockets of the internet or packet sockets; how many. -errno. */
int inherited_sockets(int *fds, int max);

struct name_table;

/*
 * A connection that the policy allows this command. What has no peer could reach any, and
 * does not pass. Says why not.
 */
bool inherited_may_pass(int fd, const struct offline *o, struct name_table *names,
			const char *command);
