/* SPDX-License-Identifier: Apache-2.0 */
/* Private to learn.c (gathering) and learn_text.c (making general, joining, writing). */
#pragma once

#include "base/intern.h"
#include "policy/learn.h"
#include "policy/replay.h"

enum learn_who { WHO_ANY, WHO_EXE, WHO_UNIT, WHO_USER, WHO_CONTAINER_IMAGE, WHO_CONTAINER_NAME };

enum learn_to { TO_NAME, TO_NAME_BY_SNI, TO_ADDRESS };

/* One kind of flow that was recorded. Texts are of learn.texts, so that equal ones are the same pointer. */
struct item {
	uint64_t hash;
	struct text *exe, *unit, *user, *container; /* NULL: not known, none */
	struct text *to;
	struct addr addr; /* TO_ADDRESS */
	uint64_t flows, bytes;
	uint16_t port;
	uint8_t proto; /* 0: ports are said without a protocol */
	uint8_t kind;  /* enum learn_to */
	bool has_ports, container_is_image;
	bool system_user; /* neither root nor a person */
	bool exact;       /* not to be made general */
};

struct learn {
	struct intern *texts;
	const char *only_app;
	struct item *items; /* open addressing by hash */
	size_t n_items, n_slots;
	struct addr resolvers[9];
	size_t n_resolvers; /* ARRAY_SIZE: more than a resolver's clients have */
	struct who_table *triples;
	struct learn_counts counts;
	int failed;
};

struct text *learn_registered_domain(struct learn *l,
				     const struct text *name); /* a reference; NULL: none */
