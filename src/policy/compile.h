/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the compiler share, in the order in which they work:
 *
 *     compile_rows.c    rules to rows: each `except` of several selectors is several rows
 *     compile_who.c     programs, trees, cgroups, containers, users, groups: atoms and what they do to rows
 *     compile_dests.c   addresses, names, lists, ports, protocols: likewise
 *     compile_limit.c   rates of rules
 *     compile_time.c    schedules and `until`: which rows are in force when
 *     compile_image.c   all of it as bytes
 *
 * compile.c calls them. Errors are said in `messages` and noted in `bad`; work goes on, so that all are said.
 */
#pragma once

#include "policy/automaton.h"
#include "policy/classes.h"
#include "policy/image.h"
#include "policy/keys.h"
#include "policy/name_table.h"
#include "policy/ranges.h"

enum term {
	TERM_APP,
	TERM_USER,
	TERM_GROUP,
	TERM_UNIT,
	TERM_CONTAINER,
	TERM_FROM,
	TERM_TO,
	TERM_PORT,
	TERM_SPEAKING,
	TERM_DURING,
	TERM_COUNT
};

/* A row holds when all terms of `match` do and each of its negated terms does not. */
struct negated {
	const struct policy_terms *terms;
	enum term term;
};
struct row {
	struct eg_row info;
	const struct policy_terms *match;
	size_t first_negated, n_negated; /* in compile.negated */
	int64_t until_s;
	struct policy_place place;
	bool loopback, resolver; /* the rule names it */
};

/* One source with atoms and classes of its own. */
struct space {
	struct sets *sets;
	struct atoms atoms;
	struct source source;
};

/* Stretches of numbers, each beginning at start[i], as the image has them. */
struct line {
	bool wide;
	union {
		uint32_t *narrow;
		uint64_t (*wide_start)[2];
	};
	uint16_t *class;
	size_t n, cap;
};

struct compile {
	const struct policy *p;
	const struct compile_config *cfg;
	struct buf *messages;
	bool bad;
	struct policy_image *img;
	struct policy_ids ids; /* as they are after this policy, put in force at the end */

	struct row *rows;
	size_t n_rows, cap_rows;
	struct negated *negated;
	size_t n_negated, cap_negated;
	uint32_t words, default_row, implied_row;
	bool says_doh;
	uint64_t term_now;             /* counts terms of rows */
	uint64_t *app_seen, *set_seen; /* the last term that went through it */

	/* Who. */
	struct keys keys; /* what atoms there are already, of all spaces */
	struct globs *path_globs, *cgroup_globs, *name_globs, *image_globs, *label_globs;
	struct space path, cgroup, container, user;
	struct automaton *path_dfa, *cgroup_dfa, *name_dfa, *image_dfa, *label_dfa;
	uint32_t n_labels;
	uint64_t *tree, *group; /* vectors of EG_TREES_MAX and 1 + EG_GIDS_MAX classes */
	bool tree_used[EG_TREES_MAX], group_used[EG_GIDS_MAX];
	struct {
		uint32_t uid, atom;
	} * users;
	size_t n_users, cap_users;
	struct policy_place glob_place; /* of the last glob, for errors of all of them */

	/* Where to. Addresses and names share atoms. */
	struct space dest, port, app;
	struct source names;
	struct ranges v4, v6, ports;
	struct name_table table;
	struct name_slots slots;
	struct line line4, line6, line_port;
	uint64_t n_addresses, n_names;
	bool too_many;

	/* How fast. */
	struct eg_limit *limits;
	uint16_t *limit_of; /* by rule, as in the image; NULL: there is none */
	size_t n_limits;
	bool each_segment;

	/* When. */
	int64_t *active_from;
	uint64_t *active;
	size_t n_active;
};

/* Errors: `bad` is set. Without a place: of no line in particular. */
void compile_error(struct compile *c, struct policy_place at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void compile_no_memory(struct compile *c);

void compile_rows(struct compile *c);
bool terms_have(const struct policy_terms *t, enum term term);

/* What a term does to a row: `no` when it is the negation. */
void compile_who_term(struct compile *c, uint32_t row, const struct policy_terms *t, enum term term,
		      bool no);
int compile_who_init(struct compile *c);
void compile_who_classes(struct compile *c);

void compile_dest_term(struct compile *c, uint32_t row, const struct policy_terms *t,
		       enum term term, bool no);
int compile_dests_init(struct compile *c);
void compile_dests_classes(struct compile *c);
bool dests_name_loopback(const struct policy *p, const struct policy_dest *d, size_t n);
bool dests_name_resolver(const struct policy *p, const struct policy_dest *d, size_t n);
bool app_covers(uint8_t said,
		unsigned index); /* whether `speaking X` means this index of app_class */

#define SEGMENT_BIT 8 /* of what is extra of an address's class; below are its flags */

void compile_limits(struct compile *c);
/* What the rule has now, bits a second; 0: as fast as it likes. */
uint64_t compile_rate(const struct compile *c, size_t rule);
void compile_time(struct compile *c);
bool schedule_holds(const struct policy_schedule *s, int64_t unix_s);

int compile_image(struct compile *c);

int space_init(struct space *s, uint32_t words);
void space_done(struct space *s);

/* What user space keeps of a compiled policy. */
struct policy_image {
	uint8_t *bytes;
	size_t n;
	struct eg_pages pages;
	struct list_report *lists;
	size_t n_lists;
	/* Containers are told by globs of names, images and labels: class[(name * n_images + image) << n_labels | labels]. */
	struct automaton *name, *image, *label;
	uint16_t *container_class;
	uint32_t n_images, n_labels;
};

/* Well-known servers of DNS over HTTPS. NULL, STR_NONE after the last. */
struct doh_server {
	struct str name; /* it and all below */
	const char *const *addresses;
};
extern const struct doh_server doh_servers[];
