/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live source of events: loads bpf/host.bpf.c, attaches it to one cgroup v2 subtree, and turns ring buffers and
 * counters into events. Alone in knowing libbpf. Detaches everything when freed: nothing is pinned while there is
 * nothing to enforce.
 *
 * The caller's loop watches attach_fd() and calls attach_drain(); calls attach_sweep() on a steady beat.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/event.h"

struct attach;

struct attach_config {
	int cgroup_fd;            /* the subtree to watch; borrowed */
	bool trace_all_processes; /* false: only processes in the subtree make EVENT_PROC */
	size_t ring_bytes;        /* of the flow ring buffer, a power of two; 0: the default */
	size_t max_peers;         /* peers of unconnected sockets counted at once; 0: the default */
	const char *
		pin; /* name that attach_pin() pins under, and what is taken over (policy.h); NULL: never */
	bool watch_only; /* no policy will be loaded: what judges is left out, which loads much faster */
	bool backstop;            /* also judge at tc egress what no hook of sockets judged */
	const char (*inside)[16]; /* interfaces whose forwarded traffic is counted too; borrowed */
	size_t n_inside;          /* 0: no gateway */
};

/* Loads and attaches. -errno; the reason in words in `error`. */
int attach_new(struct attach **ret, const struct attach_config *cfg, struct event_out out,
	       char error[256]);
/* Takes every hook away and hands on what was still held back, then frees. NULL is fine; returns NULL. */
struct attach *attach_free(struct attach *a);

/*
 * After attach_new: makes EVENT_PROC (PROC_SEEN) of every process, parents first, and EVENT_OPEN (mid_stream) for
 * every socket that already has a peer, in all network namespaces.
 */
int attach_seed(struct attach *a);

int attach_fd(const struct attach *a); /* readable when a ring buffer wants to be drained soon */
int attach_drain(
	struct attach *a); /* hands on what the ring buffers hold; number of events or -errno */

/* EVENT_COUNT for every flow whose counters moved since the last sweep, EVENT_LOSS for what was lost; drains first. */
int attach_sweep(struct attach *a);

/*
 * Waits, for at most so long, until the FINs have come that closed TCP flows still expect (they reach the kernel when
 * the socket is gone; the EVENT_CLOSE of such flows is held back until then, and that of any flow whose end may see
 * another packet for a second: attach_stats.held_closes).
 */
int attach_settle(struct attach *a, unsigned int ms);

struct attach_stats {
	uint64_t events, ring_bytes_used;
	uint64_t map_entries_sockets, map_entries_peers, map_capacity_peers;
	uint64_t bpf_bytes; /* memory of maps and programs as the kernel accounts it */
	uint64_t held_closes;
};
void attach_stats(const struct attach *a, struct attach_stats *ret);

/*
 * How full the maps are that can be full; what that costs is in docs/ARCHITECTURE.md, "What is bounded". Some are counted no more
 * than every half minute. "closes" is in user space: ends that wait for a last packet. "sockets" beyond its capacity are kept in
 * storage of the socket itself.
 */
#define ATTACH_MAPS 16
struct attach_map {
	const char *name;
	uint64_t entries, capacity; /* of "ring-bytes" bytes */
};
size_t attach_maps(struct attach *a, struct attach_map ret[ATTACH_MAPS]); /* how many */
