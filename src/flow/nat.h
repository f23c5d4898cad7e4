/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections whose addresses or ports are translated on their way (NAT), as conntrack tells: each as it looks on the one side
 * and on the other. Whoever knows one look finds the other, whichever end opened it. Of ICMP the "ports" are those of event_key.
 * A full table forgets the oldest, which is counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct event_key;
struct nat_table;

/* A flow's ends on the other side of the translation; src opened it. */
struct flow_nat {
	struct addr src, dst;
	uint16_t sport, dport; /* 0: has none */
	bool before; /* the flow is seen after it was translated, this is what it was before */
};

int nat_table_new(struct nat_table **ret, size_t max);
struct nat_table *nat_table_free(struct nat_table *t);

/* What its opener sends, and what arrives. Takes the place of all that one of the two was in before. */
void nat_table_add(struct nat_table *t, const struct event_key *before,
		   const struct event_key *after);
void nat_table_del(struct nat_table *t, const struct event_key *before);
void nat_table_clear(struct nat_table *t);
bool nat_table_find(const struct nat_table *t, const struct event_key *k, struct flow_nat *ret);
size_t nat_table_count(const struct nat_table *t);
uint64_t nat_table_lost(const struct nat_table *t);
