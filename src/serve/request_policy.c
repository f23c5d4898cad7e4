/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/request_policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "serve/request_take.h"

#define SECONDS_MAX (366LL * 24 * 3600 * 10)

/* ---- {"ask":"policy"} ---- */

static const struct {
	const char *word;
	bool changes;
} verbs[] = {
#define X(id, word, changes) { word, changes },
	POLICY_VERBS(X)
#undef X
};

bool policy_verb_changes(enum policy_verb v)
{
	return verbs[v].changes;
}

static int take_verb(struct policy_request *q, const json_t *v, char *error)
{
	for (size_t i = 0; json_is_string(v) && i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].word, json_string_value(v)))
			continue;
		q->verb = (enum policy_verb)i;
		return 1;
	}
	return request_complain(
		error,
		"\"do\" is none of show, text, quota, load, confirm, clear, disarm, block, "
		"unblock",
		NULL);
}

static int take_mode(struct policy_request *q, const json_t *v, char *error)
{
	const char *word = json_string_value(v);

	if (!word || (strcmp(word, "watch") && strcmp(word, "enforce")))
		return request_complain(error, "\"mode\" is watch or enforce", NULL);
	q->enforce = word[0] == 'e';
	return 1;
}

enum member { DO, MODE, CONFIRM, FORCE, SESSION, RULE, FOR, NOTE, ALL, MEMBERS };

static const char *const member_names[MEMBERS] = { "do",   "mode", "confirm", "force", "session",
						   "rule", "for",  "note",    "all" };

static int take_member(struct policy_request *q, enum member m, const json_t *v, char *error)
{
	const char *key = member_names[m];
	int64_t n = 0;
	int r;

	switch (m) {
	case DO:
		return take_verb(q, v, error);
	case MODE:
		return take_mode(q, v, error);
	case FORCE:
		return request_take_flag(key, v, &q->force, error);
	case ALL:
		return request_take_flag(key, v, &q->all, error);
	case SESSION:
		return request_take_text(key, v, q->session, sizeof(q->session), error);
	case RULE:
		return request_take_text(key, v, q->rule, sizeof(q->rule), error);
	case NOTE:
		return request_take_text(key, v, q->note, sizeof(q->note), error);
	default:
		r = request_take_number(key, v, 1, SECONDS_MAX, &n, error);
		q->seconds = (uint64_t)n;
		return r;
	}
}

int policy_request_member(struct policy_request *q, const char *key, const json_t *v, char *error)
{
	for (int m = 0; m < MEMBERS; m++) {
		if (strcmp(member_names[m], key))
			continue;
		q->given |= 1U << m;
		return take_member(q, (enum member)m, v, error);
	}
	return 0;
}

int policy_request_check(const struct policy_request *q, char *error)
{
	static const unsigned may[POLICY_VERB_COUNT] = {
		[POLICY_DO_LOAD] = 1U << MODE | 1U << CONFIRM | 1U << FORCE | 1U << SESSION,
		[POLICY_DO_BLOCK] = 1U << RULE | 1U << FOR | 1U << NOTE,
		[POLICY_DO_UNBLOCK] = 1U << RULE | 1U << ALL,
	};
	static const unsigned must[POLICY_VERB_COUNT] = {
		[POLICY_DO_LOAD] = 1U << MODE,
		[POLICY_DO_BLOCK] = 1U << RULE,
	};
	unsigned said = q->given & ~(1U << DO);

	if (!(q->given & 1U << DO))
		return request_complain(error, "no \"do\"", NULL);
	for (int m = 0; m < MEMBERS; m++) {
		if (said & ~may[q->verb] & 1U << m)
			return request_complain(error, "does not belong to this \"do\"",
						member_names[m]);
		if (must[q->verb] & ~said & 1U << m)
			return request_complain(error, "is missing", member_names[m]);
	}
	if (q->verb == POLICY_DO_UNBLOCK && !q->all == !(said & 1U << RULE))
		return request_complain(error, "unblock takes \"rule\" or \"all\"", NULL);
	return 0;
}

/* ---- {"ask":"why"} ---- */

static int take_proto(struct why_request *q, const json_t *v, char *error)
{
	static const struct {
		const char *word;
		uint8_t proto;
	} words[] = { { "tcp", IPPROTO_TCP },
		      { "udp", IPPROTO_UDP },
		      { "sctp", IPPROTO_SCTP },
		      { "icmp", IPPROTO_ICMP },
		      { "icmp6", IPPROTO_ICMPV6 } };

	for (size_t i = 0; json_is_string(v) && i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].word, json_string_value(v)))
			continue;
		q->proto = words[i].proto;
		return 1;
	}
	return request_complain(error, "\"proto\" is tcp, udp, sctp, icmp or icmp6", NULL);
}

int why_request_member(struct why_request *q, const char *key, const json_t *v, char *error)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} texts[] = {
		{ "to", q->to, sizeof(q->to) },
		{ "address", q->address, sizeof(q->address) },
		{ "app", q->app, sizeof(q->app) },
		{ "user", q->user, sizeof(q->user) },
		{ "unit", q->unit, sizeof(q->unit) },
		{ "from", q->from, sizeof(q->from) },
		{ "speaking", q->speaking, sizeof(q->speaking) },
	};
	int64_t n = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(texts[i].key, key))
			return request_take_text(key, v, texts[i].to, texts[i].size, error);
	if (!strcmp(key, "proto"))
		return take_proto(q, v, error);
	if (strcmp(key, "port"))
		return 0;
	r = request_take_number(key, v, 0, UINT16_MAX, &n, error);
	q->port = (uint16_t)n;
	q->has_port = true;
	return r;
}

int why_request_check(const struct why_request *q, char *error)
{
	return q->to[0] ? 0 : request_complain(error, "no \"to\"", NULL);
}
