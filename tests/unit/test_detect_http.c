/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP as bots speak it, and as others do. */
#include "detect_rig_flows.h"

static struct flow *ask(struct drig *g, const char *to, uint16_t port, const char *name,
			const char *method, const char *url, const char *agent, const char *type)
{
	struct flow *f = drig_open(g, to, port, IPPROTO_TCP, APP_HTTP);
	struct http_response a = { .status = 200, .content_type = str_of(type) };
	struct record_http h = { .request = { .method = str_of(method),
					      .url = str_of(url),
					      .host = str_of(name ? name : to),
					      .user_agent = str_of(agent),
					      .complete = true },
				 .response = type ? &a : NULL };

	if (name)
		drig_call(g, f, name, NAME_HTTP);
	drig_tells(g, (struct record){ .type = RECORD_HTTP, .flow = f, .http = &h });
	drig_moves(g, f, TO_SERVER, 300, 1);
	drig_ends(g, f);
	return f;
}

#define BROWSER "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

static void test_address(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = ask(g, FAR, 80, NULL, "GET", "/", BROWSER, NULL);

	assert_int_equal(drig_db(g, f, E_HTTP_ADDRESS), 4);
	assert_int_equal(drig_db(g, f, E_HTTP_AGENT), 0);
	f = ask(g, FAR, 8219, NULL, "POST", "/", NULL, NULL);
	assert_int_equal(drig_db(g, f, E_HTTP_ADDRESS), 8);
	assert_int_equal(drig_db(g, f, E_HTTP_AGENT), 4);
	f = ask(g, NEAR, 8080, NULL, "GET", "/", "curl/8.1", NULL);
	assert_int_equal(drig_db(g, f, E_HTTP_ADDRESS), 2);
	assert_int_equal(drig_db(g, f, E_HTTP_AGENT), 3);
	f = ask(g, "203.0.114.10", 80, "www.site.example", "GET", "/", BROWSER, NULL);
	assert_int_equal(drig_db(g, f, E_HTTP_ADDRESS), 0);
	f = ask(g, "203.0.114.11", 80, "www.wikipedia.org", "POST", "/", NULL, NULL);
	assert_int_equal(drig_db(g, f, E_HTTP_AGENT), 0); /* everybody knows it */
	drig_free(g);
}

static void test_gate(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = NULL, *near = NULL, *site = NULL, *ocsp = NULL, *device = NULL;

	for (int i = 0; i < 9; i++) {
		f = ask(g, FAR, 80, "bad.example", "POST", "/panel/gate.php", "Mozilla/4.0", NULL);
		near = ask(g, NEAR, 8888, NULL, "POST", i % 5 ? "/weather" : "/file/download",
			   "python-requests/2.32.3", NULL);
		device = ask(g, "10.0.0.1", 80, NULL, "POST", "/upnp/control/WANIPConn1", NULL,
			     NULL);
		ocsp = ask(g, "203.0.114.10", 80, "ocsp.small-ca.example", "POST", "/",
			   "Microsoft-CryptoAPI/10.0", "application/ocsp-response");
		site = ask(g, "203.0.114.11", 80, "forum.example", i % 3 ? "GET" : "POST",
			   "/post.php", BROWSER, NULL);
	}
	assert_int_equal(drig_db(g, f, E_HTTP_GATE), 10);
	assert_true(drig_db(g, f, E_HTTP_REGULAR) >= 10);
	assert_true(drig_db(g, near, E_HTTP_GATE) >= 6);
	assert_int_equal(drig_db(g, device, E_HTTP_GATE), 0);
	assert_int_equal(drig_db(g, ocsp, E_HTTP_GATE), 0);
	assert_int_equal(drig_db(g, site, E_HTTP_GATE), 0);
	drig_free(g);
}

static void test_paths(void **state)
{
	static const char *const data[] = {
		"/images/aZ0kQ9x_2Fw3R/tY7uI8oP1aS2/dF3gH4jK5lZ6_2BxC7vB8nM9q/W1eR2tY3uI4o/P5a.avi",
		"/images/Qw1eR2tY3u_2FI4oP5/aS6dF7gH8jK9/lZ0xC1vB2nM3_2BqW4eR5/tY6uI7oP8aS9d/"
		"F0g.avi",
		"/images/mN9bV8cX7z_2FL6kJ5/hG4fD3sA2pO1/iU0yT9rE8wQ7_2BmN6bV5/cX4zL3kJ2hG1f/"
		"D0s.avi",
	};
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		f = ask(g, FAR, 80, "gozi.example", "GET", data[i], BROWSER, NULL);
	assert_int_equal(drig_db(g, f, E_HTTP_PATH), evidence_rows[E_HTTP_PATH].most);
	/* Words, digests and questions about certificates are none. */
	f = ask(g, "203.0.114.10", 80, "shop.example", "GET",
		"/catalogue/garden/furniture/wooden-chairs-and-tables/chair-with-arms-brown.html",
		BROWSER, NULL);
	assert_int_equal(drig_db(g, f, E_HTTP_PATH), 0);
	for (int i = 0; i < 4; i++)
		f = ask(g, "203.0.114.11", 80, "mirror.example", "GET",
			i % 2 ? "/by-hash/SHA256/"
				"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
			      : "/by-hash/SHA256/"
				"60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
			BROWSER, NULL);
	assert_int_equal(drig_db(g, f, E_HTTP_PATH), 0);
	for (int i = 0; i < 4; i++)
		f = ask(g, "203.0.114.12", 80, "ocsp.example", "GET",
			i % 2 ? "/MFQwUjBQME4wTDAJBgUrDgMCGgUABBQmECJms4fNxV9Zc0PQ3kZ1aWx2Y3JhbmRvb"
				"QIQAx"
			      : "/MFQwUjBQME4wTDAJBgUrDgMCGgUABBQmECJms4fNxV9Zc0PQ3kZ1aWx2Y3JhbmRvb"
				"QIQBz",
			NULL, NULL);
	assert_int_equal(drig_db(g, f, E_HTTP_PATH), 0);
	drig_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
