/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket from both ends: a control with a flow table of its own, and clients in the same thread. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/time.h"
#include "decode/packet.h"
#include "flow/record.h"
#include "serve/client.h"
#include "serve/control.h"
#include "serve/pick.h"
#include "serve/request.h"

#define T0 (1767225600ULL * NSEC_PER_SEC)

static struct fixture {
	struct intern *texts;
	struct name_table *names;
	struct proc_table *procs;
	struct flow_table *flows;
	struct loop *loop;
	struct control *control;
	char dir[64], path[128];
	uint64_t now_ns;
} fx;

static uint64_t now(void)
{
	return fx.now_ns;
}

static void on_record(void *ctx, const struct record *r)
{
	if (fx.control)
		control_record(fx.control, r);
}

static void add_status(void *ctx, struct json *j)
{
	json_text(j, "watch", "test");
}

static struct control_config config(void)
{
	return (struct control_config){
		.path = fx.path,
		.loop = fx.loop,
		.flows = fx.flows,
		.format = { .vantage = EVE_HOST, .host = "t" },
		.status = add_status,
		.now = now,
		.texts = fx.texts,
		.names = fx.names,
		.procs = fx.procs,
	};
}

static int set_up(void **state)
{
	struct flow_config flows = { .max_flows = 20000 };
	struct control_config cfg;

	memset(&fx, 0, sizeof(fx));
	fx.now_ns = T0;
	snprintf(fx.dir, sizeof(fx.dir), "/tmp/egret-test-control-XXXXXX");
	if (!mkdtemp(fx.dir))
		return -1;
	snprintf(fx.path, sizeof(fx.path), "%s/egret.sock", fx.dir);
	assert_ok(intern_new(&fx.texts, 100000));
	assert_ok(name_table_new(&fx.names, fx.texts, 1000));
	assert_ok(proc_table_new(&fx.procs,
				 &(struct proc_table_config){ .texts = fx.texts, .max = 100 }));
	flows.texts = fx.texts;
	flows.names = fx.names;
	assert_ok(flow_table_new(&fx.flows, &flows, (struct record_out){ on_record, NULL }));
	assert_ok(loop_new(&fx.loop));
	cfg = config();
	assert_ok(control_new(&fx.control, &cfg));
	return 0;
}

static int tear_down(void **state)
{
	fx.control = control_free(fx.control);
	assert_err(access(fx.path, F_OK), -1);
	flow_table_free(fx.flows);
	proc_table_free(fx.procs);
	name_table_free(fx.names);
	intern_free(fx.texts);
	loop_free(fx.loop);
	return rmdir(fx.dir);
}

static void stop(void *ctx)
{
	loop_stop(ctx);
}

/* Lets the control work for a moment. */
static void pump_ms(unsigned ms)
{
	struct loop_source *timer;

	assert_ok(loop_add_timer(fx.loop, ms * NSEC_PER_MSEC, stop, fx.loop, &timer));
	assert_ok(loop_run(fx.loop));
	loop_remove(timer);
}

static void packet(unsigned i, uint16_t dport, uint8_t proto, uint8_t flags, uint32_t bytes)
{
	uint8_t src[4] = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i };

	flow_table_event(fx.flows,
			 &(struct event){
				 .type = EVENT_PACKET,
				 .time_ns = fx.now_ns,
				 .key = { .src = addr_from_v4(src),
					  .dst = addr_from_v4("\xc6\x33\x64\x07"),
					  .sport = 40000,
					  .dport = dport,
					  .proto = proto },
				 .packet = { .packets = 1, .ip_bytes = bytes, .tcp_flags = flags },
			 });
}

static void make_flows(unsigned n, uint16_t dport)
{
	for (unsigned i = 0; i < n; i++)
		packet(i, dport, 17, 0, 100 + i);
}

static struct client *ask(const char *request)
{
	struct client *c = NULL;

	assert_ok(client_new(&c, fx.dir, str_of(request)));
	client_set_nonblocking(c);
	return c;
}

/* The next line, parsed; waits up to two seconds. NULL: the connection ended. */
static json_t *next(struct client *c)
{
	for (int i = 0; i < 400; i++) {
		struct str line;
		int r = client_line(c, &line);

		if (r == 1) {
			json_t *j = json_loadb(line.p, line.n, 0, NULL);

			assert_non_null(j);
			return j;
		}
		if (r == 0)
			return NULL;
		assert_err(r, -EAGAIN);
		pump_ms(5);
	}
	fail_msg("no answer");
	return NULL;
}

static bool has_line(struct client *c)
{
	struct str line;

	pump_ms(20);
	return client_line(c, &line) == 1;
}

static json_int_t number(json_t *j, const char *a, const char *b)
{
	json_t *v = json_object_get(j, a);

	return json_integer_value(b ? json_object_get(v, b) : v);
}

static void assert_error(const char *request, const char *part)
{
	struct client *c = ask(request);
	json_t *j = next(c);
	const char *text = json_string_value(json_object_get(j, "error"));

	assert_non_null(text);
	if (!strstr(text, part))
		print_error("\"%s\" does not say \"%s\"\n", text, part);
	assert_non_null(strstr(text, part));
	json_decref(j);
	client_free(c);
}

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

/* --- findings ------------------------------------------------------------------------------------------------------- */

static struct detect_request asked;
static bool asked_filter;

static struct finding finding(const char *id, enum finding_state state)
{
	struct finding f = { .state = state,
			     .severity = SEVERITY_HIGH,
			     .class = CLASS_C2,
			     .detector = "beacon",
			     .time_ns = T0,
			     .entity = STR("/tmp/.x (root)"),
			     .exe = STR("/tmp/.x"),
			     .peer = STR("c2.example"),
			     .explain = STR("often") };

	snprintf(f.id, sizeof(f.id), "%s", id);
	return f;
}

static void give_findings(void *ctx, const struct detect_request *q, const struct filter *filter,
			  struct finding_out to)
{
	struct finding f = finding("aaaa", FINDING_OPEN);

	asked = *q;
	asked_filter = filter;
	for (int i = 0; i < 3; i++)
		to.on_finding(to.ctx, &f);
}

static void answer_detect(void *ctx, const struct detect_request *q, struct json *j)
{
	asked = *q;
	json_bool(j, "done", true);
}

static uint64_t two_open(void *ctx)
{
	return 2;
}

static void serve_detect(void)
{
	struct control_config cfg = config();

	fx.control = control_free(fx.control);
	cfg.findings = give_findings;
	cfg.detect = answer_detect;
	cfg.findings_open = two_open;
	assert_ok(control_new(&fx.control, &cfg));
}

static void test_findings(void **state)
{
	struct client *c;
	json_t *j;

	assert_error("{\"ask\":\"findings\"}", "nothing is detected here");
	assert_error("{\"ask\":\"detect\",\"do\":\"exceptions\"}", "nothing is detected here");
	serve_detect();
	c = ask("{\"ask\":\"findings\",\"filter\":\"proc:x\",\"limit\":2,\"last\":3600,\"low\":"
		"true,"
		"\"class\":\"c2\",\"detector\":\"beacon\",\"level\":\"high\",\"id\":\"aaaa\"}");
	for (int i = 0; i < 2; i++) {
		j = next(c);
		assert_string_equal(json_string_value(json_object_get(j, "event_type")), "alert");
		assert_string_equal(
			json_string_value(json_object_get(
				json_object_get(json_object_get(j, "egret"), "finding"), "id")),
			"aaaa");
		json_decref(j);
	}
	j = next(c);
	assert_true(json_is_true(json_object_get(j, "end")));
	assert_int_equal(json_integer_value(json_object_get(j, "matched")), 3);
	assert_int_equal(json_integer_value(json_object_get(j, "shown")), 2);
	json_decref(j);
	client_free(c);
	assert_true(asked_filter && asked.low);
	assert_int_equal(asked.last_s, 3600);
	assert_string_equal(asked.class, "c2");
	assert_string_equal(asked.detector, "beacon");
	assert_string_equal(asked.level, "high");
	assert_string_equal(asked.id, "aaaa");
	assert_error("{\"ask\":\"findings\",\"last\":-1}", "last");
	assert_error("{\"ask\":\"findings\",\"low\":7}", "low");
	assert_error("{\"ask\":\"findings\",\"id\":\"0123456789abcdef\"}", "id"); /* too long */
	assert_error("{\"ask\":\"findings\",\"note\":\"x\"}", "note");
	assert_error("{\"ask\":\"findings\",\"filter\":\"nonsense:x\"}", "");
}

static void test_detect_requests(void **state)
{
	struct client *c;
	json_t *j;

	serve_detect();
	c = ask("{\"ask\":\"detect\",\"do\":\"ack\",\"id\":\"aaaa\",\"entity\":\"/usr/bin/"
		"x\",\"peer\":\"p\","
		"\"note\":\"why\",\"for\":86400,\"class\":\"peer\"}");
	j = next(c);
	assert_true(json_is_true(json_object_get(j, "done")));
	json_decref(j);
	client_free(c);
	assert_int_equal(asked.verb, DETECT_DO_ACK);
	assert_string_equal(asked.entity, "/usr/bin/x");
	assert_string_equal(asked.note, "why");
	assert_int_equal(asked.seconds, 86400);
	assert_error("{\"ask\":\"detect\",\"do\":\"learn\"}", "not known");
	assert_error("{\"ask\":\"detect\",\"do\":7}", "not known");
	assert_error("{\"ask\":\"detect\",\"do\":\"unack\",\"number\":\"x\"}", "number");
	assert_error("{\"ask\":\"detect\",\"do\":\"intel-add\",\"confidence\":101}", "confidence");
	for (enum detect_verb v = 0; v < DETECT_VERB_COUNT; v++)
		assert_int_equal(detect_verb_changes(v), v != DETECT_DO_EXCEPTIONS &&
								 v != DETECT_DO_INTEL_LIST &&
								 v != DETECT_DO_INTEL_CHECK);
}

static void tell(const char *id, enum finding_state state)
{
	struct finding f = finding(id, state);

	control_record(
		fx.control,
		&(struct record){ .type = RECORD_FINDING, .time_ns = fx.now_ns, .finding = &f });
}

static void test_top_tells_of_findings(void **state)
{
	struct client *c = ask("{\"ask\":\"top\",\"by\":\"host\"}");
	json_t *j = next(c), *last;

	assert_null(json_object_get(j, "findings")); /* nothing is detected here */
	json_decref(j);
	client_free(c);
	serve_detect();
	c = ask("{\"ask\":\"top\",\"by\":\"host\"}");
	j = next(c);
	assert_int_equal(number(j, "findings", "open"), 2);
	assert_null(json_object_get(json_object_get(j, "findings"), "last"));
	json_decref(j);
	tell("aaaa", FINDING_OPEN);
	tell("bbbb", FINDING_CLOSED); /* of another: no news */
	j = next(c);
	last = json_object_get(json_object_get(j, "findings"), "last");
	assert_string_equal(json_string_value(json_object_get(last, "id")), "aaaa");
	assert_string_equal(json_string_value(json_object_get(last, "state")), "open");
	assert_string_equal(json_string_value(json_object_get(last, "level")), "high");
	assert_string_equal(json_string_value(json_object_get(last, "entity")), "/tmp/.x (root)");
	assert_string_equal(json_string_value(json_object_get(last, "peer")), "c2.example");
	assert_int_equal(json_integer_value(json_object_get(last, "time_ms")), T0 / 1000000);
	json_decref(j);
	tell("aaaa", FINDING_CLOSED);
	j = next(c);
	last = json_object_get(json_object_get(j, "findings"), "last");
	assert_string_equal(json_string_value(json_object_get(last, "state")), "closed");
	json_decref(j);
	client_free(c);
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
		TEST(test_findings),
		TEST(test_detect_requests),
		TEST(test_top_tells_of_findings),
		TEST(test_slow_client_loses_and_is_told),
		TEST(test_clients_are_limited),
		TEST(test_client_that_goes_in_the_middle),
		TEST(test_socket_in_the_file_system),
		TEST(test_client_without_a_daemon),
		cmocka_unit_test(test_pick_keeps_the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
