/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret why`: a question to a policy in a person's words, and its answer as JSON: verdict, rule, every rule passed over
 * with the fact that made it not match, and what had to be assumed. The same for the daemon's policy and for a file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy/image.h"

struct json;
struct name_table;

struct question {
	char to[256];     /* a name or an address */
	char address[64]; /* of that name; empty: taken from the names that were seen, if any */
	char app[1024];   /* path of the executable */
	char user[64];    /* name or number */
	char unit[256], from[64], speaking[32];
	uint16_t port;
	bool has_port;
	uint8_t proto; /* IP protocol; 0: TCP */
};

/* Members of a JSON object. `names` may be NULL. -EINVAL with words in `error`. */
int question_answer(const struct question *q, const struct policy *p,
		    const struct policy_image *img, struct name_table *names, uint64_t now_ns,
		    struct json *j, char error[256]);
