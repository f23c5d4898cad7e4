/* SPDX-License-Identifier: Apache-2.0 */
#include "history/question.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"

#define DAY_S 86400
#define LATEST_S 9223372036 /* of the year 2262: later ones have no nanoseconds */

static const char *const verbs[] = {
	[ASK_FLOWS_KEPT] = "flows",  [ASK_USAGE] = "usage",    [ASK_TIMELINE] = "timeline",
	[ASK_WHO] = "who",           [ASK_FLOW_KEPT] = "flow", [ASK_REPLAY] = "replay",
	[ASK_FINDINGS] = "findings", [ASK_HOSTS] = "hosts",    [ASK_CASES] = "cases",
	[ASK_POLICIES] = "policies",
};

static const char *const dims[QUESTION_DIM_COUNT] = {
#define X(id, word, title) word,
	STORE_DIMS(X)
#undef X
		[DIM_ADDRESS] = "address",
	[DIM_PORT] = "port",
	[DIM_PROTO] = "proto",
	[DIM_HOST] = "host",
	[DIM_FROM] = "from",
	[DIM_TO] = "to"
};

static const char *const sorts[] = {
#define X(id, word) word,
	QUESTION_SORTS(X)
#undef X
};

const char *question_dim_word(unsigned dim)
{
	return dim < QUESTION_DIM_COUNT ? dims[dim] : NULL;
}

struct reading {
	struct history_question *q;
	uint64_t now_s;
	bool has_from, has_to, has_last, has_period, has_do;
	uint64_t from_s, to_s, last_s;
	const char *period;
	char *error;
};

__attribute__((format(printf, 2, 3))) static int complain(struct reading *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->error, QUESTION_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int word_of(struct str word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(word, str_of(words[i])))
			return (int)i;
	return -1;
}

static int take_number(struct reading *r, const char *key, const json_t *v, uint64_t most,
		       uint64_t *ret)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > most)
		return complain(r, "\"%s\" is no whole number from 0 to %" PRIu64, key, most);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int take_by(struct reading *r, struct str rest)
{
	struct history_question *q = r->q;
	struct str word;

	for (q->n_by = 0; str_cut(&rest, ',', &word); q->n_by++) {
		int dim;

		word = str_trim(word);
		dim = word_of(word, dims, QUESTION_DIM_COUNT);
		if (dim < 0 && str_eq(word, STR("program")))
			dim = STORE_DIM_APP;
		if (dim < 0)
			return complain(
				r,
				"\"by\": there is no '%.*s'; app, user, unit, container, segment, "
				"name, domain, country, asn, "
				"protocol, direction, rule, verdict, address, port, proto, host, "
				"from, to",
				(int)MIN(word.n, (size_t)40), word.p);
		if (q->n_by == QUESTION_BY_MAX)
			return complain(r, "\"by\" takes at most %d words", QUESTION_BY_MAX);
		q->by[q->n_by] = (unsigned)dim;
	}
	return 0;
}

static int take_filter(struct reading *r, struct str text)
{
	struct filter_error at = { 0 };
	int e;

	r->q->filter = filter_free(r->q->filter);
	e = filter_parse(text, &r->q->filter, &at);
	if (e == -EINVAL)
		return complain(r, "filter, column %zu: %s", at.column, at.message);
	if (e == -E2BIG)
		return complain(r, "the filter is too long");
	return e;
}

static int take_cursor(struct reading *r, struct str rest)
{
	struct question_cursor *c = &r->q->after;
	struct str time, boot;

	if (!str_cut(&rest, '.', &time) || !str_cut(&rest, '.', &boot) ||
	    str_parse_u64(time, &c->time_ns) < 0 || str_parse_u64(boot, &c->boot) < 0 ||
	    str_parse_u64(rest, &c->flow_id) < 0 || !c->time_ns)
		return complain(r, "\"after\" is no cursor that an answer gave as \"next\"");
	return 0;
}

/* 1: it was one; 0: another member. */
static int take_finding_text(struct reading *r, const char *key, struct str v)
{
	struct history_question *q = r->q;
	const struct {
		const char *key;
		char *to;
		size_t size;
	} texts[] = { { "id", q->id, sizeof(q->id) },
		      { "level", q->level, sizeof(q->level) },
		      { "class", q->class, sizeof(q->class) },
		      { "detector", q->detector, sizeof(q->detector) } };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(key, texts[i].key))
			continue;
		if (v.n >= texts[i].size)
			return complain(r, "\"%s\" is too long", key);
		snprintf(texts[i].to, texts[i].size, "%.*s", STR_FMT(v));
		return 1;
	}
	return 0;
}

static int take_text(struct reading *r, const char *key, struct str v)
{
	struct history_question *q = r->q;
	int at;

	if (!strcmp(key, "do")) {
		at = word_of(v, verbs, ARRAY_SIZE(verbs));
		if (at < 0)
			return complain(r, "\"do\" is none of flows, usage, timeline, who, flow, "
					   "replay, findings, "
					   "hosts, cases");
		q->verb = (enum question_verb)at;
		r->has_do = true;
		return 0;
	}
	if (!strcmp(key, "filter"))
		return take_filter(r, v);
	if (!strcmp(key, "by"))
		return take_by(r, v);
	if (!strcmp(key, "sort")) {
		at = word_of(v, sorts, ARRAY_SIZE(sorts));
		if (at < 0)
			return complain(r,
					"\"sort\" is none of bytes, up, down, flows, cost, last");
		q->sort = (enum question_sort)at;
		return 0;
	}
	if (!strcmp(key, "after"))
		return take_cursor(r, v);
	if (!strcmp(key, "what")) {
		if (!v.n || v.n >= sizeof(q->what))
			return complain(r, "\"what\" is an address or a name");
		for (size_t i = 0; i < v.n; i++) /* names are kept in lower case */
			q->what[i] = (char)tolower((unsigned char)v.p[i]);
		q->what[v.n] = 0;
		return 0;
	}
	if (!strcmp(key, "period")) {
		if (!str_eq(v, STR("day")) && !str_eq(v, STR("week")) && !str_eq(v, STR("month")))
			return complain(r, "\"period\" is none of day, week, month");
		r->has_period = true;
		r->period = v.p[0] == 'd' ? "day" : v.p[0] == 'w' ? "week" : "month";
		return 0;
	}
	at = take_finding_text(r, key, v);
	if (at)
		return at < 0 ? at : 0;
	return complain(r, "unknown member \"%s\"", key);
}

static int take_member(struct reading *r, const char *key, const json_t *v)
{
	struct history_question *q = r->q;

	if (!strcmp(key, "ask"))
		return 0;
	if (json_is_string(v))
		return take_text(r, key,
				 (struct str){ json_string_value(v), json_string_length(v) });
	if (!strcmp(key, "low") && json_is_boolean(v)) {
		q->low = json_is_true(v);
		return 0;
	}
	if (!strcmp(key, "from")) {
		r->has_from = true;
		return take_number(r, key, v, LATEST_S, &r->from_s);
	}
	if (!strcmp(key, "to")) {
		r->has_to = true;
		return take_number(r, key, v, LATEST_S, &r->to_s);
	}
	if (!strcmp(key, "last")) {
		r->has_last = true;
		return take_number(r, key, v, 100ULL * 366 * DAY_S, &r->last_s);
	}
	if (!strcmp(key, "limit"))
		return take_number(r, key, v, QUESTION_LIMIT_MAX, &q->limit);
	if (!strcmp(key, "step"))
		return take_number(r, key, v, DAY_S, &q->step_s);
	if (!strcmp(key, "id"))
		return take_number(r, key, v, INT64_MAX, &q->flow_id);
	return complain(r, "\"%s\": unknown, or not of its kind", key);
}

/* The calendar day, week (from Monday) or month of local time that now lies in. */
static void set_period(struct reading *r)
{
	time_t now = (time_t)r->now_s;
	struct tm from, to;

	localtime_r(&now, &from);
	from.tm_hour = from.tm_min = from.tm_sec = 0;
	from.tm_isdst = -1;
	if (!strcmp(r->period, "week"))
		from.tm_mday -= (from.tm_wday + 6) % 7;
	else if (!strcmp(r->period, "month"))
		from.tm_mday = 1;
	to = from;
	if (!strcmp(r->period, "month"))
		to.tm_mon++;
	else
		to.tm_mday += strcmp(r->period, "week") ? 1 : 7;
	r->from_s = (uint64_t)mktime(&from);
	r->to_s = (uint64_t)mktime(&to);
}

static int set_span(struct reading *r)
{
	if (r->has_period + r->has_last + (r->has_from || r->has_to) > 1)
		return complain(r,
				"\"from\" and \"to\", \"last\" and \"period\" exclude each other");
	if (r->has_period) {
		set_period(r);
	} else {
		if (!r->has_to)
			r->to_s = r->now_s + 1;
		if (r->has_last)
			r->from_s = r->to_s > r->last_s ? r->to_s - r->last_s : 0;
		else if (!r->has_from)
			r->from_s = r->to_s > DAY_S ? r->to_s - DAY_S : 0;
	}
	if (r->from_s >= r->to_s)
		return complain(r, "the time asked for ends before it begins");
	r->q->span = (struct store_span){ r->from_s * NSEC_PER_SEC, r->to_s * NSEC_PER_SEC };
	return 0;
}

static int check(struct reading *r)
{
	struct history_question *q = r->q;

	if (!r->has_do)
		return complain(r, "\"do\" is missing");
	if (q->verb == ASK_WHO && !q->what[0])
		return complain(r, "\"what\" is missing: an address or a name");
	if (q->verb == ASK_FLOW_KEPT && !q->flow_id)
		return complain(r, "\"id\" is missing");
	if (q->verb == ASK_USAGE && !q->n_by)
		q->by[q->n_by++] = STORE_DIM_APP;
	if (q->verb == ASK_TIMELINE && q->n_by > 2)
		return complain(r, "\"by\" of a timeline takes at most two words");
	if (!q->limit)
		q->limit = q->verb == ASK_TIMELINE ? 8 : 100;
	if (q->verb == ASK_TIMELINE && q->limit > QUESTION_SERIES_MAX)
		return complain(r, "\"limit\": a timeline has at most %d series",
				QUESTION_SERIES_MAX);
	return set_span(r);
}

int question_parse(struct str text, uint64_t now_ns, struct history_question *ret,
		   char error[QUESTION_ERROR_MAX])
{
	struct reading r = { .q = ret, .now_s = now_ns / NSEC_PER_SEC, .error = error };
	json_error_t where;
	const char *key;
	json_t *root, *v;
	int e = 0;

	*ret = (struct history_question){ 0 };
	error[0] = 0;
	root = text.n <= QUESTION_MAX ? json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &where)
				      : NULL;
	if (!json_is_object(root))
		e = complain(&r, "a question is one JSON object of at most %d bytes", QUESTION_MAX);
	if (e == 0)
		json_object_foreach(root, key, v)
		{
			e = take_member(&r, key, v);
			if (e < 0)
				break;
		}
	if (e == 0)
		e = check(&r);
	json_decref(root);
	if (e == -ENOMEM)
		complain(&r, "not enough memory");
	if (e < 0)
		question_done(ret);
	return e;
}

void question_done(struct history_question *q)
{
	q->filter = filter_free(q->filter);
}
