/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to serve/ and to who answers it: {"ask":"findings",…} and {"ask":"detect","do":…}, checked for form. What the texts
 * mean, whoever answers must judge.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* X(identifier, word, changes something) */
#define DETECT_VERBS(X)                       \
	X(ACK, "ack", true)                   \
	X(UNACK, "unack", true)               \
	X(EXCEPTIONS, "exceptions", false)    \
	X(INTEL_LIST, "intel-list", false)    \
	X(INTEL_CHECK, "intel-check", false)  \
	X(INTEL_ADD, "intel-add", true)       \
	X(INTEL_REMOVE, "intel-remove", true) \
	X(INTEL_REFRESH, "intel-refresh", true)

enum detect_verb {
#define X(id, word, changes) DETECT_DO_##id,
	DETECT_VERBS(X)
#undef X
		DETECT_VERB_COUNT
};

/* Texts that were not given are empty, numbers 0. */
struct detect_request {
	enum detect_verb verb;
	/* findings, and what ack and unack are about */
	char id[16], entity[256], peer[256], detector[32], class[16], level[16];
	bool low;         /* findings: also those that are only for the log */
	uint64_t last_s;  /* findings: that were open within so long */
	uint64_t seconds; /* "for": how long an exception or a feed holds */
	uint64_t number;  /* unack: of the exception */
	char note[256], by[64];
	/* intel */
	char name[64], source[1024], format[16], indicator[1024];
	uint64_t confidence;
};

/* One member each. 1: taken; 0: no such member here; -EINVAL with words in `error`. */
int findings_request_member(struct detect_request *q, const char *key, const json_t *v,
			    char *error);
int detect_request_member(struct detect_request *q, const char *key, const json_t *v, char *error);
bool detect_verb_changes(enum detect_verb v);
