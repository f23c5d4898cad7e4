/* SPDX-License-Identifier: Apache-2.0 */
/* Private to learn.c (gathering), learn_text.c (making general, joining, writing) and learn_segments.c. */
#pragma once

#include "base/intern.h"
#include "policy/learn.h"
#include "policy/replay.h"

enum learn_who {
	WHO_ANY,
	WHO_EXE,
	WHO_UNIT,
	WHO_USER,
	WHO_CONTAINER_IMAGE,
	WHO_CONTAINER_NAME,
	WHO_FROM
};

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
	bool system_user;  /* neither root nor a person */
	bool exact;        /* not to be made general */
	struct text *from; /* by segments: where it came from */
	bool between;      /* and both ends are in segments */
};

/* (who, where, ports), each as policy text; equal texts are the same pointer. */
struct need {
	struct text *who; /* what stands after `app`, `unit`, `from` … */
	enum learn_who who_kind;
	struct text *to; /* NULL: anywhere */
	struct text *ports;
	uint64_t flows, bytes;
	uint16_t port;
	uint8_t proto;
	bool by_sni, has_ports, exact, between;
};

struct needs {
	struct need *p;
	size_t n;
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
	struct zones *zones; /* NULL: not by segments */
	int failed;
};

/* learn_text.c */
#define RULE_MAX (1U << 20)
int learn_join_ports(struct learn *l, struct needs *needs);
/* Breaks at commas and blanks, with '\' at the end of each line but the last. */
void learn_put_wrapped(struct buf *out, struct str s);
void learn_put_resolvers(const struct learn *l, struct buf *out);
struct text *learn_class_text(struct learn *l, const struct addr *a); /* NULL: none says it */

/* learn_segments.c */
struct zones *zones_free(struct zones *z);
void learn_set_zones(struct learn *l, struct item *it, const struct policy_subject *s);
int learn_segments_text(struct learn *l, struct str head, struct buf *out);

struct text *learn_registered_domain(struct learn *l,
				     const struct text *name); /* a reference; NULL: none */
