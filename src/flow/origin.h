/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a program comes from: put there by the package manager, by an administrator, by a user, or by nobody who means it
 * to stay. Asks the file system of this host (two or three stat(2)) and dpkg's lists of files; rpm and others have no lists
 * in plain text: there a file of root below /usr is SYSTEM.
 *
 * An interpreter's origin is not its script's: ask for both paths. A path is a text of whoever runs the program, who may
 * have mounted something over it; with the file's inode (origin_of_proc) that is noticed, and UNKNOWN.
 *
 * Memory: 8 bytes a path of dpkg's lists, at most 2,000,000 of them; read when first asked, and
 * again when dpkg has changed its folder and a path is asked for that was not in it, at most every ORIGIN_REREAD_NS.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "base/time.h"

struct origin;
struct proc;

#define ORIGIN_REREAD_NS (30 * NSEC_PER_SEC)

enum exe_origin {
	ORIGIN_UNKNOWN, /* no path, the file is not there, or it is not the file that was run */
	ORIGIN_PACKAGE, /* dpkg put it there; only root may write to it */
	ORIGIN_SYSTEM, /* no dpkg: below /usr, /bin, /sbin, /lib, /opt, /snap, /nix; only root may write to it */
	ORIGIN_LOCAL, /* any other place: /usr/local, /srv, /var; or of no package, or others may write to it */
	ORIGIN_HOME, /* below /home or /root */
	ORIGIN_TEMP, /* /tmp, /var/tmp, /dev/shm, /run/user, or a folder that everybody may write to */
	ORIGIN_MEMFD, /* never had a name */
	ORIGIN_DELETED, /* lost its name, and no package's file has it now (that would be an update) */
	ORIGIN_CONTAINER, /* in a container's own tree, which is not looked at; its TEMP and HOME are told by path */
};

/* `root` is put before every path, "" for this host. -ENOMEM. */
int origin_new(struct origin **ret, const char *root);
struct origin *origin_free(struct origin *o);

/* Of a path as text, absolute. */
enum exe_origin origin_of_path(struct origin *o, struct str path, uint64_t now_ns);
/* Of a process's executable. */
enum exe_origin origin_of_proc(struct origin *o, const struct proc *p, uint64_t now_ns);

const char *exe_origin_name(enum exe_origin v); /* "package", "temp" …, "unknown" */
size_t origin_paths(const struct origin *o); /* how many are known; 0: not asked yet, or no dpkg */
uint64_t
origin_lost(const struct origin *o); /* lists and paths left out: over the limit, or not readable */
