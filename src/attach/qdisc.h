/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to attach/: the queue that egret puts before a link (shaper.h), by netlink. HTB, known by its handle, with a class a priority;
 * what waits in a class is bounded in time. TBF below each class cuts large segments to packets, which HTB does not: one of 64 KiB would
 * hold up all others for 26 ms at 20 Mbit/s.
 *
 *     htb e67e:  ── 1  the link's rate, a little less: the queue stands here and not in the modem
 *                   ├── 16 high    first, at least 75 %    10 ms
 *                   ├── 10 normal  then, at least 20 %     20 ms
 *                   └── 12 low     the rest, at least 5 %  50 ms
 *
 * It needs no process to go on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QDISC_CLASSES 3

/* Bytes and bytes a second. */
struct qdisc_class {
	uint32_t minor, priority;
	uint64_t rate;
	uint32_t burst, limit; /* of its own rate; of what waits */
};
struct qdisc_plan {
	uint64_t rate;
	uint32_t burst, quantum, packet; /* packet: the largest that is not cut */
	struct qdisc_class classes[QDISC_CLASSES];
};
void qdisc_plan(struct qdisc_plan *ret, uint64_t bits, uint32_t mtu);

struct mnl_socket;
int qdisc_open(struct mnl_socket **ret); /* mnl_socket_close() */

/* The root queues of all interfaces of this network namespace, some perhaps twice. handle 0: the kernel's own choice. */
typedef void (*qdisc_root_fn)(void *ctx, int ifindex, uint32_t handle, const char *kind);
int qdisc_each_root(qdisc_root_fn fn, void *ctx);
bool qdisc_is_ours(uint32_t handle, const char *kind);

/* Ours, made or changed in place; `prog_fd`: the filter that finds the class of what has none. -errno; then there is none. */
int qdisc_put(struct mnl_socket *nl, int ifindex, bool there, const struct qdisc_plan *plan,
	      int prog_fd);
int qdisc_remove(struct mnl_socket *nl, int ifindex); /* ours; the kernel puts its own there */
