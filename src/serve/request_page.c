/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/request_page.h"

#include <string.h>

#include "serve/request_take.h"
#include "serve/tokens.h"

int page_request_member(struct page_request *q, const char *key, const json_t *v, char *error)
{
	const char *word = json_string_value(v);
	int64_t n = 0;
	int r;

	if (!strcmp(key, "do")) {
		if (!word || (strcmp(word, "link") && strcmp(word, "revoke")))
			return request_complain(error, "\"do\" is link or revoke", NULL);
		q->verb = word[0] == 'l' ? PAGE_DO_LINK : PAGE_DO_REVOKE;
		return 1;
	}
	if (!strcmp(key, "change"))
		return request_take_flag(key, v, &q->change, error);
	if (strcmp(key, "for"))
		return 0;
	r = request_take_number(key, v, 60, (int64_t)TOKEN_LIFE_MAX_S, &n, error);
	q->seconds = (uint64_t)n;
	return r;
}
