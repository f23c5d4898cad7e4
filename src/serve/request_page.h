/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: {"ask":"page","do":…}, what `egret page` asks for, checked for form. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum page_verb { PAGE_DO_LINK, PAGE_DO_REVOKE };

struct page_request {
	enum page_verb verb;
	bool change;      /* link: the token lets change, too */
	uint64_t seconds; /* "for": how long it holds; 0: not said */
};

/* 1: taken; 0: no such member here; -EINVAL with words in `error`. */
int page_request_member(struct page_request *q, const char *key, const json_t *v, char *error);
