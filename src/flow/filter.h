/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one filter language, of `egret top`, `egret flows`, `egret read` and later the page and the API:
 *
 *     proc:curl name:*.example.org port:443 up:>1mb
 *
 * Words are ANDed; "-word" or "not word" negates, "a or b" and parentheses group. A bare word matches program, name
 * or address. Keys: host (of a fleet), proc (name or path, globs), pid, user, unit, container, name, addr (address or CIDR), src, port,
 * proto, app, dir, state, up, down, bytes, packets (with > < >= <= and sizes), age, rtt (durations), source (of the
 * name), ja4, ja3, cgroup, args, parent (any ancestor), verdict, rule, refused. docs/filter.md has the table, made from this source.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct filter;
struct flow;

struct filter_error {
	size_t column; /* from 1 */
	char message[160];
};

/* NULL filter (from an empty text) matches all. 0, -EINVAL with reterr, -ENOMEM, -E2BIG (over 4 KiB or 256 words). */
int filter_parse(struct str text, struct filter **ret, struct filter_error *reterr);
struct filter *filter_free(struct filter *f);
bool filter_match(const struct filter *f, const struct flow *flow, uint64_t now_ns);

/* What a filter looks at: bits of FILTER_USES_*. */
#define FILTER_USES(key_index) (1ULL << (key_index))
#define FILTER_USES_WORD (1ULL << 63) /* a word without a key */
uint64_t filter_uses(const struct filter *f);
/* The bit of a key of the table; 0: there is no such key. */
uint64_t filter_bit(const char *key);

/*
 * What every flow that matches must have: the value of a text key ("name", "proc") that is compared as a whole, without wildcards. For
 * readers that have an index. Empty: nothing is required.
 */
struct str filter_requires(const struct filter *f, const char *key);
/* Whether any value of this key, wherever it stands, is such a one. */
bool filter_any_value(const struct filter *f, const char *key, bool (*is)(struct str value));
struct cidr;
bool filter_requires_addr(const struct filter *f, struct cidr *ret);

/* The keys with one line of help each, for documentation, completion and messages. */
struct filter_key_help {
	const char *key, *help;
};
const struct filter_key_help *filter_keys(size_t *ret_n);
