/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/request_detect.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "serve/request_take.h"

#define SECONDS_MAX (366LL * 24 * 3600 * 10)

static const struct {
	const char *word;
	bool changes;
} verbs[] = {
#define X(id, word, changes) { word, changes },
	DETECT_VERBS(X)
#undef X
};

bool detect_verb_changes(enum detect_verb v)
{
	return verbs[v].changes;
}

/* The members that are texts or numbers, and where they go. */
static const struct member {
	const char *key;
	size_t at, size; /* size 0: a number of so much at most */
	int64_t most;
	bool of_findings;
} members[] = {
#define TEXT(key, field, findings)                                               \
	{                                                                        \
		key, offsetof(struct detect_request, field),                     \
			sizeof(((struct detect_request *)0)->field), 0, findings \
	}
#define NUMBER(key, field, most, findings)                                     \
	{                                                                      \
		key, offsetof(struct detect_request, field), 0, most, findings \
	}
	TEXT("id", id, true),
	TEXT("entity", entity, false),
	TEXT("peer", peer, false),
	TEXT("detector", detector, true),
	TEXT("class", class, true),
	TEXT("level", level, true),
	NUMBER("last", last_s, SECONDS_MAX, true),
	NUMBER("for", seconds, SECONDS_MAX, false),
	NUMBER("number", number, UINT32_MAX, false),
	TEXT("note", note, false),
	TEXT("name", name, false),
	TEXT("source", source, false),
	TEXT("format", format, false),
	TEXT("indicator", indicator, false),
	NUMBER("confidence", confidence, 100, false),
#undef TEXT
#undef NUMBER
};

static int take(struct detect_request *q, bool of_findings, const char *key, const json_t *v,
		char *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct member *m = &members[i];
		int64_t n = 0;
		int r;

		if (strcmp(m->key, key) || (of_findings && !m->of_findings))
			continue;
		if (m->size)
			return request_take_text(key, v, (char *)q + m->at, m->size, error);
		r = request_take_number(key, v, 0, m->most, &n, error);
		if (r > 0)
			*(uint64_t *)((char *)q + m->at) = (uint64_t)n;
		return r;
	}
	return 0;
}

int findings_request_member(struct detect_request *q, const char *key, const json_t *v, char *error)
{
	if (!strcmp(key, "low"))
		return request_take_flag(key, v, &q->low, error);
	return take(q, true, key, v, error);
}

int detect_request_member(struct detect_request *q, const char *key, const json_t *v, char *error)
{
	if (strcmp(key, "do"))
		return take(q, false, key, v, error);
	for (size_t i = 0; json_is_string(v) && i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].word, json_string_value(v)))
			continue;
		q->verb = (enum detect_verb)i;
		return 1;
	}
	return request_complain(error, "\"do\" is not known", json_string_value(v));
}
