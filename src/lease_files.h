/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the lease files of DHCP servers into the table of machines: at the start, and again when one has changed and come to rest, or
 * after ten seconds if it does not. A file that is not there or cannot be read is said in the log once, and tried when it
 * changes.
 */
#pragma once

#include <stddef.h>

struct lease_files;
struct machine_table;

#define LEASE_PATH 256

/* `paths` is borrowed. */
int lease_files_new(struct lease_files **ret, const char (*paths)[LEASE_PATH], size_t n,
		    struct machine_table *machines);
struct lease_files *lease_files_free(struct lease_files *l);
void lease_files_tick(struct lease_files *l); /* once a second */
/* Why a file is not read, in words; NULL: all are. */
const char *lease_files_problem(const struct lease_files *l);
