/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who: one entry a process image, that is a process from its start or exec to its next exec or end. A flow holds a
 * reference to the image that opened it, so the answer stays true when the process has become another program or is
 * long gone. Fed by EVENT_PROC; an image nobody refers to any more is dropped some seconds after its process ended
 * (notices of its last flows may still be on their way).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/intern.h"
#include "decode/event.h"

struct proc_table;
struct identity;

enum exe_state { EXE_UNKNOWN, EXE_FILE, EXE_DELETED, EXE_MEMFD, EXE_KERNEL };

/* Where a process runs; shared by all processes of one cgroup. See flow/identity.h. */
struct workload {
	struct text *cgroup; /* path below the cgroup2 mount */
	struct text *unit;   /* systemd unit, NULL when none */
	struct text *container_id, *container_runtime, *container_name,
		*container_image; /* NULL when none */
};

struct proc {
	uint32_t refs;
	uint32_t pid;
	uint64_t start_ns;      /* CLOCK_BOOTTIME: with pid the identity of the process */
	uint64_t start_unix_ns; /* the same, for people */
	uint32_t uid, gid;
	struct proc *parent; /* as of this image; a reference; NULL: not known, or pid 1 */
	uint32_t ppid;       /* also when the parent's image is not known */
	enum exe_state exe_state;
	uint32_t exe_dev_major, exe_dev_minor;
	uint64_t exe_inode;             /* 0: not known */
	struct text *exe, *comm, *args; /* args NUL-separated and redacted; each may be NULL */
	bool args_cut;
	struct text *
		was; /* executables this process was before, NUL-separated, oldest first; without its parent's */
	struct text *user;               /* name of uid, NULL when it has none */
	const struct workload *workload; /* a reference, NULL: not known */
	uint64_t ended_ns;               /* 0: alive */
	bool opened_packet_socket;
	/* As of the last exec, of itself or of whom it was forked from; see flow/proc_stdio.h for how they are now. */
	struct stdio stdio[STDIO_COUNT];
};

struct proc_table_config {
	struct intern *texts; /* borrowed */
	struct identity
		*identity; /* borrowed, with the same texts; NULL: no users, units, containers */
	size_t max;        /* images alive at once */
	uint64_t boot_unix_ns; /* what to add to CLOCK_BOOTTIME for Unix time */
};

int proc_table_new(struct proc_table **ret, const struct proc_table_config *cfg);
struct proc_table *
proc_table_free(struct proc_table *t); /* after everything that holds references */

/* Takes in an EVENT_PROC. Gives the image it concerns, borrowed, or NULL when the table is full. */
struct proc *proc_table_event(struct proc_table *t, const struct event *e);

/*
 * The image of a process now; a stand-in with what the notice says (pid, uid, comm, cgroup; exe_state EXE_UNKNOWN, or
 * read from /proc if the process still runs with the same start time) when it was never announced. Borrowed; NULL full.
 */
struct proc *proc_table_find(struct proc_table *t, const struct event_open *open, uint64_t now_ns);

struct proc *proc_ref(struct proc *p); /* NULL stays NULL */
void proc_put(struct proc_table *t, struct proc *p);
void proc_table_tick(struct proc_table *t,
		     uint64_t now_ns); /* drops what ended and is not referred to */
/* The images that processes are now. For what is rare; the callback must not feed events. */
void proc_table_each(struct proc_table *t, void (*fn)(void *ctx, struct proc *p), void *ctx);
size_t proc_table_count(const struct proc_table *t);
uint64_t proc_table_lost(const struct proc_table *t);

/* The last part of the executable's path, else comm, else "[pid 123]"; for people and for grouping. */
struct str proc_name(const struct proc *p);
/* "deleted", "memfd", "kernel" or NULL: what must be said beside the path. */
const char *proc_exe_note(const struct proc *p);
