/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP side that is ours: routes, queries and bodies to requests, checks of headers, limits, sessions, the document. */
#include "test.h"

#include <arpa/inet.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/time.h"
#include "serve/request.h"
#include "web/ask.h"
#include "web/check.h"
#include "web/limit.h"
#include "web/openapi.h"
#include "web/route.h"
#include "web/session.h"

static const struct web_route *route(const char *method, const char *path)
{
	bool other;
	const struct web_route *r = web_route_find(str_of(method), str_of(path), &other);

	assert_non_null(r);
	return r;
}

/* "{ask,members}" of a query, or the error after a '!'. */
static const char *query(const char *path, const char *text)
{
	static char out[ASK_MEMBERS_MAX + 256];
	_cleanup_buf_ struct buf members = BUF_INIT(ASK_MEMBERS_MAX);
	const struct web_route *r = route("GET", path);
	char error[ASK_ERROR_MAX] = "";

	if (ask_from_query(r, str_of(text), &members, error) < 0)
		snprintf(out, sizeof(out), "!%s", error);
	else
		snprintf(out, sizeof(out), "{%s%s}", r->ask ? r->ask : "",
			 members.n ? members.p : "");
	return out;
}

static const char *body(const char *path, const char *text, struct buf *file)
{
	static char out[ASK_MEMBERS_MAX + 256];
	_cleanup_buf_ struct buf members = BUF_INIT(ASK_MEMBERS_MAX),
				 nothing = BUF_INIT(ASK_BODY_MAX + 256);
	const struct web_route *r = route("POST", path);
	char error[ASK_ERROR_MAX] = "";
	int got = ask_from_body(r, str_of(text), &members, file ? file : &nothing, error);

	if (got < 0)
		snprintf(out, sizeof(out), "!%s", error);
	else
		snprintf(out, sizeof(out), "{%s%s}", r->ask ? r->ask : "",
			 members.n ? members.p : "");
	buf_done(&nothing);
	return out;
}

static void test_routes(void **state)
{
	bool other;
	size_t n;
	const struct web_route *all = web_routes(&n);

	assert_string_equal(route("GET", "/api/v1/flows")->path, "/flows");
	assert_string_equal(route("HEAD", "/api/v1/flows")->path, "/flows");
	assert_string_equal(route("GET", "/metrics")->path, "/metrics");
	assert_null(web_route_find(STR("HEAD"), STR("/api/v1/live/top"), &other));
	assert_null(web_route_find(STR("POST"), STR("/api/v1/flows"), &other));
	assert_true(other);
	assert_null(web_route_find(STR("GET"), STR("/api/v1/flows/"), &other));
	assert_false(other);
	assert_null(web_route_find(STR("GET"), STR("/flows"), &other));
	assert_null(web_route_find(STR("GET"), STR("/api/v1/metrics"), &other));
	assert_null(web_route_find(STR("GET"), STR(""), &other));
	assert_null(web_route_find(STR("get"), STR("/api/v1/flows"), &other));
	for (size_t i = 0; i < n; i++) {
		assert_true(all[i].help && strchr(".?", all[i].help[strlen(all[i].help) - 1]));
		assert_true(all[i].shape == WEB_LOCAL || all[i].ask);
		assert_true(all[i].shape != WEB_ROWS || all[i].row);
		/* the first thing of a change that is looked at is its body, and it is refused with words */
		if (all[i].method[0] == 'P')
			assert_non_null(
				strstr(body("/api/v1/policy/confirm", "[1]", NULL), "!the body"));
	}
}

/* Each route's request is one that the control socket takes. */
static void test_the_daemon_takes_them(void **state)
{
	static const char *const queries[][2] = {
		{ "/api/v1/status", "" },
		{ "/api/v1/flows", "filter=port%3A443+-user%3Aroot&limit=10&sort=up&ended=true" },
		{ "/api/v1/top", "by=user&sort=bytes&limit=5&filter=" },
		{ "/api/v1/why",
		  "to=example.org&port=443&app=/usr/bin/curl&user=root&proto=udp&speaking=quic" },
		{ "/api/v1/findings",
		  "last=7d&low=1&class=c2&level=high&detector=beacon&id=abc&filter=proc:x" },
		{ "/api/v1/findings/exceptions", "" },
		{ "/api/v1/policy", "" },
		{ "/api/v1/policy/text", "" },
		{ "/api/v1/intel", "" },
		{ "/api/v1/intel/check", "indicator=203.0.113.9" },
		{ "/api/v1/filter/keys", "" },
		{ "/api/v1/live/top", "by=name&limit=100" },
		{ "/api/v1/live/events", "types=flow,dns,alert&filter=curl" },
	};
	static const char *const bodies[][2] = {
		{ "/api/v1/findings/ack", "{\"id\":\"abc\",\"for\":\"30d\",\"note\":\"ours\"}" },
		{ "/api/v1/findings/unack", "{\"number\":3}" },
		{ "/api/v1/policy/load",
		  "{\"text\":\"default allow\\n\",\"mode\":\"watch\",\"confirm\":\"60s\"}" },
		{ "/api/v1/policy/confirm", "" },
		{ "/api/v1/policy/block", "{\"rule\":\"deny to 203.0.113.9\",\"for\":3600}" },
		{ "/api/v1/policy/unblock", "{\"all\":true}" },
	};
	char error[REQUEST_ERROR_MAX];
	struct request q;

	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		const char *line = query(queries[i][0], queries[i][1]);

		if (request_parse(str_of(line), &q, error) < 0)
			fail_msg("%s: %s", line, error);
		request_done(&q);
	}
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		const char *line = body(bodies[i][0], bodies[i][1], NULL);

		if (request_parse(str_of(line), &q, error) < 0)
			fail_msg("%s: %s", line, error);
		request_done(&q);
	}
}

static void test_queries(void **state)
{
	char long_query[ASK_QUERY_MAX + 2];

	assert_string_equal(query("/api/v1/flows", "limit=3&ended=0"),
			    "{\"ask\":\"flows\",\"limit\":3,\"ended\":false}");
	assert_string_equal(query("/api/v1/flows", "filter=a%20b+c%22%5c"),
			    "{\"ask\":\"flows\",\"filter\":\"a b c\\\"\\\\\"}");
	assert_string_equal(query("/api/v1/flows", "&&limit=&"), "{\"ask\":\"flows\"}");
	assert_string_equal(query("/api/v1/live/events", "types=flow,dns"),
			    "{\"ask\":\"events\",\"types\":[\"flow\",\"dns\"]}");
	assert_string_equal(query("/api/v1/history/usage",
				  "from=2026-01-02T03:04:05Z&to=1800000000&by=app,name"),
			    "{\"ask\":\"history\",\"do\":\"usage\",\"from\":1767323045,\"to\":"
			    "1800000000,\"by\":\"app,name\"}");
	assert_string_equal(query("/api/v1/history/usage", "last=7d"),
			    "{\"ask\":\"history\",\"do\":\"usage\",\"last\":604800}");
	assert_non_null(strstr(query("/api/v1/flows", "limti=3"), "!limti: no such parameter"));
	assert_non_null(strstr(query("/api/v1/flows", "limit=3&limit=4"), "!limit: said twice"));
	assert_non_null(strstr(query("/api/v1/flows", "limit=-3"), "!limit: no number"));
	assert_non_null(strstr(query("/api/v1/flows", "limit=99999999999999999999999"), "!limit"));
	assert_non_null(strstr(query("/api/v1/flows", "limit=10001"), "!limit"));
	assert_non_null(strstr(query("/api/v1/flows", "sort=rate"), "!sort"));
	assert_non_null(strstr(query("/api/v1/flows", "sort=up%20down"), "!sort"));
	assert_non_null(strstr(query("/api/v1/flows", "ended=yes"), "!ended"));
	assert_non_null(strstr(query("/api/v1/flows", "filter=%4"), "!the query"));
	assert_non_null(strstr(query("/api/v1/flows", "filter=%zz"), "!the query"));
	assert_non_null(strstr(query("/api/v1/live/events", "types=flow,moon"), "!types"));
	assert_non_null(strstr(query("/api/v1/findings", "last=soon"), "!last"));
	assert_non_null(strstr(query("/api/v1/findings", "last=0"), "!last"));
	assert_non_null(strstr(query("/api/v1/findings", "last=999999w"), "!last"));
	assert_non_null(strstr(query("/api/v1/history/flows", "from=yesterday"), "!from"));
	assert_non_null(strstr(query("/api/v1/why", "port=443"), "!to: is missing"));
	assert_non_null(strstr(query("/api/v1/status", "x=1"), "!x: no such parameter"));
	/* no quote, no newline and no wrong byte gets out of its text */
	assert_string_equal(
		query("/api/v1/flows", "filter=%0a%22,%22ask%22:%22%ff"),
		"{\"ask\":\"flows\",\"filter\":\"\\u000a\\\",\\\"ask\\\":\\\"\\ufffd\"}");
	memset(long_query, 'x', sizeof(long_query) - 1);
	long_query[sizeof(long_query) - 1] = 0;
	assert_non_null(
		strstr(query("/api/v1/flows", long_query), "!the query: longer than 4 KiB"));
	for (size_t i = 7; i + 3 < sizeof(long_query); i += 3)
		memcpy(long_query + i, "%01", 3); /* six bytes each in JSON */
	memcpy(long_query, "filter=", 7);
	long_query[7 + (ASK_QUERY_MAX - 7) / 3 * 3] = 0;
	assert_non_null(strstr(query("/api/v1/flows", long_query), "!the request: too long"));
}

static void test_bodies(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT(ASK_BODY_MAX);

	assert_string_equal(body("/api/v1/policy/load",
				 "{\"text\":\"default deny\\n\",\"mode\":\"enforce\"}", &file),
			    "{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"enforce\"}");
	assert_str(buf_str(&file), "file 10 13\npage.egret\ndefault deny\n\n");
	assert_string_equal(body("/api/v1/policy/unblock", "{\"all\":true}", NULL),
			    "{\"ask\":\"policy\",\"do\":\"unblock\",\"all\":true}");
	assert_non_null(strstr(body("/api/v1/policy/load", "{\"mode\":\"watch\"}", NULL),
			       "!text: is missing"));
	assert_non_null(strstr(body("/api/v1/policy/load", "", NULL), "is missing"));
	assert_non_null(
		strstr(body("/api/v1/policy/block", "{\"rule\":[1]}", NULL), "!rule: neither"));
	assert_non_null(
		strstr(body("/api/v1/policy/block", "{\"rule\":\"x\",\"rule\":\"y\"}", NULL),
		       "!the body"));
	assert_non_null(strstr(body("/api/v1/policy/block", "{\"rule\":\"x\"", NULL), "!the body"));
	assert_non_null(strstr(body("/api/v1/policy/block", "\"rule\"", NULL), "!the body"));
	assert_non_null(
		strstr(body("/api/v1/policy/block", "{\"rule\":\"x\",\"do\":\"clear\"}", NULL),
		       "!do: no such"));
	assert_non_null(strstr(body("/api/v1/findings/unack", "{\"number\":-1}", NULL), "!number"));
	assert_non_null(
		strstr(body("/api/v1/findings/unack", "{\"number\":1.5}", NULL), "!number"));
	/* a file is never taken from a query: there is no route that would */
	assert_non_null(strstr(query("/api/v1/policy", "text=x"), "!text: no such parameter"));
}

/* A line of the control socket goes on as it is, if it reads and ends; whoever asks does not say himself who he is. */
static void test_lines(void **state)
{
	static const char *const refused[][2] = {
		{ "", "the body" },
		{ "[]", "the body" },
		{ "{\"ask\":\"flows\",\"ask\":\"page\"}", "the body" },
		{ "{\"ask\":\"flows\"}{\"ask\":\"page\"}", "the body" },
		{ "{}", "ask: is missing" },
		{ "{\"ask\":7}", "ask: is missing" },
		{ "{\"ask\":\"events\"}", "events: not over HTTP" },
		{ "{\"ask\":\"top\"}", "top: not over HTTP" },
		{ "{\"ask\":\"page\",\"do\":\"link\"}", "page link: not over HTTP" },
		{ "{\"ask\":\"policy\"}", "policy: not over HTTP" },
		{ "{\"ask\":\"policy\",\"do\":\"load\"}", "policy load: not over HTTP" },
		{ "{\"ask\":\"policy\",\"do\":\"show text\"}", "not over HTTP" },
		{ "{\"ask\":\"detect\",\"do\":\"ack\"}", "detect ack: not over HTTP" },
		{ "{\"ask\":\"status\",\"token\":\"x\"}", "who asks" },
		{ "{\"ask\":\"status\",\"certificate\":\"root\"}", "who asks" },
	};
	char large[ASK_MEMBERS_MAX + 256];

	assert_string_equal(body("/api/v1/ask", "{\"ask\":\"status\"}", NULL),
			    "{\"ask\":\"status\"}");
	assert_string_equal(body("/api/v1/ask",
				 " { \"ask\":\"history\",\n\"do\":\"usage\",\"last\":9}\n", NULL),
			    "{\"ask\":\"history\",\"do\":\"usage\",\"last\":9}");
	assert_string_equal(body("/api/v1/ask", "{\"ask\":\"policy\",\"do\":\"quota\"}", NULL),
			    "{\"ask\":\"policy\",\"do\":\"quota\"}");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const char *got = body("/api/v1/ask", refused[i][0], NULL);

		if (got[0] != '!' || !strstr(got, refused[i][1]))
			fail_msg("%s: %s", refused[i][0], got);
	}
	snprintf(large, sizeof(large), "{\"ask\":\"flows\",\"filter\":\"%0*d\"}", ASK_MEMBERS_MAX,
		 1);
	assert_non_null(strstr(body("/api/v1/ask", large, NULL), "!the request: too long"));
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		uint64_t s;
	} good[] = {
		{ "0", 0 },
		{ "1767323045", 1767323045 },
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-01-02T03:04:05Z", 1767323045 },
		{ "2026-01-02t03:04:05z", 1767323045 },
		{ "2026-01-02 04:04:05.999+01:00", 1767323045 },
		{ "2026-01-01T22:04:05-05:00", 1767323045 },
		{ "2024-02-29T00:00:00Z", 1709164800 },
	};
	static const char *const bad[] = { "",
					   "now",
					   "2026-01-02",
					   "2026-01-02T03:04:05",
					   "2026-01-02T03:04:05+0100",
					   "2026-13-02T03:04:05Z",
					   "2026-00-02T03:04:05Z",
					   "2026-01-32T03:04:05Z",
					   "2026-01-02T24:04:05Z",
					   "2026-01-02T03:04:05+24:00",
					   "1969-12-31T23:59:59Z",
					   "99999999999999",
					   "2026-01-02T03:04:05Zx" };
	uint64_t s;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_ok(ask_parse_time(str_of(good[i].text), &s));
		assert_int_equal(s, good[i].s);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ask_parse_time(str_of(bad[i]), &s) == 0)
			fail_msg("%s", bad[i]);
}

static void test_hosts_and_sites(void **state)
{
	struct check_place loopback = { .listened = STR("127.0.0.1") };
	struct check_place six = { .listened = STR("[::1]") };
	struct check_place tls = { .tls = true, .listened = STR("192.0.2.1") };
	struct check_place local = { .local = true };
	struct str host = STR("127.0.0.1:8710");

	assert_null(check_host(&loopback, host));
	assert_null(check_host(&loopback, STR("localhost")));
	assert_null(check_host(&loopback, STR("LocalHost:9999"))); /* a forwarded port */
	assert_null(check_host(&six, STR("[::1]:8710")));
	assert_null(check_host(&tls, STR("egret.example")));
	assert_null(check_host(&local, STR_NONE));
	assert_non_null(check_host(&loopback, STR_NONE));
	assert_non_null(check_host(&loopback, STR("")));
	assert_non_null(check_host(&loopback, STR("evil.example:8710")));
	assert_non_null(check_host(&loopback, STR("localhost.evil.example")));
	assert_non_null(check_host(&loopback, STR("127.0.0.1.evil.example")));
	assert_non_null(check_host(&loopback, STR("[::1]:8710")));
	assert_non_null(check_host(&six, STR("[::1.evil")));
	assert_non_null(check_host(&loopback, STR("evil.example#127.0.0.1")));

	assert_null(check_site(&loopback, host, STR_NONE, STR_NONE));
	assert_null(check_site(&loopback, host, STR("http://127.0.0.1:8710"), STR("same-origin")));
	assert_null(check_site(&loopback, host, STR_NONE, STR("none")));
	assert_null(check_site(&tls, STR("egret.example"), STR("https://egret.example"), STR_NONE));
	assert_non_null(check_site(&loopback, host, STR("http://127.0.0.1:9999"), STR_NONE));
	assert_non_null(check_site(&loopback, host, STR("https://127.0.0.1:8710"), STR_NONE));
	assert_non_null(check_site(&loopback, host, STR("null"), STR_NONE));
	assert_non_null(check_site(&loopback, host, STR_NONE, STR("cross-site")));
	assert_non_null(check_site(&loopback, host, STR_NONE, STR("same-site")));
	assert_non_null(
		check_site(&tls, STR("egret.example"), STR("http://egret.example"), STR_NONE));
	assert_non_null(check_site(&local, host, STR("http://127.0.0.1:8710"), STR_NONE));

	assert_null(check_change(STR("application/json"), STR("1")));
	assert_null(check_change(STR("Application/JSON; charset=utf-8"), STR("1")));
	assert_non_null(check_change(STR("application/json"), STR_NONE));
	assert_non_null(check_change(STR("application/json"), STR("0")));
	assert_non_null(check_change(STR("text/plain"), STR("1")));
	assert_non_null(check_change(STR("text/plain; application/json"), STR("1")));
	assert_non_null(check_change(STR_NONE, STR("1")));
}

static void test_credentials(void **state)
{
	assert_str(check_bearer(STR("Bearer abc")), "abc");
	assert_str(check_bearer(STR("bearer  abc ")), "abc");
	assert_int_equal(check_bearer(STR("Basic abc")).n, 0);
	assert_int_equal(check_bearer(STR_NONE).n, 0);
	assert_str(check_cookie(STR("a=1; egret-live=xyz; b=2"), STR("egret-live")), "xyz");
	assert_str(check_cookie(STR("egret-live=x=y"), STR("egret-live")), "x=y");
	assert_int_equal(check_cookie(STR("xegret-live=1; egret-live2=2"), STR("egret-live")).n, 0);
	assert_int_equal(check_cookie(STR_NONE, STR("egret-live")).n, 0);
}

static void test_limit(void **state)
{
	static struct limit l = { .seed = 1 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 }, mapped = v6;
	uint64_t now = 1000 * NSEC_PER_SEC, key;
	unsigned n = 0;

	inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr);
	key = limit_key(&l, (struct sockaddr *)&v4);
	assert_int_equal(key, limit_key(&l, (struct sockaddr *)&mapped));
	while (limit_take(&l, key, 1, now))
		n++;
	assert_int_equal(n, LIMIT_BURST);
	assert_true(limit_take(&l, limit_key(&l, NULL), 1, now)); /* others are not held up */
	now += NSEC_PER_SEC;
	for (n = 0; limit_take(&l, key, 1, now);)
		n++;
	assert_int_equal(n, LIMIT_RATE);
	/* a wrong token each time: ten of them, then one each 0.4 s */
	now += 60 * NSEC_PER_SEC;
	for (n = 0; limit_take(&l, key, LIMIT_WRONG, now);)
		n++;
	assert_int_equal(n, LIMIT_BURST / LIMIT_WRONG);
	inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
	key = limit_key(&l, (struct sockaddr *)&v6);
	inet_pton(AF_INET6, "2001:db8::2:3:4:5", &v6.sin6_addr);
	assert_int_equal(key, limit_key(&l, (struct sockaddr *)&v6)); /* one network */
	/* many addresses: the table stays as it is, and the newest still has its limit */
	for (uint64_t k = 1; k < 100000; k++)
		assert_true(limit_take(&l, k << 8 | 1, 1, now + k));
	for (n = 0; limit_take(&l, 99999ULL << 8 | 1, 1, now + 100000);)
		n++;
	assert_int_equal(n, LIMIT_BURST - 1);
}

static void test_sessions(void **state)
{
	static struct sessions s;
	char first[SESSION_TEXT_MAX];
	const char *id;

	assert_ok(session_new(&s, "token", 1000, &id));
	memcpy(first, id, sizeof(first));
	assert_string_equal(session_token(&s, str_of(first), 999), "token");
	assert_null(session_token(&s, str_of(first), 1000));
	assert_null(session_token(&s, STR("x"), 1));
	assert_null(session_token(&s, STR_NONE, 1));
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		assert_ok(session_new(&s, "other", 2000, &id));
	assert_null(session_token(&s, str_of(first), 1)); /* what ends first made room */
	assert_string_equal(session_token(&s, str_of(id), 1), "other");
}

/* docs/openapi.json is what the table gives. EGRET_WRITE=1 writes it anew; `git diff` is the review. */
static void test_openapi(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1U << 20);
	const char *source = getenv("EGRET_SOURCE");
	char path[512];
	json_error_t where;
	json_t *made, *kept;

	assert_non_null(source);
	snprintf(path, sizeof(path), "%s/docs/openapi.json", source);
	openapi_put(&out);
	made = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, &where);
	if (!made)
		fail_msg("not JSON: %s", where.text);
	if (getenv("EGRET_WRITE"))
		assert_int_equal(json_dump_file(made, path, JSON_INDENT(1)), 0);
	kept = json_load_file(path, 0, &where);
	assert_true(kept && json_equal(made, kept));
	json_decref(made);
	json_decref(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_the_daemon_takes_them),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_hosts_and_sites),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_openapi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
