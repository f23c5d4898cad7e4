/* SPDX-License-Identifier: Apache-2.0 */
#include "web/ask.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/time.h"

#define PARAMS_MAX 16
#define FILE_NAME "page.egret" /* what a policy from the page is called */

struct asking {
	const struct web_route *route;
	struct json out;
	struct buf *file; /* NULL: not taken from a query */
	unsigned seen;    /* bit per parameter */
	char *error;
};

static int complain(struct asking *a, const char *about, const char *what)
{
	snprintf(a->error, ASK_ERROR_MAX, "%s: %s", about, what);
	return -EINVAL;
}

/* ---- one value ---- */

static bool digits(struct str s, size_t from, size_t n, int *ret)
{
	uint64_t v;

	if (from + n > s.n || str_parse_u64(str_sub(s, from, n), &v) < 0)
		return false;
	*ret = (int)v;
	return true;
}

/* "Z", "+01:00" */
static bool parse_zone(struct str s, int64_t *ret_s)
{
	int hours, minutes;

	if (s.n == 1 && (s.p[0] == 'Z' || s.p[0] == 'z')) {
		*ret_s = 0;
		return true;
	}
	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' ||
	    !digits(s, 1, 2, &hours) || !digits(s, 4, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_s = (s.p[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

int ask_parse_time(struct str s, uint64_t *ret_s)
{
	struct tm tm = { 0 };
	int64_t zone, t;
	size_t at = 19;

	if (str_parse_u64(s, ret_s) == 0)
		return *ret_s <= INT32_MAX * 4ULL ? 0 : -EINVAL;
	if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || !memchr("Tt ", s.p[10], 3) ||
	    s.p[13] != ':' || s.p[16] != ':' || !digits(s, 0, 4, &tm.tm_year) ||
	    !digits(s, 5, 2, &tm.tm_mon) || !digits(s, 8, 2, &tm.tm_mday) ||
	    !digits(s, 11, 2, &tm.tm_hour) || !digits(s, 14, 2, &tm.tm_min) ||
	    !digits(s, 17, 2, &tm.tm_sec))
		return -EINVAL;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	if (s.p[at] == '.')
		for (at++; at < s.n && s.p[at] >= '0' && s.p[at] <= '9';)
			at++;
	if (!parse_zone(str_sub(s, at, s.n), &zone))
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	t = timegm(&tm) - zone;
	if (t < 0)
		return -EINVAL;
	*ret_s = (uint64_t)t;
	return 0;
}

static int put_list(struct asking *a, const struct web_param *p, struct str v)
{
	struct str word;

	json_array_begin(&a->out, p->name);
	while (str_cut(&v, ',', &word)) {
		if (!web_word_known(p->words, word))
			return complain(a, p->name, "a word in the list is not known");
		json_str(&a->out, NULL, word);
	}
	json_array_end(&a->out);
	return 0;
}

/* One file, as a bundle of them (guard/bundle.h). */
static void put_file(struct asking *a, struct str v)
{
	buf_printf(a->file, "file %zu %zu\n" FILE_NAME "\n", sizeof(FILE_NAME) - 1, v.n);
	buf_put_str(a->file, v);
	buf_putc(a->file, '\n');
}

static int put_value(struct asking *a, const struct web_param *p, struct str v)
{
	uint64_t n;

	switch (p->kind) {
	case WEB_STRING:
		if (v.n > p->most)
			return complain(a, p->name, "too long");
		json_str(&a->out, p->name, v);
		return 0;
	case WEB_NUMBER:
		if (str_parse_u64(v, &n) < 0 || n > p->most)
			return complain(a, p->name, "no number, or too large");
		json_u64(&a->out, p->name, n);
		return 0;
	case WEB_FLAG:
		if (!web_word_known("true false 1 0", v))
			return complain(a, p->name, "neither true nor false");
		json_bool(&a->out, p->name, v.p[0] == 't' || v.p[0] == '1');
		return 0;
	case WEB_WORD:
		if (!web_word_known(p->words, v))
			return complain(a, p->name, "not one of the words that are known");
		json_str(&a->out, p->name, v);
		return 0;
	case WEB_LIST:
		return put_list(a, p, v);
	case WEB_SPAN:
		if (str_parse_u64(v, &n) < 0) {
			if (duration_parse(v, &n) < 0)
				return complain(a, p->name, "no time like 90s, 8h or 7d");
			n /= NSEC_PER_SEC;
		}
		if (!n || n > p->most)
			return complain(a, p->name, "too short or too long");
		json_u64(&a->out, p->name, n);
		return 0;
	case WEB_TIME:
		if (ask_parse_time(v, &n) < 0)
			return complain(
				a, p->name,
				"neither Unix seconds nor a time like 2026-01-02T03:04:05Z");
		json_u64(&a->out, p->name, n);
		return 0;
	case WEB_FILE:
		if (!a->file || v.n > p->most)
			return complain(a, p->name, "too long");
		put_file(a, v);
		return 0;
	}
	return complain(a, p->name, "unknown");
}

/* An empty value is as if nothing had been said: that is how forms send it. */
static int take(struct asking *a, struct str name, struct str v)
{
	const struct web_param *p = a->route->params;
	char shown[64];

	for (unsigned i = 0; p && p[i].name && i < PARAMS_MAX; i++) {
		if (!str_eq(name, str_of(p[i].name)))
			continue;
		if (a->seen & 1U << i)
			return complain(a, p[i].name, "said twice");
		if (!v.n)
			return 0;
		a->seen |= 1U << i;
		return put_value(a, &p[i], v);
	}
	snprintf(shown, sizeof(shown), "%.*s", (int)MIN(name.n, sizeof(shown) - 1),
		 name.n ? name.p : "");
	return complain(a, shown, "no such parameter here");
}

static int finish(struct asking *a)
{
	const struct web_param *p = a->route->params;

	for (unsigned i = 0; p && p[i].name; i++)
		if (p[i].required && !(a->seen & 1U << i))
			return complain(a, p[i].name, "is missing");
	if (!a->out.out->failed && !(a->file && a->file->failed))
		return 0;
	complain(a, "the request", "too long");
	return -E2BIG;
}

/* ---- a query ---- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* application/x-www-form-urlencoded, in place of `room`, which is as large as the query may be. */
static bool decode(struct str s, char *room, struct str *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i] == '+' ? ' ' : s.p[i];

		if (c == '%') {
			int high = i + 2 < s.n ? digit(s.p[i + 1]) : -1;
			int low = i + 2 < s.n ? digit(s.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		room[n++] = c;
	}
	*ret = (struct str){ room, n };
	return true;
}

int ask_from_query(const struct web_route *route, struct str query, struct buf *members,
		   char error[ASK_ERROR_MAX])
{
	struct asking a = { .route = route,
			    .out = { .out = members, .comma = true },
			    .error = error };
	char name_room[ASK_QUERY_MAX], value_room[ASK_QUERY_MAX];
	struct str pair;
	int r = 0;

	if (query.n > ASK_QUERY_MAX) {
		complain(&a, "the query", "longer than 4 KiB");
		return -E2BIG;
	}
	while (r == 0 && str_cut(&query, '&', &pair)) {
		struct str name, value;

		if (!pair.n)
			continue;
		if (!str_cut(&pair, '=', &name) || !decode(name, name_room, &name) ||
		    !decode(pair, value_room, &value))
			return complain(&a, "the query",
					"a '%' is not followed by two hexadecimal digits");
		r = take(&a, name, value);
	}
	return r < 0 ? r : finish(&a);
}

/* ---- a body ---- */

static int take_json(struct asking *a, const char *name, const json_t *v)
{
	char number[32];

	if (json_is_string(v))
		return take(a, str_of(name),
			    (struct str){ json_string_value(v), json_string_length(v) });
	if (json_is_boolean(v))
		return take(a, str_of(name), json_is_true(v) ? STR("true") : STR("false"));
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return complain(a, name, "neither a text, a number from 0 up, true nor false");
	snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
	return take(a, str_of(name), str_of(number));
}

int ask_from_body(const struct web_route *route, struct str body, struct buf *members,
		  struct buf *file, char error[ASK_ERROR_MAX])
{
	struct asking a = { .route = route,
			    .out = { .out = members, .comma = true },
			    .file = file,
			    .error = error };
	_cleanup_(json_decrefp) json_t *j = NULL;
	json_error_t where;
	const char *name;
	json_t *v;
	int r = 0;

	if (route->shape == WEB_LINES)
		return ask_from_line(body, members, error);
	body = str_trim(body);
	if (!body.n)
		return finish(&a);
	j = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(j))
		return complain(&a, "the body", j ? "not a JSON object" : where.text);
	json_object_foreach(j, name, v)
	{
		r = take_json(&a, name, v);
		if (r < 0)
			return r;
	}
	return finish(&a);
}

/* ---- a request line ---- */

/* What reads and ends; of those with verbs the ones that do. */
static bool line_may(const char *ask, const char *verb)
{
	static const struct {
		const char *ask, *verbs; /* NULL: any */
	} known[] = {
		{ "status", NULL },
		{ "metrics", NULL },
		{ "keys", NULL },
		{ "rights", NULL },
		{ "flows", NULL },
		{ "findings", NULL },
		{ "why", NULL },
		{ "history", NULL },
		{ "policy", "show text quota" },
		{ "detect", "exceptions intel-list intel-check" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].ask, ask))
			return !known[i].verbs || web_word_known(known[i].verbs, str_of(verb));
	return false;
}

static int check_line(struct asking *a, const json_t *j)
{
	const char *ask = json_string_value(json_object_get(j, "ask"));
	const char *verb = json_string_value(json_object_get(j, "do"));
	char what[64];

	if (!ask)
		return complain(a, "ask", "is missing, or no text");
	if (json_object_get(j, "token") || json_object_get(j, "certificate"))
		return complain(a, "the request", "who asks is told by its head, not by its body");
	snprintf(what, sizeof(what), "%.30s%s%.30s", ask, verb ? " " : "", verb ?: "");
	return line_may(ask, verb ?: "")
		       ? 0
		       : complain(a, what,
				  "not over HTTP: only what reads and ends is asked this way");
}

int ask_from_line(struct str line, struct buf *members, char error[ASK_ERROR_MAX])
{
	struct asking a = { .error = error };
	json_error_t where;
	_cleanup_(json_decrefp) json_t *j =
		json_loadb(line.n ? line.p : "", line.n, JSON_REJECT_DUPLICATES, &where);
	_cleanup_free_ char *text = NULL;
	int r;

	if (!json_is_object(j))
		return complain(&a, "the body", j ? "not a JSON object" : where.text);
	r = check_line(&a, j);
	if (r < 0)
		return r;
	text = json_dumps(j, JSON_COMPACT);
	if (text)
		buf_put(members, text + 1, strlen(text) - 2);
	if (text && !members->failed)
		return 0;
	complain(&a, "the request", "too long");
	return -E2BIG;
}
