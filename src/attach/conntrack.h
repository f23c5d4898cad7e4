/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows conntrack of this network namespace by netlink: what it has at the start, then what begins and ends. Connections that are
 * translated become EVENT_NAT; of the others only that they are not. What the socket had no room for is a loss (LOSS_CONNTRACK), and all
 * is asked for again. Needs CAP_NET_ADMIN. Never waits; whoever owns it calls conntrack_read() on a steady beat.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/event.h"

struct conntrack;

/* 0 also where the kernel has no conntrack: then conntrack_problem() says so. */
int conntrack_new(struct conntrack **ret, struct event_out out);
struct conntrack *conntrack_free(struct conntrack *c);
void conntrack_read(struct conntrack *c);

/* Why translations are not known, in words; NULL: they are. Asks the kernel's setting. */
const char *conntrack_problem(const struct conntrack *c);
uint64_t conntrack_translated(const struct conntrack *c); /* connections so far */
