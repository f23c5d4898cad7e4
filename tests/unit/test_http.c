// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <errno.h>

#include "base/cleanup.h"
#include "decode/http.h"

static void a_request(void **state)
{
	struct str s = STR("GET /a%20b?c=d HTTP/1.1\r\nhOST:  Www.Example.Org:8080 \r\n"
			   "User-Agent: curl/7.88.1\r\nX: y\r\n\r\nbody: Host: no\r\n");
	struct http_request r;

	assert_true(http_is_request(s));
	assert_ok(http_request_parse(s, &r));
	assert_str(r.method, "GET");
	assert_str(r.url, "/a%20b?c=d");
	assert_str(r.host, "Www.Example.Org:8080");
	assert_str(r.user_agent, "curl/7.88.1");
	assert_int_equal(r.minor, 1);
	assert_true(r.complete);
}

static void a_request_that_goes_on(void **state)
{
	struct str s = STR("POST /x HTTP/1.0\nHost: a.example\nUser-Agent: half");
	struct http_request r;

	assert_err(http_request_parse(s, &r), -EAGAIN);
	assert_str(r.method, "POST");
	assert_str(r.url, "/x");
	assert_str(r.host, "a.example");
	assert_int_equal(r.user_agent.n, 0);
	assert_int_equal(r.minor, 0);
	assert_false(r.complete);
	assert_err(http_request_parse(STR("GET /long"), &r), -EAGAIN);
	assert_str(r.method, "GET");
	assert_int_equal(r.url.n, 0);
	assert_err(http_request_parse(STR("PROPF"), &r), -EAGAIN);
	assert_err(http_request_parse(STR(""), &r), -EAGAIN);
}

static void who_names_the_host(void **state)
{
	static const struct {
		struct str request;
		const char *host;
	} cases[] = {
		{ STR("GET http://real.example:81/p HTTP/1.1\r\nHost: other.example\r\n\r\n"),
		  "real.example:81" },
		{ STR("GET HTTP://real.example HTTP/1.1\r\n\r\n"), "real.example" },
		{ STR("CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n"),
		  "a.example:443" },
		{ STR("GET / HTTP/1.1\r\nHost: first\r\nHost: second\r\n\r\n"), "first" },
		{ STR("GET / HTTP/1.1\r\nNo colon here\r\n: empty\r\nHost:\tx\r\n\r\n"), "x" },
		{ STR("OPTIONS * HTTP/1.1\r\n\r\n"), "" },
		{ STR("GET /old\r\n"), "" },
	};
	struct http_request r;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(http_request_parse(cases[i].request, &r));
		assert_str(r.host, cases[i].host);
	}
}

static void no_request(void **state)
{
	static const struct str others[] = {
		STR("GETX / HTTP/1.1\r\n"),
		STR("get / HTTP/1.1\r\n"),
		STR("\x16\3\1"),
		STR("GET \r\n"),
		STR("GET /\1 HTTP/1.1\r\n"),
		STR("GET / HTTP/2.0\r\n"),
		STR("GET a\r\n"),
		STR("OPTIONS sip:x SIP/2.0\r\n"),
	};
	struct http_request r;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_err(http_request_parse(others[i], &r), -EBADMSG);
}

static void responses(void **state)
{
	struct str s = STR("HTTP/1.1 404 Not Found\r\ncontent-type: text/html; charset=x\r\n"
			   "Content-Length: 1234\r\n\r\n");
	struct http_response r;

	assert_true(http_is_response(s));
	assert_ok(http_response_parse(s, &r));
	assert_int_equal(r.status, 404);
	assert_true(r.has_length && r.complete);
	assert_int_equal(r.length, 1234);
	assert_str(r.content_type, "text/html; charset=x");
	assert_err(http_response_parse(str_sub(s, 0, 60), &r), -EAGAIN);
	assert_int_equal(r.status, 404);
	assert_err(http_response_parse(STR("HTTP/1.0 200"), &r), -EAGAIN);
	assert_ok(http_response_parse(STR("HTTP/1.0 200\r\nContent-Length: -1\r\n\r\n"), &r));
	assert_false(r.has_length);
	assert_err(http_response_parse(STR("HTTP/1.1 20 OK\r\n"), &r), -EBADMSG);
	assert_err(http_response_parse(STR("HTTP/2 200 OK\r\n"), &r), -EBADMSG);
	assert_err(http_response_parse(STR("ICY 200 OK\r\n"), &r), -EBADMSG);
	assert_err(http_response_parse(STR("HTT"), &r), -EAGAIN);
}

static void host_as_a_name(void **state)
{
	static const struct {
		struct str host;
		const char *name;
	} cases[] = {
		{ STR("Example.Org"), "Example.Org" },
		{ STR("example.org:80"), "example.org" },
		{ STR("example.org.:80"), "example.org" },
		{ STR("10.0.0.1"), "" },
		{ STR("10.0.0.1:8080"), "" },
		{ STR("[2001:db8::1]:80"), "" },
		{ STR("2001:db8::1"), "" },
		{ STR("user@example.org"), "example.org" },
		{ STR(""), "" },
		{ STR(":80"), "" },
		{ STR("."), "" },
		{ STR("a b"), "" },
		{ STR("localhost"), "localhost" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_str(http_host_name(cases[i].host), cases[i].name);
}

static void parse_it(struct str s)
{
	struct http_request q;
	struct http_response r;

	http_is_request(s);
	http_is_response(s);
	if (http_request_parse(s, &q) != -EBADMSG)
		http_host_name(q.host);
	http_response_parse(s, &r);
}

static void hostile_heads(void **state)
{
	hostile_variants(
		STR("GET http://a@b.c:80/ HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: x\r\n\r\n"),
		parse_it);
	hostile_variants(STR("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n"),
			 parse_it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request),          cmocka_unit_test(a_request_that_goes_on),
		cmocka_unit_test(who_names_the_host), cmocka_unit_test(no_request),
		cmocka_unit_test(responses),          cmocka_unit_test(host_as_a_name),
		cmocka_unit_test(hostile_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
