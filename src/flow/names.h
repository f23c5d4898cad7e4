/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an address is called what it is called: DNS answers seen, per asking side, with their CNAME chain. An address
 * may have several names; the newest answer that is still valid comes first. Bounded; entries are kept while a flow
 * holds them and for their TTL plus a grace, and dropped oldest first when the table is full (counted).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/intern.h"

struct dns_message;

#define NAME_CHAIN_MAX 8
#define NAMES_PER_ADDR 4

enum name_source { NAME_NONE, NAME_DNS, NAME_SNI, NAME_QUIC, NAME_HTTP, NAME_HOSTS };

struct name { /* one answer; counted by its holders */
	uint32_t refs;
	struct text *asked;                 /* what was asked for: the name of the address */
	struct text *chain[NAME_CHAIN_MAX]; /* CNAME targets in order */
	uint8_t n_chain;
	uint8_t source; /* enum name_source: NAME_DNS or NAME_HOSTS */
	uint64_t expires_ns;
};

struct name_table;

int name_table_new(struct name_table **ret, struct intern *texts, size_t max);
struct name_table *name_table_free(struct name_table *t); /* after every flow let go of its names */

/*
 * Learns from a response. `client` is who asked: names count only for the flows of the same side (a capture may hold
 * many hosts). On a live host all processes share one side: NULL.
 */
void name_table_learn(struct name_table *t, const struct addr *client, const struct dns_message *m,
		      uint64_t now_ns);
/*
 * A name without a message: an entry of /etc/hosts (NAME_HOSTS, expires_ns UINT64_MAX), or a name that the kernel
 * learned (NAME_DNS). A name that is there already keeps its chain and only lives longer.
 */
void name_table_add(struct name_table *t, const struct addr *client, const struct addr *addr,
		    struct str name, enum name_source source, uint64_t now_ns, uint64_t expires_ns);

/*
 * References to the names of an address, newest first, those past their TTL after the others; how many. Names of
 * client NULL hold for every client. Give each back with name_put().
 */
size_t name_table_find(struct name_table *t, const struct addr *client, const struct addr *addr,
		       uint64_t now_ns, struct name *ret[NAMES_PER_ADDR]);
void name_put(struct name_table *t, struct name *n); /* NULL is fine */
size_t name_table_count(const struct name_table *t);
uint64_t name_table_lost(const struct name_table *t);
const char *name_source_name(enum name_source s); /* "dns", "sni", …; NULL for NAME_NONE */
