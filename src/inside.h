/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway knows of those inside beyond their packets: how NAT translates their connections (conntrack), which
 * MAC addresses they have (neighbours) and what they call themselves (leases). Made and asked by egretd, which calls
 * inside_read() after the kernel's notices were read: a flow is there before its translation is told, mostly.
 */
#pragma once

#include <stddef.h>

#include "decode/event.h"

struct inside;
struct json;
struct machine_table;

struct inside_config {
	struct event_out out;
	const char (*interfaces)[16]; /* that are inside; borrowed */
	size_t n_interfaces;
	const char (*leases)[256]; /* files; borrowed */
	size_t n_leases;
	struct machine_table *machines; /* borrowed */
};

int inside_new(struct inside **ret, const struct inside_config *cfg);
struct inside *inside_free(struct inside *in);
void inside_read(struct inside *in);
void inside_tick(struct inside *in); /* once a second */
void inside_status(const struct inside *in, struct json *j);
