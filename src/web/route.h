/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API as one table: what may be asked over HTTP, which request to the control socket it becomes, and what comes back. The
 * requests (ask.h) and the OpenAPI document (openapi.h) are both made from it, so they cannot disagree.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define API_BASE "/api/v1"

enum web_shape {
	WEB_OBJECT, /* the one line of the answer, as it is */
	WEB_ROWS,   /* {"rows":[…lines…], …members of the end line…} */
	WEB_LINES, /* the lines of the answer as they come; the body is a line of the control socket that reads and ends (ask.h) */
	WEB_TEXT,  /* the member "text" of the answer, as text */
	WEB_LIVE,  /* server-sent events, as long as both sides live */
	WEB_LOCAL, /* answered by the page's process itself */
};

enum web_kind {
	WEB_STRING, /* at most `most` bytes */
	WEB_NUMBER, /* 0 to `most` */
	WEB_FLAG,   /* true, false, 1, 0 */
	WEB_WORD,   /* one of `words`, which blanks separate */
	WEB_LIST,   /* words of `words`, which commas separate; an array for the daemon */
	WEB_SPAN,   /* 90s, 7d, or seconds; seconds for the daemon, at most `most` */
	WEB_TIME,   /* Unix seconds or RFC 3339; Unix seconds for the daemon */
	WEB_FILE, /* the text of a policy, at most `most` bytes; goes along as a file (guard/bundle.h) */
};

struct web_param {
	const char *name;
	enum web_kind kind;
	bool required;
	uint64_t most;
	const char *words, *help;
};

/*
 * `answer` names the members of the answer, `row` those of each row, as "name:T ?name:T …": T is s(tring) i(nteger) n(umber)
 * b(oolean) o(bject) a(rray); '?': may be absent. NULL: nothing is promised.
 */
struct web_route {
	const char *method, *path; /* the path without API_BASE, unless `bare` */
	const char *ask;           /* members of the request, as "\"ask\":\"status\"" */
	enum web_shape shape;
	const struct web_param *params; /* up to one without a name; NULL: none */
	const char *answer, *row, *help;
	bool bare;
};

const struct web_route *web_routes(size_t *ret_n);
/* By a path as it stands in the request. NULL: no such path; *ret_other: there is one for another method. */
const struct web_route *web_route_find(struct str method, struct str path, bool *ret_other);
/* One of the words of a list that blanks separate. */
bool web_word_known(const char *words, struct str word);
