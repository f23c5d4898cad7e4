/* SPDX-License-Identifier: Apache-2.0 */
/* Users, groups and application protocols. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "decode/appproto.h"
#include "policy/parse.h"

#define NEAR_MAX 512 /* users of the system that a misspelt one is compared with */
#define NAME_BYTES 64

_Static_assert((int)EG_APP_DECODED == (int)APP_PROTO_COUNT,
	       "bpf/policy_image.h numbers protocols as decode does");
#define X(id, name) _Static_assert((int)EG_APP_##id == (int)APP_##id, "the same number");
APP_PROTOCOLS(X)
#undef X

/* The name of the nearest user or group of this system. */
static const char *nearest(struct str name, bool group, struct advice *a)
{
	static char names[NEAR_MAX][NAME_BYTES];
	struct str words[NEAR_MAX];
	_cleanup_fclose_ FILE *f = fopen(group ? "/etc/group" : "/etc/passwd", "re");
	size_t n = 0, at;

	while (f && n < NEAR_MAX) {
		struct group *g = group ? fgetgrent(f) : NULL;
		struct passwd *u = group ? NULL : fgetpwent(f);

		if (!g && !u)
			break;
		snprintf(names[n], NAME_BYTES, "%s", g ? g->gr_name : u->pw_name);
		words[n] = str_of(names[n]);
		n++;
	}
	at = lex_nearest_of(name, words, n);
	a->text[0] = 0;
	if (at < n)
		snprintf(a->text, sizeof(a->text), "\ndid you mean '%s'?", names[at]);
	return a->text;
}

/* Asked of the system once a name: POLICY_ANON when there is none. */
static uint32_t look_up(struct parser *p, struct str name, bool group)
{
	struct symbol *s = symbol_at(p, symbol_get(p, group ? SYMBOL_GROUP : SYMBOL_USER, name));
	char text[NAME_BYTES];
	struct group *g;
	struct passwd *u;

	if (s->place.line || name.n >= NAME_BYTES || memchr(name.p, 0, name.n))
		return s->def;
	snprintf(text, sizeof(text), "%.*s", STR_FMT(name));
	g = group ? getgrnam(text) : NULL;
	u = group ? NULL : getpwnam(text);
	s->def = g ? g->gr_gid : u ? u->pw_uid : POLICY_ANON;
	s->place.line = 1;
	return s->def;
}

static void take_user(struct parser *p, bool group)
{
	const char *what = group ? "group" : "user";
	struct lex_token t = p->tok;
	struct advice a;
	uint64_t id;
	uint32_t found;

	if (t.kind != LEX_WORD && t.kind != LEX_STRING) {
		mistake(p, &t, "a %s is expected here, by name or number", what);
		return;
	}
	next(p);
	if (str_parse_u64(t.text, &id) == 0) {
		found = id < POLICY_ANON ? (uint32_t)id : POLICY_ANON;
		if (found == POLICY_ANON)
			mistake(p, &t, "numbers of %ss go from 0 to 4294967294", what);
	} else {
		found = look_up(p, t.text, group);
		if (found == POLICY_ANON)
			mistake(p, &t, "this system has no %s '%.*s'%s", what, QUOTED(t.text),
				nearest(t.text, group, &a));
	}
	if (found != POLICY_ANON)
		*(uint32_t *)vec_add(p, &p->numbers, sizeof(found)) = found;
}

void take_users(struct parser *p, struct policy_terms *terms, bool groups)
{
	uint32_t **to = groups ? &terms->groups : &terms->users;
	size_t *to_n = groups ? &terms->n_groups : &terms->n_users;

	p->numbers.n = 0;
	do {
		if (p->numbers.n == PARSE_VALUES_MAX)
			mistake(p, &p->tok, "more than %d values", PARSE_VALUES_MAX);
		take_user(p, groups);
	} while (!p->failed && p->numbers.n <= PARSE_VALUES_MAX && more_values(p));
	*to = vec_take(p, &p->numbers, sizeof(uint32_t), to_n);
}

/* --- protocols --------------------------------------------------------------------------------------------------- */

static const struct protocol {
	const char *name;
	uint8_t app;
} protocols[] = {
#define X(id, name) { name, EG_APP_##id },
	APP_PROTOCOLS(X)
#undef X
		{ "dot", EG_APP_DOT },
	{ "doq", EG_APP_DOQ },
	{ "doh", EG_APP_DOH },
	{ "kerberos", EG_APP_KERBEROS },
	{ "postgres", EG_APP_POSTGRES },
	{ "postgresql", EG_APP_POSTGRES },
};

const char *policy_protocol_name(uint8_t eg_app)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (protocols[i].app == eg_app)
			return protocols[i].name;
	return NULL;
}

static void take_protocol(struct parser *p)
{
	const char *names[ARRAY_SIZE(protocols) + 1];
	struct lex_token t = p->tok;
	struct advice a;
	size_t n = 0;

	if (t.kind != LEX_WORD) {
		mistake(p, &t, "a protocol is expected here\nas dns, tls, quic or ssh");
		return;
	}
	next(p);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (!protocols[i].name)
			continue;
		if (is_word(&t, protocols[i].name)) {
			*(uint8_t *)vec_add(p, &p->numbers, 1) = protocols[i].app;
			return;
		}
		names[n++] = protocols[i].name;
	}
	names[n] = NULL;
	if (is_word(&t, "https"))
		mistake(p, &t, "'https' is spoken as tls, or as quic\nwrite 'speaking tls, quic'");
	else if (is_word(&t, "tcp") || is_word(&t, "udp") || is_word(&t, "icmp"))
		mistake(p, &t,
			"'%.*s' goes with the port\nas 'port 443/tcp', 'port 1-65535/udp' or 'port "
			"icmp'",
			QUOTED(t.text));
	else
		mistake(p, &t, "unknown protocol '%.*s'%s", QUOTED(t.text),
			advise(&a, t.text, names)[0]
				? a.text
				: "\negret-policy(5) lists those that are told");
}

void take_protocols(struct parser *p, struct policy_terms *terms)
{
	p->numbers.n = 0;
	do
		take_protocol(p);
	while (!p->failed && p->numbers.n < PARSE_VALUES_MAX && more_values(p));
	terms->speaking = vec_take(p, &p->numbers, 1, &terms->n_speaking);
}
