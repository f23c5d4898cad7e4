/* SPDX-License-Identifier: Apache-2.0 */
/* Private to filter.c and filter_keys.c: what each key of the filter language looks at. */
#pragma once

#include "base/addr.h"
#include "flow/filter.h"
#include "flow/flow.h"

enum filter_kind {
	FILTER_TEXT,     /* exact, or with '*' and '?', ASCII case ignored */
	FILTER_ADDR,     /* an address or network */
	FILTER_PORT,     /* 443 or 8000-8100 */
	FILTER_COUNT,    /* number, with > < >= <= */
	FILTER_SIZE,     /* the same in bytes, with units */
	FILTER_DURATION, /* the same in nanoseconds, with units */
};

#define FILTER_TEXTS_MAX 16

struct filter_key {
	const char *key, *help;
	enum filter_kind kind;
	/* One of them, by kind. texts: how many were put in ret; number and addr: false or NULL when not known. */
	size_t (*texts)(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64]);
	bool (*number)(const struct flow *f, uint64_t now_ns, uint64_t *ret);
	const struct addr *(*addr)(const struct flow *f);
};

extern const struct filter_key filter_key_table[];
extern const size_t n_filter_keys;

/* What a bare word is compared with: program, path, names, addresses. */
size_t filter_word_texts(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64]);
