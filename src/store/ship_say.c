/* SPDX-License-Identifier: Apache-2.0 */
/* What ClickHouse answers, in words for people. Its codes have kept their numbers since before 18.16. */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "store/ship.h"

#define OLDEST_MAJOR 18
#define OLDEST_MINOR 16
#define SAID_MAX 120

/* {} is the database. */
static const struct {
	uint16_t code;
	uint8_t verdict;
	const char *why;
} codes[] = {
	{ 516, SHIP_RETRY, "wrong user or password" },
	{ 192, SHIP_RETRY, "wrong user or password" },
	{ 193, SHIP_RETRY, "wrong user or password" },
	{ 194, SHIP_RETRY, "this user needs a password" },
	{ 195, SHIP_RETRY, "this user may not come from this address" },
	{ 291, SHIP_RETRY, "this user may not use the database" },
	{ 497, SHIP_RETRY, "this user may not insert into the tables" },
	{ 164, SHIP_RETRY, "this user may only read" },
	{ 81, SHIP_RETRY,
	  "wrong schema: the database is not there; egret-clickhouse migrate makes it" },
	{ 60, SHIP_RETRY, "wrong schema: a table is not there; egret-clickhouse migrate makes it" },
	{ 8, SHIP_RETRY, "wrong schema: a column is not there; was a table altered?" },
	{ 10, SHIP_RETRY, "wrong schema: a column is not there; was a table altered?" },
	{ 16, SHIP_RETRY, "wrong schema: a column is not there; was a table altered?" },
	{ 47, SHIP_RETRY, "wrong schema: a column is not there; was a table altered?" },
	{ 252, SHIP_RETRY, "too many parts: it merges more slowly than batches come" },
	{ 243, SHIP_RETRY, "its disk is full" },
	{ 241, SHIP_RETRY, "it has no memory left for it" },
	{ 242, SHIP_RETRY, "its tables are read-only: is ZooKeeper there?" },
	{ 999, SHIP_RETRY, "it has lost ZooKeeper" },
	{ 225, SHIP_RETRY, "it has no ZooKeeper" },
	{ 202, SHIP_RETRY, "it has too many queries at once" },
	{ 279, SHIP_RETRY, "no server of a shard answers" },
	{ 209, SHIP_RETRY, "a server of a shard is slow" },
	{ 210, SHIP_RETRY, "a server of a shard cannot be reached" },
	{ 159, SHIP_RETRY, "it is slow" },
	{ 6, SHIP_NEVER, "it cannot read a batch" },
	{ 26, SHIP_NEVER, "it cannot read a batch" },
	{ 27, SHIP_NEVER, "it cannot read a batch" },
	{ 32, SHIP_NEVER, "it cannot read a batch" },
	{ 33, SHIP_NEVER, "it cannot read a batch" },
	{ 69, SHIP_NEVER, "it cannot read a batch" },
	{ 117, SHIP_NEVER, "it cannot read a batch" },
	{ 128, SHIP_NEVER, "it cannot read a batch" },
	{ 131, SHIP_NEVER, "it cannot read a batch" },
	{ 40, SHIP_NEVER, "it cannot unpack a batch" },
	{ 89, SHIP_NEVER, "it cannot unpack a batch" },
	{ 271, SHIP_NEVER, "it cannot unpack a batch" },
	{ 354, SHIP_NEVER, "it cannot unpack a batch" },
};

/* The number behind "Code: "; 0: there is none. */
static uint64_t code_of(struct str body)
{
	static const struct str mark = STR("Code: ");
	const char *at = body.n ? memmem(body.p, body.n, mark.p, mark.n) : NULL;
	struct str digits = at ? str_sub(body, (size_t)(at - body.p) + mark.n, 5) : STR_NONE;
	uint64_t code = 0;
	size_t n = 0;

	while (n < digits.n && digits.p[n] >= '0' && digits.p[n] <= '9')
		n++;
	str_parse_u64(str_sub(digits, 0, n), &code);
	return code;
}

/* The first line of it, without what a terminal would obey. */
static void quote(struct str body, char out[SAID_MAX])
{
	size_t n = 0;

	while (n < body.n && n < SAID_MAX - 1 && body.p[n] != '\n') {
		out[n] = body.p[n] >= ' ' && body.p[n] <= '~' ? body.p[n] : '?';
		n++;
	}
	out[n] = 0;
}

enum ship_verdict ship_explain(long status, struct str body, const char *database,
			       char why[SHIP_WHY_MAX])
{
	uint64_t code = code_of(body);
	char said[SAID_MAX];

	for (size_t i = 0; code && i < ARRAY_SIZE(codes); i++) {
		if (codes[i].code != code)
			continue;
		snprintf(why, SHIP_WHY_MAX, "%s (database %s, code %u)", codes[i].why, database,
			 codes[i].code);
		return (enum ship_verdict)codes[i].verdict;
	}
	if (str_has_prefix(body, STR(SHIP_COLLECTOR_SAYS))) {
		quote(str_sub(body, sizeof(SHIP_COLLECTOR_SAYS) - 1, body.n), said);
		snprintf(why, SHIP_WHY_MAX, "the collector refuses it: %s", said);
		return status == 400 || status == 413 ? SHIP_NEVER : SHIP_RETRY;
	}
	quote(body, said);
	if (status == 401 || status == 403)
		snprintf(why, SHIP_WHY_MAX, "wrong user or password (status %ld)", status);
	else
		snprintf(why, SHIP_WHY_MAX, "it answers with status %ld: %s", status,
			 said[0] ? said : "nothing");
	return SHIP_RETRY;
}

int ship_hello_parse(struct str answer, char version[SHIP_VERSION_MAX], bool *ret_async)
{
	struct str rest = str_trim(answer), v, part[2], numbers;
	uint64_t n[2];

	version[0] = 0;
	if (!str_cut(&rest, '\t', &v) || v.n >= SHIP_VERSION_MAX ||
	    (!str_eq(rest, STR("0")) && !str_eq(rest, STR("1"))))
		return -EINVAL;
	numbers = v;
	for (size_t i = 0; i < 2; i++)
		if (!str_cut(&numbers, '.', &part[i]) || str_parse_u64(part[i], &n[i]) < 0)
			return -EINVAL;
	snprintf(version, SHIP_VERSION_MAX, "%.*s", STR_FMT(v));
	*ret_async = str_eq(rest, STR("1"));
	return n[0] < OLDEST_MAJOR || (n[0] == OLDEST_MAJOR && n[1] < OLDEST_MINOR) ? -ENOTSUP : 0;
}

const char *ship_check_url(struct str url)
{
	bool https = str_has_prefix(url, STR("https://"));
	struct str rest = str_sub(url, https ? 8 : 7, url.n);

	if (!https && !str_has_prefix(url, STR("http://")))
		return "an address as \"https://HOST:8443\" is expected here";
	if (!rest.n)
		return "the address names no host";
	if (memchr(rest.p, '@', rest.n))
		return "the user does not stand in the address: 'user' and 'password-file' are for "
		       "that";
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] <= ' ' || rest.p[i] > '~' || strchr("?#\"\\", rest.p[i]))
			return "an address as \"https://HOST:8443\" is expected here, without '?' "
			       "and '#'";
	return NULL;
}

const char *ship_check_word(struct str word)
{
	if (!word.n)
		return "a name is expected here";
	for (size_t i = 0; i < word.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
			    word.p[i]))
			return "a name of letters, digits and '_' is expected here";
	return NULL;
}
