/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: requests, answers, and clients that are slow, many, or gone. */
#include "test.h"

#include "control_rig.h"

static void test_status(void **state)
{
	struct client *c;
	json_t *j;

	make_flows(5, 53);
	c = ask("{\"ask\":\"status\"}");
	j = next(c);
	assert_int_equal(number(j, "flows_now", NULL), 5);
	assert_int_equal(number(j, "lost_total", NULL), 0);
	assert_int_equal(json_object_size(json_object_get(j, "lost")), LOSS_COUNT);
	assert_string_equal(json_string_value(json_object_get(j, "watch")), "test");
	assert_int_equal(number(j, "clients", NULL), 1);
	json_decref(j);
	client_free(c);
}

static void test_malformed_requests(void **state)
{
	static char deep[8000];
	struct client *c;
	json_t *j;

	memset(deep, '[', sizeof(deep) - 1);
	assert_error("{}", "ask");
	assert_error("nonsense", "JSON");
	assert_error("\"ask\"", "JSON");
	assert_error("{\"ask\":\"everything\"}", "none of");
	assert_error("{\"ask\":\"status\",\"ask\":\"top\"}", "JSON");
	assert_error("{\"ask\":\"flows\",\"limti\":3}", "limti");
	assert_error("{\"ask\":\"flows\",\"limit\":-3}", "limit");
	assert_error("{\"ask\":\"flows\",\"limit\":\"3\"}", "limit");
	assert_error("{\"ask\":\"flows\",\"sort\":\"rate\"}", "sorted");
	assert_error("{\"ask\":\"top\",\"sort\":\"packets\"}", "sorted");
	assert_error("{\"ask\":\"top\",\"by\":\"moon\"}", "by");
	assert_error("{\"ask\":\"events\",\"types\":[\"flow\",\"x\"]}", "types");
	assert_error("{\"ask\":\"flows\",\"filter\":\"port:x\"}", "column");
	assert_error("{\"ask\":\"flows\",\"group\":{\"by\":\"program\"}}", "group");
	assert_error("{\"ask\":\"flows\",\"ended\":1}", "ended");
	assert_error("\xff\xfe{\"ask\":\"status\"}", "JSON");
	assert_error(deep, "JSON");

	/* After an error the connection goes on. */
	c = ask("{\"ask\":\"x\"}\n{\"ask\":\"status\"}");
	json_decref(next(c));
	j = next(c);
	assert_non_null(json_object_get(j, "flows_now"));
	json_decref(j);
	client_free(c);
}

static void test_a_request_without_end(void **state)
{
	static char flood[40000];
	struct client *c;
	json_t *j;

	memset(flood, 'x', sizeof(flood) - 1);
	c = ask(flood);
	j = next(c);
	assert_non_null(strstr(json_string_value(json_object_get(j, "error")), "8 KiB"));
	json_decref(j);
	assert_null(next(c)); /* and it is closed */
	client_free(c);
}

/* Reads a list of flows to its end; how many rows. */
static size_t read_flows(struct client *c, json_t **ret_end, json_int_t *ret_first_bytes)
{
	size_t n = 0;

	for (;;) {
		json_t *j = next(c);

		assert_non_null(j);
		if (json_object_get(j, "end")) {
			*ret_end = j;
			return n;
		}
		assert_string_equal(json_string_value(json_object_get(j, "event_type")), "flow");
		if (!n++ && ret_first_bytes)
			*ret_first_bytes = number(j, "flow", "bytes_toserver");
		json_decref(j);
	}
}

static void assert_flows(const char *request, size_t rows, json_int_t matched)
{
	struct client *c = ask(request);
	json_t *end;

	assert_int_equal(read_flows(c, &end, NULL), rows);
	assert_int_equal(number(end, "shown", NULL), rows);
	assert_int_equal(number(end, "matched", NULL), matched);
	json_decref(end);
	client_free(c);
}

static void test_flows(void **state)
{
	json_int_t first;
	struct client *c;
	json_t *end;

	make_flows(2500, 53);
	make_flows(30, 123);
	assert_flows("{\"ask\":\"flows\"}", 1000, 2530);             /* the default limit */
	assert_flows("{\"ask\":\"flows\",\"limit\":0}", 2530, 2530); /* several pages */
	assert_flows("{\"ask\":\"flows\",\"limit\":1700}", 1700, 2530);
	assert_flows("{\"ask\":\"flows\",\"limit\":7,\"filter\":\"port:123\"}", 7, 30);
	assert_flows("{\"ask\":\"flows\",\"filter\":\"port:9\"}", 0, 0);
	assert_flows("{\"ask\":\"flows\",\"group\":{\"by\":\"host\",\"label\":\"10.0.0.3\"}}", 2,
		     2);
	assert_flows("{\"ask\":\"flows\",\"group\":{\"by\":\"host\",\"label\":\"10.9.9.9\"}}", 0,
		     0);
	c = ask("{\"ask\":\"flows\",\"limit\":3,\"sort\":\"up\"}");
	assert_int_equal(read_flows(c, &end, &first), 3);
	assert_int_equal(first, 100 + 2499);
	json_decref(end);
	client_free(c);
}

/* The answer's names, so that a flow to its address holds references to texts and names. */
static void name_the_address(void)
{
	static const struct addr to = { { [10] = 0xff, [11] = 0xff, 0xc6, 0x33, 0x64, 0x07 } };

	name_table_add(fx.names, NULL, &to, STR("api.example.org"), NAME_DNS, fx.now_ns,
		       UINT64_MAX);
}

static void test_ended_flows_can_be_asked_for(void **state)
{
	struct client *c;
	json_t *j;

	name_the_address();
	make_flows(3, 53);
	flow_table_finish(fx.flows);
	make_flows(2, 123);
	assert_flows("{\"ask\":\"flows\"}", 2, 2);
	assert_flows("{\"ask\":\"flows\",\"ended\":true}", 5, 5);
	assert_flows("{\"ask\":\"flows\",\"ended\":true,\"filter\":\"port:53 name:api.*\"}", 3, 3);
	c = ask("{\"ask\":\"flows\",\"ended\":true,\"filter\":\"port:53\",\"sort\":\"up\"}");
	j = next(c);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(j, "flow"), "reason")),
		"shutdown");
	assert_string_equal(json_string_value(json_object_get(json_object_get(j, "egret"), "name")),
			    "api.example.org");
	json_decref(j);
	client_free(c);
	make_flows(1500,
		   443); /* only the last ones are kept, and the others let go of what they held */
	flow_table_finish(fx.flows);
	assert_flows("{\"ask\":\"flows\",\"ended\":true,\"limit\":0}", 1000, 1000);
}

static void test_two_requests_on_one_connection(void **state)
{
	struct client *c;
	json_t *j;

	make_flows(1500, 53);
	c = ask("{\"ask\":\"flows\",\"limit\":0}\n{\"ask\":\"status\"}");
	assert_int_equal(read_flows(c, &j, NULL), 1500);
	json_decref(j);
	j = next(c);
	assert_int_equal(number(j, "flows_now", NULL), 1500);
	json_decref(j);
	client_free(c);
}

static void test_whoever_stops_sending_gets_its_answer(void **state)
{
	struct client *c;
	json_t *j;

	make_flows(1200, 53);
	c = ask("{\"ask\":\"flows\",\"limit\":0}");
	assert_ok(shutdown(client_fd(c), SHUT_WR));
	assert_int_equal(read_flows(c, &j, NULL), 1200);
	json_decref(j);
	assert_null(next(c)); /* nothing more was asked: closed */
	client_free(c);
}

static void end_flow(unsigned i)
{
	packet(i, 443, 6, TCP_SYN, 60);
	packet(i, 443, 6, TCP_RST, 40);
}

static void test_events(void **state)
{
	struct client *all = ask("{\"ask\":\"events\"}"), *some;
	json_t *j;

	some = ask(
		"{\"ask\":\"events\",\"types\":[\"flow\",\"stats\"],\"filter\":\"src:10.0.0.2\"}");
	pump_ms(20);
	end_flow(1);
	end_flow(2);
	flow_table_finish(fx.flows); /* which ends with a record of statistics */
	for (int i = 1; i <= 2; i++) {
		j = next(all);
		assert_string_equal(json_string_value(json_object_get(j, "event_type")), "flow");
		json_decref(j);
	}
	j = next(all);
	assert_string_equal(json_string_value(json_object_get(j, "event_type")), "stats");
	json_decref(j);
	j = next(some);
	assert_string_equal(json_string_value(json_object_get(j, "src_ip")), "10.0.0.2");
	json_decref(j);
	assert_false(has_line(some)); /* statistics are no flow of 10.0.0.2 */
	client_free(all);
	client_free(some);
	pump_ms(10);
}

static void test_top(void **state)
{
	struct client *c;
	json_t *j, *row;

	make_flows(3, 53);
	c = ask("{\"ask\":\"top\",\"by\":\"host\",\"sort\":\"label\",\"limit\":2,\"filter\":\"port:"
		"53\"}");
	j = next(c);
	assert_int_equal(json_array_size(json_object_get(j, "rows")), 2);
	row = json_array_get(json_object_get(j, "rows"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "label")), "10.0.0.0");
	assert_int_equal(number(j, "totals", "groups"), 3); /* the limit is of rows shown */
	assert_int_equal(number(j, "totals", "up"), 303);
	json_decref(j);

	fx.now_ns += NSEC_PER_SEC;
	make_flows(1, 53);
	make_flows(1, 54); /* not in the filter */
	j = next(c);
	assert_int_equal(number(j, "totals", "up"), 403);
	row = json_array_get(json_object_get(j, "rows"), 0);
	assert_true(json_number_value(json_object_get(row, "up_rate")) == 100.0);
	json_decref(j);
	client_free(c);
}

/* A flow that lived between two seconds counts, once. */
static void test_top_has_what_ended(void **state)
{
	struct client *c = ask("{\"ask\":\"top\",\"by\":\"host\"}");
	json_t *j = next(c);

	json_decref(j);
	make_flows(1, 53); /* lives on through the first second … */
	fx.now_ns += NSEC_PER_SEC;
	j = next(c);
	assert_int_equal(number(j, "totals", "up"), 100);
	json_decref(j);
	make_flows(1, 53);
	flow_table_finish(fx.flows); /* … ends in the next, having grown */
	fx.now_ns += NSEC_PER_SEC;
	j = next(c);
	assert_int_equal(number(j, "totals", "up"), 200);
	assert_int_equal(number(j, "totals", "flows"), 1);
	assert_true(json_number_value(json_object_get(json_object_get(j, "totals"), "up_rate")) ==
		    100.0);
	json_decref(j);
	client_free(c);
}

static void test_slow_client_loses_and_is_told(void **state)
{
	struct client *c = ask("{\"ask\":\"events\",\"types\":[\"flow\"]}");
	uint64_t got = 0, lost = 0;
	const unsigned total =
		20000; /* of about 700 bytes: more than 8 MiB and the socket's buffer */

	pump_ms(20);
	make_flows(total, 53);
	flow_table_finish(fx.flows);
	assert_true(control_lost(fx.control) > 0);
	while (got + lost < total) {
		json_t *j = next(c);

		assert_non_null(j);
		if (json_object_get(j, "lost"))
			lost += (uint64_t)number(j, "lost", NULL);
		else
			got++;
		json_decref(j);
	}
	assert_int_equal(got + lost, total);
	assert_int_equal(lost, control_lost(fx.control));
	client_free(c);
}

static void test_clients_are_limited(void **state)
{
	struct client *c[66];
	json_t *j;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		c[i] = ask(i < 9 ? "{\"ask\":\"top\"}" : "{\"ask\":\"events\"}");
		pump_ms(5);
	}
	j = next(c[7]);
	assert_non_null(json_object_get(j, "rows"));
	json_decref(j);
	j = next(c[8]); /* the ninth live view */
	assert_non_null(json_object_get(j, "error"));
	json_decref(j);
	j = next(c[65]);
	assert_string_equal(json_string_value(json_object_get(j, "error")), "too many clients");
	json_decref(j);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		client_free(c[i]);
	pump_ms(20);
	c[0] = ask("{\"ask\":\"status\"}"); /* the others have gone */
	j = next(c[0]);
	assert_int_equal(number(j, "clients", NULL), 1);
	json_decref(j);
	client_free(c[0]);
}

static void test_client_that_goes_in_the_middle(void **state)
{
	make_flows(5000, 53);
	for (int i = 0; i < 20; i++) {
		client_free(ask("{\"ask\":\"flows\",\"limit\":0}"));
		pump_ms((unsigned)i % 3 + 1);
	}
	assert_flows("{\"ask\":\"flows\",\"limit\":1}", 1, 5000);
}

static void test_socket_in_the_file_system(void **state)
{
	struct control_config cfg = config();
	struct control *other = NULL;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char path[100], saved[108];
	struct stat st;
	int fd;

	assert_ok(lstat(fx.path, &st));
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_err(control_new(&other, &cfg), -EADDRINUSE); /* somebody answers there */
	assert_null(other);

	snprintf(path, sizeof(path), "%.80s/stale.sock", fx.dir); /* nobody does: replaced */
	cfg.path = path;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_ok(bind(fd, (struct sockaddr *)&at, sizeof(at)));
	close(fd);
	assert_ok(control_new(&other, &cfg));
	snprintf(saved, sizeof(saved), "%s.moved", path);
	assert_ok(rename(path, saved));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	other = control_free(other); /* removes only what it made */
	assert_ok(lstat(path, &st));
	assert_err(control_new(&other, &cfg),
		   -EEXIST); /* a file of somebody else's is not touched */
	assert_ok(unlink(path));
	assert_ok(unlink(saved));
	cfg.path = "/nonexistent/egret.sock";
	assert_err(control_new(&other, &cfg), -ENOENT);
}

static void test_client_without_a_daemon(void **state)
{
	struct client *c = NULL;

	assert_err(client_new(&c, "/nonexistent", STR("{}")), -ENOENT);
	assert_null(c);
}

static void test_pick_keeps_the_largest(void **state)
{
	struct picked heap[10];
	struct pick p = { .heap = heap, .max = ARRAY_SIZE(heap) };

	for (uint64_t i = 0; i < 1000; i++)
		pick_offer(&p, i * 7919 % 1000, (const struct flow *)(uintptr_t)(i + 1));
	pick_sort(&p);
	assert_int_equal(p.n, 10);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(heap[i].key, 999 - i);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_status),
		TEST(test_malformed_requests),
		TEST(test_a_request_without_end),
		TEST(test_flows),
		TEST(test_ended_flows_can_be_asked_for),
		TEST(test_two_requests_on_one_connection),
		TEST(test_whoever_stops_sending_gets_its_answer),
		TEST(test_events),
		TEST(test_top),
		TEST(test_top_has_what_ended),
		TEST(test_slow_client_loses_and_is_told),
		TEST(test_clients_are_limited),
		TEST(test_client_that_goes_in_the_middle),
		TEST(test_socket_in_the_file_system),
		TEST(test_client_without_a_daemon),
		cmocka_unit_test(test_pick_keeps_the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
