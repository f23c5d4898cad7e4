/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to serve/ and to who answers it: {"ask":"policy","do":…} and {"ask":"why",…}, checked for form. What the
 * texts mean, whoever answers must judge.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define POLICY_RULE_MAX 1024
#define POLICY_NOTE_MAX 256

/* X(identifier, word, changes something) */
#define POLICY_VERBS(X)             \
	X(SHOW, "show", false)      \
	X(TEXT, "text", false)      \
	X(QUOTA, "quota", false)    \
	X(LOAD, "load", true)       \
	X(CONFIRM, "confirm", true) \
	X(CLEAR, "clear", true)     \
	X(DISARM, "disarm", true)   \
	X(BLOCK, "block", true)     \
	X(UNBLOCK, "unblock", true)

enum policy_verb {
#define X(id, word, changes) POLICY_DO_##id,
	POLICY_VERBS(X)
#undef X
		POLICY_VERB_COUNT
};

struct policy_request {
	enum policy_verb verb;
	bool enforce, force, all;
	uint64_t seconds; /* "confirm" of a load, "for" of a block; 0: none */
	char session[160];
	char rule[POLICY_RULE_MAX], note[POLICY_NOTE_MAX];
	unsigned given; /* bit per member: which were there */
};

struct why_request {
	char to[256], address[64], app[1024], user[64], unit[256], from[64], speaking[32];
	uint16_t port;
	bool has_port;
	uint8_t proto; /* 0: not said */
};

/* One member each. 1: taken; 0: no such member here; -EINVAL with words in `error`. */
int policy_request_member(struct policy_request *q, const char *key, const json_t *v, char *error);
int policy_request_check(const struct policy_request *q, char *error);
int why_request_member(struct why_request *q, const char *key, const json_t *v, char *error);
int why_request_check(const struct why_request *q, char *error);
bool policy_verb_changes(enum policy_verb v);
