/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one filter language, of `egret top`, `egret flows`, `egret read` and later the page and the API:
 *
 *     proc:curl name:*.example.org port:443 up:>1mb
 *
 * Words are ANDed; "-word" or "not word" negates, "a or b" and parentheses group. A bare word matches program, name
 * or address. Keys: proc (name or path, globs), pid, user, unit, container, name, addr (address or CIDR), src, port,
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

/* The keys with one line of help each, for documentation, completion and messages. */
struct filter_key_help {
	const char *key, *help;
};
const struct filter_key_help *filter_keys(size_t *ret_n);
