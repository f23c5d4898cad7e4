/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy, compiled: the bytes of bpf/policy_image.h, and what user space keeps beside them. The same evaluator as the
 * kernel's (bpf/policy_eval.h) answers here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/geo.h"
#include "policy/list.h"
#include "policy/policy.h"

#include "policy/verdict.h"

/*
 * Ids of trees and groups stay the same from load to load, because processes and sockets that live carry them. Written by
 * policy_compile(): an id is given up when no policy names it for two loads. Zeroed at first.
 */
struct policy_ids {
	struct {
		char *pattern; /* NULL: free */
		uint32_t unused;
	} tree[EG_TREES_MAX];
	struct {
		uint32_t gid;
		bool used;
		uint32_t unused;
	} group[EG_GIDS_MAX];
};
void policy_ids_free(struct policy_ids *ids);

struct compile_config {
	uint64_t name_key; /* 0: a random one */
	bool enforce;
	int64_t from_s, to_s;   /* the times that schedules and `until` are worked out for */
	const char *list_cache; /* folder of downloaded lists; NULL: none */
	struct geo *geo;        /* NULL: `country`, `asn` are errors */
	struct policy_ids *ids; /* NULL: own */
	const uint8_t *
		instead; /* by rule: the action it has now, and the rate of `then limit`; 0: its own; NULL: all their own */
	/* The text of a list's entries, instead of list_load(); for tests. NULL: list_load(). */
	int (*load_list)(void *ctx, const struct policy_list *l, struct list_sink sink,
			 struct list_report *report);
	void *load_ctx;
};

struct policy_image;

/*
 * -EINVAL with messages for what only shows now (no such country, a list that is absent and not optional, too many …);
 * warnings for lists that are empty, stale or partly unreadable. The image keeps a reference to nothing: `p` may go first.
 */
int policy_compile(struct policy_image **ret, const struct policy *p,
		   const struct compile_config *cfg, struct buf *messages);
struct policy_image *policy_image_free(struct policy_image *img);
const void *policy_image_bytes(const struct policy_image *img,
			       size_t *ret_n); /* a multiple of EG_IMAGE_PAGE */

/* Entries taken from each list, by its index, for `policy show`. */
const struct list_report *policy_image_list(const struct policy_image *img, size_t list);

/* Facts to classes, as the kernel does it. Texts may be empty (unknown); containers as policy/verdict.h says. */
void policy_classify(const struct policy_image *img, const struct policy_subject *s,
		     struct eg_facts *ret);
/* 0; -EINVAL: not an image. */
int policy_evaluate(const struct policy_image *img, const struct eg_facts *f,
		    struct eg_verdict *ret);
int policy_judge(const struct policy_image *img, const struct policy_subject *s,
		 struct eg_verdict *ret);

/* The rule that a row is of. */
uint16_t policy_row_rule(const struct policy_image *img, uint16_t row);

/* The class of a container (the only one that user space tells the kernel); the flags of trees of an exe path. */
uint16_t policy_container_class(const struct policy_image *img, const struct policy_container *c);
uint64_t policy_trees_of(const struct policy_image *img, struct str exe);
bool policy_names_containers(const struct policy_image *img);

/* Each rule in order until the one that decides: why it did not match ("port is 22/tcp, the rule says 443"). */
struct policy_step {
	size_t rule; /* index; p->n_rules: the default; p->n_rules + 1: the implied allow */
	bool decides, possible; /* possible: not known yet */
	const char *why;        /* words; NULL for the one that decides */
};
void policy_explain(const struct policy *p, const struct policy_image *img,
		    const struct policy_subject *s,
		    void (*step)(void *ctx, const struct policy_step *step), void *ctx);

/*
 * What `policy check` says beyond errors: rules that can never match, naming those before them that take all; rules past
 * their `until`; names that only `by sni` could satisfy; an `expect` that fails, with the rule that decided (an error).
 * Number of failed expectations.
 */
unsigned policy_check(const struct policy *p, const struct policy_image *img, int64_t now_s,
		      struct buf *messages);
