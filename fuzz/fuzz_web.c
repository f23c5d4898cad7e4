/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is ours of the HTTP side: the first line is a path, the second a query, the third the headers that are looked at, with
 * blanks between them; the rest a body. Whatever comes out must be one JSON object that the control socket can read.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "web/ask.h"
#include "web/check.h"

static void must_be_json(const struct web_route *r, const struct buf *members)
{
	_cleanup_buf_ struct buf line = BUF_INIT(2 * ASK_MEMBERS_MAX);
	json_t *j;

	buf_printf(&line, "{%s", r->ask ? r->ask : "\"ask\":\"\"");
	buf_put_str(&line, buf_str(members));
	buf_putc(&line, '}');
	j = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (!json_is_object(j))
		__builtin_trap();
	json_decref(j);
}

static void check(struct str headers)
{
	struct str part[4] = { STR_NONE, STR_NONE, STR_NONE, STR_NONE };
	struct check_place p = { .listened = STR("127.0.0.1") };

	for (size_t i = 0; i < 4; i++)
		str_cut(&headers, ' ', &part[i]);
	check_host(&p, part[0]);
	check_site(&p, part[0], part[1], part[2]);
	check_change(part[3], part[2]);
	check_cookie(part[3], STR("egret-live"));
	check_bearer(part[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str rest = { (const char *)bytes, n }, path = STR_NONE, query = STR_NONE,
		   headers = STR_NONE;
	_cleanup_buf_ struct buf members = BUF_INIT(ASK_MEMBERS_MAX),
				 file = BUF_INIT(ASK_BODY_MAX + 256);
	char error[ASK_ERROR_MAX] = "";
	const struct web_route *r;
	bool other;
	int got;

	str_cut(&rest, '\n', &path);
	str_cut(&rest, '\n', &query);
	str_cut(&rest, '\n', &headers);
	check(headers);
	r = web_route_find(STR("GET"), path, &other);
	if (r)
		got = ask_from_query(r, query, &members, error);
	else if ((r = web_route_find(STR("POST"), path, &other)))
		got = ask_from_body(r, rest, &members, &file, error);
	else
		return 0;
	if (got == 0)
		must_be_json(r, &members);
	else if (!error[0])
		__builtin_trap(); /* a refusal without a reason */
	return 0;
}
