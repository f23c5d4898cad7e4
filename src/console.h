/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egretd --console`: page, API and control socket over the ClickHouse of a fleet, for all its hosts. It watches nothing, has no
 * kernel programs, and needs no rights; questions are answered as everywhere, by a process of their own (answerer.h).
 */
#pragma once

struct config;

/* Whether egret.conf can be that of a console; what it says of watching and judging does not count. 0; -EINVAL, logged. */
int console_check(struct config *c, const char *path);
/* Until it is told to end. `ready_fd` is that of daemon_ready(). The exit status. */
int console_run(const struct config *c, int ready_fd);
