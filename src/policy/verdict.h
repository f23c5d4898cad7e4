/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a policy, in words, and the evaluator's own types. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"
#include "base/str.h"

/* The evaluator's image in user space: pages one after another. */
struct eg_pages {
	const uint8_t *bytes;
	size_t n_pages;
};
#define EG_IMAGE const struct eg_pages *
#define EG_IMAGE_PAGE_AT(image, n) \
	((const void *)((n) < (image)->n_pages ? (image)->bytes + (size_t)(n)*EG_IMAGE_PAGE : NULL))
#define EG_EVAL_FN static __attribute__((unused))
#define EG_EVAL_ONCE EG_EVAL_FN
#include "bpf/policy_eval.h"

struct policy_container {
	struct str name, image;
	const struct str *labels; /* "key=value" */
	size_t n_labels;
};

#define POLICY_ANCESTORS_MAX 32

struct policy_subject {
	struct str exe, script, cgroup; /* cgroup: path below the mount */
	struct str ancestors
		[POLICY_ANCESTORS_MAX]; /* executables of the process (first) and those it came from: trees */
	size_t n_ancestors;
	const struct policy_container *container; /* NULL: in none */
	bool container_unknown;
	bool uid_known;
	uint32_t uid;
	const uint32_t *gids;
	size_t n_gids;
	struct addr local, remote;
	uint8_t proto; /* IP protocol */
	uint16_t port; /* remote; ICMP: the type */
	bool has_ports;
	struct str names[EG_FACT_NAMES]; /* by DNS and hosts, lower case */
	size_t n_names;
	enum eg_visible visible;
	struct str visible_name;
	uint8_t app; /* EG_APP_* */
	int64_t unix_s;
};
