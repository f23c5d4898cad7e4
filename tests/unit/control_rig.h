/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket from both ends: a control with a flow table of its own, and clients in the same thread. */
#pragma once

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

static struct control_fixture {
	struct intern *texts;
	struct name_table *names;
	struct proc_table *procs;
	struct flow_table *flows;
	struct loop *loop;
	struct control *control;
	char dir[64], path[128];
	uint64_t now_ns;
} fx;

static inline uint64_t now(void)
{
	return fx.now_ns;
}

static inline void on_record(void *ctx, const struct record *r)
{
	if (fx.control)
		control_record(fx.control, r);
}

static inline void add_status(void *ctx, struct json *j)
{
	json_text(j, "watch", "test");
}

static inline struct control_config config(void)
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

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline void stop(void *ctx)
{
	loop_stop(ctx);
}

/* Lets the control work for a moment. */
static inline void pump_ms(unsigned ms)
{
	struct loop_source *timer;

	assert_ok(loop_add_timer(fx.loop, ms * NSEC_PER_MSEC, stop, fx.loop, &timer));
	assert_ok(loop_run(fx.loop));
	loop_remove(timer);
}

static inline void packet(unsigned i, uint16_t dport, uint8_t proto, uint8_t flags, uint32_t bytes)
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

static inline void make_flows(unsigned n, uint16_t dport)
{
	for (unsigned i = 0; i < n; i++)
		packet(i, dport, 17, 0, 100 + i);
}

static inline struct client *ask(const char *request)
{
	struct client *c = NULL;

	assert_ok(client_new(&c, fx.dir, str_of(request)));
	client_set_nonblocking(c);
	return c;
}

/* The next line, parsed; waits up to two seconds. NULL: the connection ended. */
static inline json_t *next(struct client *c)
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

static inline bool has_line(struct client *c)
{
	struct str line;

	pump_ms(20);
	return client_line(c, &line) == 1;
}

static inline json_int_t number(json_t *j, const char *a, const char *b)
{
	json_t *v = json_object_get(j, a);

	return json_integer_value(b ? json_object_get(v, b) : v);
}

static inline void assert_error(const char *request, const char *part)
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
