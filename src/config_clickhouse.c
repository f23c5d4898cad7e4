/* SPDX-License-Identifier: Apache-2.0 */
#include "config_clickhouse.h"

#include <stdio.h>

#include "base/human.h"
#include "config_block.h"

static const char *check_user(struct str value)
{
	return value.n && !memchr(value.p, ':', value.n) && !config_has_control(value)
		       ? NULL
		       : "a name without ':' is expected here";
}

/* Where the next address has its place; NULL, and a mistake is told: there are too many, or it is there already. */
static char *place_of_url(struct lex *lex, const struct lex_token *t, struct ship_settings *s)
{
	for (size_t i = 0; i < SHIP_URLS_MAX; i++) {
		const char *is = ship_url(s, i);

		if (!is)
			return i ? s->more_urls[i - 1] : s->url;
		if (str_eq(t->text, str_of(is))) {
			lex_complain(lex, t, "error", "this address is named twice");
			return NULL;
		}
	}
	lex_complain(lex, t, "error", "at most %d addresses", SHIP_URLS_MAX);
	return NULL;
}

static void take_url(struct lex *lex, const struct lex_token *t, void *ret)
{
	char *place = place_of_url(lex, t, ret);

	if (place)
		snprintf(place, sizeof(((struct ship_settings *)0)->url), "%.*s", STR_FMT(t->text));
}

static void take_spool(struct lex *lex, const struct lex_token *t, void *ret)
{
	struct ship_settings *s = ret;

	if (t->kind != LEX_WORD || size_parse(t->text, &s->spool_bytes) < 0 ||
	    s->spool_bytes < CLICKHOUSE_SPOOL_MIN)
		lex_complain(lex, t, "error", "a size of at least 100mb is expected here, as 10gb");
}

#define TEXT(field) \
	offsetof(struct ship_settings, field), sizeof(((struct ship_settings *)0)->field)

static const struct block_option options[] = {
	{ "url", ship_check_url, TEXT(url), take_url, true },
	{ "database", ship_check_word, TEXT(database) },
	{ "user", check_user, TEXT(user) },
	{ "password-file", config_check_secret, TEXT(password_file) },
	{ "ca", config_check_path, TEXT(ca) },
	{ "certificate", config_check_path, TEXT(certificate) },
	{ "key", config_check_secret, TEXT(key) },
	{ "spool", .take = take_spool },
};

static bool all_https(const struct ship_settings *s)
{
	for (size_t i = 0; ship_url(s, i); i++)
		if (!str_has_prefix(str_of(ship_url(s, i)), STR("https://")))
			return false;
	return true;
}

static void check_whole(struct lex *lex, const struct lex_token *at, const struct ship_settings *s)
{
	if (!s->url[0])
		lex_complain(lex, at, "error",
			     "'url' is missing: where ClickHouse is, as \"https://HOST:8443\"");
	else if (s->password_file[0] && !s->user[0])
		lex_complain(lex, at, "error", "'password-file' needs a 'user'");
	else if (s->ca[0] && !all_https(s))
		lex_complain(lex, at, "error", "'ca' belongs to https://HOST:PORT");
	else if (!s->certificate[0] != !s->key[0])
		lex_complain(lex, at, "error", "'certificate' and 'key' belong together");
	else if (s->certificate[0] && !all_https(s))
		lex_complain(lex, at, "error", "'certificate' belongs to https://HOST:PORT");
}

void config_parse_clickhouse(struct lex *lex, struct ship_settings *ret)
{
	struct lex_token at;

	*ret = (struct ship_settings){ .database = "egret", .spool_bytes = CLICKHOUSE_SPOOL_BYTES };
	if (config_parse_block(lex, options, sizeof(options) / sizeof(options[0]), ret, &at))
		check_whole(lex, &at, ret);
}
