/* SPDX-License-Identifier: Apache-2.0 */
/* A policy file made ready to judge recordings: read, compiled, its mistakes shown. */
#pragma once

#include <stdint.h>

#include "config.h"
#include "policy/judge.h"

struct offline {
	struct policy *policy;
	struct geo *geo;
	struct judge *judge;
};

/*
 * `when_ns`: a time of the recordings, for rules that depend on the day. Databases and downloaded lists are those of
 * `config`. 0; -errno after saying why.
 */
int offline_open(struct offline *ret, const char *path, const struct config *config,
		 uint64_t when_ns);
/* The same for text; `name` stands in messages. */
int offline_parse(struct offline *ret, const char *name, struct str text,
		  const struct config *config, uint64_t when_ns);
int offline_parse_files(struct offline *ret, const struct policy_file *files, size_t n,
			const struct config *config, uint64_t when_ns);
void offline_close(struct offline *o);

/* "policy.egret:34"; "default", "implied" where nobody wrote it. Returns `text`. */
char *offline_line(const struct policy *p, uint16_t rule, char text[256]);
