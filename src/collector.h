/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egretd --collector`: joins the batches of many agents (src/collector/) and sends them on to the ClickHouse of the same file. It watches
 * nothing and needs no rights.
 */
#pragma once

struct config;

int collector_check(struct config *c, const char *path); /* can it be one? -EINVAL; logs why not */
int collector_run(const struct config *config, int ready_fd); /* the exit status */
