/* SPDX-License-Identifier: Apache-2.0 */
/* What egretd does to its own process: rights it gives up, readiness it tells, the background it goes to. */
#pragma once

#include <stdbool.h>

/*
 * Of root's power whoever watches keeps what the sweep, /proc and cgroup look-ups need, others nothing; the rest is given up for
 * good. 0; -EPERM.
 */
int daemon_drop_capabilities(bool watches);
/* Tells systemd (sd_notify(3)), and the parent that waits at *parent_fd; -1: none does. */
void daemon_ready(int *parent_fd);
/*
 * The parent waits until a byte comes, and exits as told; does not return. In the child the descriptor to write that byte to,
 * or -errno. Standard streams go to /dev/null, but for errors until then.
 */
int daemon_go_to_background(void);
