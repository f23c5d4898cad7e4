/* SPDX-License-Identifier: Apache-2.0 */
/* What egretd does to its own process: rights it gives up, readiness it tells, the background it goes to. */
#pragma once

/* Keeps what the sweep, /proc and cgroup look-ups need; the rest of root's power is given up for good. 0; -EPERM. */
int daemon_drop_capabilities(void);
void daemon_notify_ready(void); /* systemd's readiness protocol, sd_notify(3) */
/*
 * The parent waits until a byte comes, and exits as told; does not return. In the child the descriptor to write that byte to,
 * or -errno. Standard streams go to /dev/null, but for errors until then.
 */
int daemon_go_to_background(void);
