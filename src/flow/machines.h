/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machines behind a gateway: which MAC address has an address (the kernel's neighbours) and what it calls itself (DHCP leases). A
 * machine is an address and a MAC address: when another takes the address over, a new one begins, and flows keep theirs. A name is that
 * of the lease of the address, unless it was given to another MAC address; else that of any lease of the MAC address: so IPv6
 * addresses, which nobody leased, have it too. Bounded; nothing is guessed, and a name is only what the machine said of itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/intern.h"
#include "base/list.h"
#include "decode/leases.h"

struct machine {
	struct addr addr;
	uint8_t mac[MAC_BYTES];
	bool has_mac;
	struct text *name; /* NULL: not known */

	/* the table's own */
	uint32_t refs;
	bool neighbour, listed;
	struct machine *next; /* of the same bucket */
	struct list unused;
	uint64_t hash;
};

struct machine_table;

int machine_table_new(struct machine_table **ret, struct intern *texts, size_t max);
struct machine_table *machine_table_free(struct machine_table *t); /* after every flow let go */

/* A reference to the machine that has the address now, known or not; NULL: no room, counted. */
struct machine *machine_table_get(struct machine_table *t, const struct addr *addr);
void machine_put(struct machine_table *t, struct machine *m); /* NULL is fine */
/* Where what is known of it came from: "dhcp" when it has a name, else "neighbour"; NULL: nothing is known. */
const char *machine_source(const struct machine *m);

/* The kernel's neighbour; mac NULL: it is none any more. */
void machine_table_neighbour(struct machine_table *t, const struct addr *addr, const uint8_t *mac);
/* All leases anew: begin, each lease (a later one replaces an earlier one of its address), end. */
void machine_table_leases_begin(struct machine_table *t);
void machine_table_lease(struct machine_table *t, const struct lease *lease);
void machine_table_leases_end(struct machine_table *t);

size_t machine_table_leases(const struct machine_table *t);
size_t machine_table_count(const struct machine_table *t);
uint64_t machine_table_lost(const struct machine_table *t); /* machines and leases without room */
