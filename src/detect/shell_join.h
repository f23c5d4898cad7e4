/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a shell may be joined to a program that moves bytes, told from what both have at descriptors 0 and 1. Both directions
 * count or none does: `curl … | sh` and `df | nc …` are ordinary. Only what cannot be the same terminal or pipe that both
 * were given by whoever started them: an `ssh` that runs its ProxyCommand by a shell gives shell and `nc` the same ends.
 */
#pragma once

#include <stdbool.h>

#include "flow/proc.h"

/* What is written to `out` of one process comes out at `in` of another. */
bool shell_feeds(const struct stdio *out, const struct stdio *in);

/* The same process, of whichever image. */
bool shell_same_process(const struct proc *a, const struct proc *b);

/* `shell` was started by `relay` on descriptors that are not the relay's own. */
bool shell_is_child(const struct proc *shell, const struct proc *relay);

/* What the shell writes goes to the relay; and what the relay writes to the shell. */
bool shell_writes_to(const struct proc *shell, const struct proc *relay);
bool shell_reads_from(const struct proc *shell, const struct proc *relay);

/* Both descriptors are one socket of a network; `ret` is it. */
bool shell_on_socket(const struct stdio s[STDIO_COUNT], const struct stdio **ret);
