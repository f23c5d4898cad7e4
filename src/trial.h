/* SPDX-License-Identifier: Apache-2.0 */
/* `egretd -T`. */
#pragma once

struct config;

/* The policy, parsed and compiled as it would be now but for lists that are not downloaded yet, and the page's files. The exit status. */
int trial_run(const struct config *c, const char *path);
