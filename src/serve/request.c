/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request lines are JSON of people's and programs' making: each key is checked for its type and its values, and a key
 * that is not known is an error, so that a misspelled "limit" is not silently no limit.
 */
#include "serve/request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "flow/filter.h"
#include "serve/request_take.h"

#define DEFAULT_LIMIT 1000
/* Of findings that are asked of the history. */
#define FINDINGS_MOST 10000
#define FINDINGS_LAST_S (7 * 86400)

static int complain(char *error, const char *what, const char *about)
{
	snprintf(error, REQUEST_ERROR_MAX, "%s%s%s", what, about ? ": " : "", about ? about : "");
	return -EINVAL;
}

/* A word of a list given as `names`; its place, or -1. */
static int find_word(const char *const *names, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (names[i] && !strcmp(names[i], word))
			return (int)i;
	return -1;
}

static int read_ask(struct request *r, const json_t *v, char *error)
{
	static const char *const names[] = { "status", "metrics", "policy",   "why",    "detect",
					     "page",   "keys",    "findings", "rights", "history",
					     "flows",  "top",     "events" };
	int at = json_is_string(v) ? find_word(names, ARRAY_SIZE(names), json_string_value(v)) : -1;

	if (at < 0)
		return complain(error,
				"\"ask\" is none of status, flows, top, events, findings, "
				"policy, why, detect, page, keys, rights, metrics, history",
				NULL);
	r->ask = (enum ask)at;
	return 0;
}

static int read_filter(struct request *r, const json_t *v, char *error)
{
	struct filter_error at = { 0 };
	int got;

	if (!json_is_string(v))
		return complain(error, "\"filter\" is no string", NULL);
	got = filter_parse((struct str){ json_string_value(v), json_string_length(v) }, &r->filter,
			   &at);
	if (got == -EINVAL)
		snprintf(error, REQUEST_ERROR_MAX, "filter, column %zu: %s", at.column, at.message);
	else if (got < 0)
		complain(error, "filter", got == -E2BIG ? "too long" : strerror(-got));
	return got;
}

static int read_limit(struct request *r, const json_t *v, char *error)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return complain(error, "\"limit\" is no number from 0 up", NULL);
	r->limit = (uint64_t)json_integer_value(v);
	r->has_limit = true;
	return 0;
}

static int read_sort(struct request *r, const json_t *v, char *error)
{
	static const char *const flow_words[] = {
#define X(id, word) word,
		FLOW_SORTS(X)
#undef X
	};
	static const char *const top_words[] = { "rate", "up", "down", "bytes", "flows", "label" };
	const char *word = json_string_value(v);
	int of_flows = word ? find_word(flow_words, ARRAY_SIZE(flow_words), word) : -1;
	int of_top = word ? find_word(top_words, ARRAY_SIZE(top_words), word) : -1;

	if (of_flows < 0 && of_top < 0)
		return complain(error, "\"sort\" is no known order", word);
	r->sort = of_flows < 0 ? FLOW_SORT_COUNT : (enum flow_sort)of_flows;
	r->top_sort = of_top < 0 ? NULL : top_words[of_top];
	return 0;
}

static int read_key(const json_t *v, enum rollup_key *ret, char *error)
{
	if (!json_is_string(v) || rollup_key_parse(str_of(json_string_value(v)), ret) < 0)
		return complain(error, "\"by\" is no known grouping", json_string_value(v));
	return 0;
}

static int read_types(struct request *r, const json_t *v, char *error)
{
	static const char *const names[] = {
		[RECORD_FLOW] = "flow", [RECORD_DNS] = "dns",     [RECORD_TLS] = "tls",
		[RECORD_QUIC] = "quic", [RECORD_HTTP] = "http",   [RECORD_SMTP] = "smtp",
		[RECORD_SSH] = "ssh",   [RECORD_STATS] = "stats", [RECORD_PACKET_SOCKET] = "notice",
		[RECORD_DROP] = "drop", [RECORD_ALERT] = "alert",
	};

	if (!json_is_array(v))
		return complain(error, "\"types\" is no array", NULL);
	r->types = 0;
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *word = json_string_value(json_array_get(v, i));
		int at = word ? find_word(names, ARRAY_SIZE(names), word) : -1;

		if (at < 0)
			return complain(error, "\"types\" has no such type", word);
		r->types |= 1U << at;
		if (at == RECORD_ALERT)
			r->types |= 1U << RECORD_FINDING; /* both are alerts to a reader */
		if (at == RECORD_PACKET_SOCKET)
			r->types |= 1U << RECORD_POLICY; /* and notices */
	}
	return 0;
}

static int read_ended(struct request *r, const json_t *v, char *error)
{
	if (!json_is_boolean(v))
		return complain(error, "\"ended\" is neither true nor false", NULL);
	r->ended = json_is_true(v);
	return 0;
}

static int read_group(struct request *r, const json_t *v, char *error)
{
	const json_t *label = json_object_get(v, "label");

	if (!json_is_object(v) || json_object_size(v) != 2 || !json_is_string(label))
		return complain(error, "\"group\" is no {\"by\":…,\"label\":…}", NULL);
	r->group_label_n = json_string_length(label);
	if (r->group_label_n > sizeof(r->group_label))
		return complain(error, "\"label\" is too long", NULL);
	memcpy(r->group_label, json_string_value(label), r->group_label_n);
	r->grouped = true;
	return read_key(json_object_get(v, "by"), &r->group_by, error);
}

static int read_by(struct request *r, const json_t *v, char *error)
{
	return read_key(v, &r->by, error);
}

static int read_member(struct request *r, const char *key, const json_t *v, char *error)
{
	static const struct {
		const char *key;
		int (*read)(struct request *r, const json_t *v, char *error);
	} members[] = {
		{ "ask", read_ask },     { "filter", read_filter }, { "limit", read_limit },
		{ "sort", read_sort },   { "by", read_by },         { "types", read_types },
		{ "ended", read_ended }, { "group", read_group },
	};
	int got = 0;

	if (!strcmp(key, "token"))
		return MIN(0, request_take_text(key, v, r->token, sizeof(r->token), error));
	if (!strcmp(key, "certificate"))
		return MIN(0, request_take_text(key, v, r->certificate, sizeof(r->certificate),
						error));
	if (r->ask == ASK_HISTORY)
		return 0;
	if (r->ask == ASK_POLICY)
		got = policy_request_member(&r->policy, key, v, error);
	else if (r->ask == ASK_WHY)
		got = why_request_member(&r->why, key, v, error);
	else if (r->ask == ASK_DETECT)
		got = detect_request_member(&r->detect, key, v, error);
	else if (r->ask == ASK_PAGE)
		got = page_request_member(&r->page, key, v, error);
	else if (r->ask == ASK_FINDINGS)
		got = findings_request_member(&r->detect, key, v, error);
	if (got)
		return got < 0 ? got : 0;
	if (r->ask <= ASK_KEYS && r->ask != ASK_STATUS && strcmp(key, "ask"))
		return complain(error, "unknown key", key);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (!strcmp(members[i].key, key))
			return members[i].read(r, v, error);
	return complain(error, "unknown key", key);
}

/* Members may come in any order, so what depends on two of them is looked at when all are read. */
static int check_whole(struct request *r, char *error)
{
	if (r->ask == ASK_POLICY)
		return policy_request_check(&r->policy, error);
	if (r->ask == ASK_WHY)
		return why_request_check(&r->why, error);
	if (r->ask == ASK_FLOWS && r->sort == FLOW_SORT_COUNT)
		return complain(error,
				"flows are sorted by start, up, down, bytes, packets, last or none",
				NULL);
	if (r->ask == ASK_TOP && !r->top_sort)
		return complain(error, "a top is sorted by rate, up, down, bytes, flows or label",
				NULL);
	return 0;
}

/* The same question in the words of the history, which wants to know how far back, and has a most for "all". */
static int ask_history_for_findings(const struct request *r, json_t *j)
{
	uint64_t limit = r->limit ? MIN(r->limit, (uint64_t)FINDINGS_MOST) : FINDINGS_MOST;
	int got = json_object_set_new(j, "ask", json_string("history"));

	if (got == 0)
		got = json_object_set_new(j, "do", json_string("findings"));
	if (got == 0)
		got = json_object_set_new(j, "limit", json_integer((json_int_t)limit));
	if (got == 0 && !json_object_get(j, "last"))
		got = json_object_set_new(j, "last", json_integer(FINDINGS_LAST_S));
	return got;
}

/* Whoever answers reads its members, but for those that say who asks. Findings may be asked of the history, too. */
static int keep_question(struct request *r, json_t *j, char *error)
{
	json_object_del(j, "token");
	json_object_del(j, "certificate");
	if (r->ask == ASK_FINDINGS && ask_history_for_findings(r, j) < 0)
		return complain(error, "not enough memory", NULL);
	r->history = json_dumps(j, JSON_COMPACT);
	return r->history ? 0 : complain(error, "not enough memory", NULL);
}

int request_parse(struct str line, struct request *ret, char error[REQUEST_ERROR_MAX])
{
	struct request r = { .limit = DEFAULT_LIMIT, .top_sort = "rate", .types = UINT32_MAX };
	json_error_t where;
	_cleanup_(json_decrefp) json_t *j =
		json_loadb(line.n ? line.p : "", line.n, JSON_REJECT_DUPLICATES, &where);
	const char *key;
	json_t *v;
	int got = 0;

	if (!json_is_object(j))
		return complain(error, "a request is one JSON object a line",
				j ? NULL : where.text);
	if (!json_object_get(j, "ask"))
		return complain(error, "no \"ask\"", NULL);
	got = read_ask(&r, json_object_get(j, "ask"), error); /* the others hang on it */
	if (got < 0)
		return got;
	json_object_foreach(j, key, v)
	{
		got = read_member(&r, key, v, error);
		if (got < 0)
			break;
	}
	if (got == 0 && (r.ask == ASK_HISTORY || r.ask == ASK_FINDINGS))
		got = keep_question(&r, j, error);
	if (got == 0)
		got = check_whole(&r, error);
	if (got < 0)
		request_done(&r);
	else
		*ret = r;
	return got;
}

void request_done(struct request *r)
{
	r->filter = filter_free(r->filter);
	free(r->history);
	r->history = NULL;
}
