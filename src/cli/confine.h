/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offline reader's own cage: once its inputs are open it needs to read, write and ask for memory, nothing else.
 * A decoder bug then has no file to open, no socket to talk through and no program to start.
 */
#pragma once

/* From here on every other system call fails with EPERM. 0; -errno when the kernel has no seccomp filters. */
int confine_to_open_files(void);
