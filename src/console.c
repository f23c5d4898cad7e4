/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "answerer.h"
#include "base/cleanup.h"
#include "base/host.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"
#include "config.h"
#include "console_probe.h"
#include "daemonize.h"
#include "front.h"
#include "serve/page.h"

struct console {
	const struct config *config;
	struct loop *loop;
	struct front front;
	struct console_probe *probe;
	uint64_t started_ns;
	char host[HOST_NAME_SIZE];
};

/* What all questions have in common. No host is meant: rows say whose they are. */
static struct answerer_inputs inputs_of(const struct console *c, struct str question)
{
	return (struct answerer_inputs){
		.question = question,
		.state = c->config->state,
		.host = "",
		.fleet = &c->config->clickhouse,
		.geo_country = c->config->geo_country,
		.geo_asn = c->config->geo_asn,
		.overlay = -1,
		.candidate = -1,
	};
}

static int on_history(void *ctx, struct str question, int fd, pid_t *ret_pid)
{
	struct answerer_inputs in = inputs_of(ctx, question);

	in.candidate = fd;
	return answerer_start(&in, ret_pid);
}

static void on_status(void *ctx, struct json *j)
{
	const struct console *c = ctx;

	json_text(j, "version", EGRET_VERSION);
	json_text(j, "host", c->host);
	json_bool(j, "console", true);
	json_u64(j, "pid", (uint64_t)getpid());
	json_u64(j, "uptime_s", (time_now() - c->started_ns) / NSEC_PER_SEC);
	json_object_begin(j, "clickhouse");
	json_text(j, "url", c->config->clickhouse.url);
	json_text(j, "database", c->config->clickhouse.database);
	console_probe_status(c->probe, j);
	json_object_end(j);
	json_object_begin(j, "page");
	json_bool(j, "on", c->front.page != NULL);
	if (c->front.page)
		page_status(c->front.page, j);
	json_object_end(j);
}

static void on_metrics(void *ctx, struct totals *totals, struct metrics_out *m)
{
	const struct console *c = ctx;

	console_probe_metrics(c->probe, m);
}

static void on_stop(void *ctx, int signo)
{
	struct console *c = ctx;

	loop_stop(c->loop);
}

/* Without its page a console is of little use, and somebody else answers where it should. */
static int open_front(struct console *c)
{
	int r = front_open(&c->front, c->config,
			   (struct control_config){
				   .loop = c->loop,
				   .format = { .vantage = EVE_HOST, .host = c->host },
				   .status = on_status,
				   .metrics = on_metrics,
				   .status_ctx = c,
				   .now = time_now,
				   .history = on_history,
				   .history_ctx = c,
			   });

	if (r == 0)
		r = front_open_page(&c->front, c->config, c->loop);
	if (r == 0 && c->config->page.on && (!c->front.page || page_problem(c->front.page)))
		r = -EADDRNOTAVAIL; /* it was said why */
	return r;
}

static int add_signals(struct console *c)
{
	int r = loop_add_signal(c->loop, SIGTERM, on_stop, c);

	if (r >= 0)
		r = loop_add_signal(c->loop, SIGINT, on_stop, c);
	return r;
}

static int run(struct console *c, int *ready_fd)
{
	struct answerer_inputs in = inputs_of(c, STR_NONE);
	int r = loop_new(&c->loop);

	if (r >= 0)
		r = add_signals(c);
	if (r < 0)
		return log_errno(r, "cannot start the event loop");
	r = open_front(c);
	if (r >= 0)
		r = daemon_drop_capabilities(false);
	if (r < 0)
		return r;
	r = console_probe_new(&c->probe, c->loop, &in);
	if (r < 0)
		return log_errno(r, "cannot ask %s", c->config->clickhouse.url);
	front_start(&c->front);
	log_info("a console over %s", c->config->clickhouse.url);
	daemon_ready(ready_fd);
	r = loop_run(c->loop);
	return r < 0 ? log_errno(r, "the event loop failed") : 0;
}

int console_check(struct config *c, const char *path)
{
	if (!c->clickhouse.url[0]) {
		log_error("%s has no statement 'store clickhouse': a console shows what lies there",
			  path);
		return -EINVAL;
	}
	c->policy[0] = 0;
	return 0;
}

int console_run(const struct config *config, int ready_fd)
{
	struct console c = { .config = config, .started_ns = time_now() };
	int r;

	host_name(c.host);
	r = run(&c, &ready_fd);
	c.probe = console_probe_free(c.probe);
	front_close(&c.front);
	loop_free(c.loop);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
