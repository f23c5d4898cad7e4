/* SPDX-License-Identifier: Apache-2.0 */
/* What the process gives up before it hears the first client. */
#pragma once

/*
 * Becomes user egret, else nobody, when it is root; gives up every capability for good; no core files, no memory without end.
 * 0; -errno, logged.
 */
int cage_enter(void);
/* After all is set up: only what serving takes. No file can be opened, no connection made, no program started. */
int cage_lock(void);
