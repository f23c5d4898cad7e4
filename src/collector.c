/* SPDX-License-Identifier: Apache-2.0 */
#include "collector.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/host.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"
#include "collector/intake.h"
#include "collector/receive.h"
#include "config.h"
#include "daemonize.h"
#include "front.h"
#include "serve/metrics.h"
#include "shipper.h"

struct collector {
	const struct config *config;
	struct page_settings where; /* with the path of the key */
	struct loop *loop;
	struct loop_source *timer;
	struct front front;
	struct intake *intake;
	struct receive *receive;
	struct shipper *shipper;
	uint64_t started_ns, refused_told_ns;
	int failed; /* what stands in the way of closing batches; 0: nothing */
	bool full;  /* it was said */
	char host[HOST_NAME_SIZE];
	char dir[sizeof(((struct config *)0)->state) + 16];
	char spool[sizeof(((struct config *)0)->state) + 32];
};

/* ---- what it tells ---- */

static void put_intake(const struct collector *c, struct json *j)
{
	struct receive_stats r;
	struct intake_stats s;
	char text[TIME_TEXT_MAX];

	receive_stats(c->receive, &r);
	intake_stats(c->intake, &s);
	json_u64(j, "port", c->where.port);
	json_u64(j, "connections", r.connections);
	json_u64(j, "spools", s.had.spools);
	json_u64(j, "batches", s.batches);
	json_u64(j, "rows", s.rows);
	json_u64(j, "bytes", s.bytes);
	json_u64(j, "batches_again", s.again);
	json_u64(j, "refused_batches", s.refused);
	json_u64(j, "refused_strangers", r.strangers);
	json_u64(j, "refused_busy", s.busy);
	if (r.refused_ns) {
		json_text(j, "refused_last", r.refused);
		json_text(j, "refused_at", time_format(r.refused_ns, text));
	}
	json_u64(j, "forgotten", s.had.forgotten);
	json_u64(j, "waiting", s.spool.waiting);
	json_u64(j, "waiting_batches", s.spool.waiting_files);
	json_u64(j, "dropped", s.spool.dropped + s.spool.refused);
}

static void on_status(void *ctx, struct json *j)
{
	const struct collector *c = ctx;
	struct intake_stats s;

	json_text(j, "version", EGRET_VERSION);
	json_text(j, "host", c->host);
	json_u64(j, "pid", (uint64_t)getpid());
	json_u64(j, "uptime_s", (time_now() - c->started_ns) / NSEC_PER_SEC);
	json_object_begin(j, "collector");
	put_intake(c, j);
	json_object_end(j);
	json_object_begin(j, "clickhouse");
	shipper_status(c->shipper, j);
	intake_stats(c->intake, &s);
	json_u64(j, "waiting", s.spool.waiting);
	json_u64(j, "disk_bytes", s.spool.bytes);
	if (c->failed < 0)
		json_text(j, "problem", strerror(-c->failed));
	json_object_end(j);
}

static void on_metrics(void *ctx, struct totals *totals, struct metrics_out *m)
{
	const struct collector *c = ctx;
	struct receive_stats r;
	struct intake_stats s;

	receive_stats(c->receive, &r);
	intake_stats(c->intake, &s);
	metric_put(m, METRIC_COLLECTOR_CONNECTIONS, r.connections);
	metric_put(m, METRIC_COLLECTOR_SPOOLS, s.had.spools);
	metric_put(m, METRIC_COLLECTOR_BATCHES, s.batches);
	metric_put(m, METRIC_COLLECTOR_ROWS, s.rows);
	metric_put(m, METRIC_COLLECTOR_AGAIN, s.again);
	metric_begin(m, METRIC_COLLECTOR_REFUSED);
	metric_label(m, "why", STR("batch"));
	metric_u64(m, s.refused);
	metric_begin(m, METRIC_COLLECTOR_REFUSED);
	metric_label(m, "why", STR("certificate"));
	metric_u64(m, r.strangers);
	metric_begin(m, METRIC_COLLECTOR_REFUSED);
	metric_label(m, "why", STR("busy"));
	metric_u64(m, s.busy);
	metric_put(m, METRIC_COLLECTOR_WAITING, s.spool.waiting);
	metric_put(m, METRIC_COLLECTOR_SPOOL, s.spool.bytes);
}

/* ---- what drives it ---- */

/* One line a minute at most, of what was refused last: agents show it, too. */
static void tell_refused(struct collector *c)
{
	struct receive_stats r;

	receive_stats(c->receive, &r);
	if (r.refused_ns <= c->refused_told_ns ||
	    time_now() - c->refused_told_ns < 60 * NSEC_PER_SEC)
		return;
	log_warn("collector: refused: %s", r.refused);
	c->refused_told_ns = time_now();
}

static void on_second(void *ctx)
{
	struct collector *c = ctx;
	int r = intake_keep_house(c->intake);

	if (r < 0 && r != c->failed)
		log_errno(r, "collector: batches cannot be closed in %s", c->dir);
	else if (r == 0 && c->failed < 0)
		log_info("collector: batches can be closed again");
	c->failed = r;
	tell_refused(c);
}

static void on_stop(void *ctx, int signo)
{
	struct collector *c = ctx;

	loop_stop(c->loop);
}

static int add_sources(struct collector *c)
{
	int r = loop_add_timer(c->loop, NSEC_PER_SEC, on_second, c, &c->timer);

	if (r >= 0)
		r = loop_add_signal(c->loop, SIGTERM, on_stop, c);
	if (r >= 0)
		r = loop_add_signal(c->loop, SIGINT, on_stop, c);
	return r < 0 ? log_errno(r, "cannot start the event loop") : 0;
}

static int start_shipper(struct collector *c)
{
	int r = shipper_new(&c->shipper, c->loop, &c->config->clickhouse, c->spool);

	return r < 0 ? log_errno(r, "cannot send to %s", c->config->clickhouse.url) : 0;
}

static int run(struct collector *c, int *ready_fd)
{
	int r = loop_new(&c->loop);

	if (r < 0)
		return log_errno(r, "cannot start the event loop");
	r = add_sources(c);
	if (r >= 0)
		r = front_make_folder(c->config->state, 0750);
	if (r >= 0)
		r = intake_open(
			&c->intake,
			&(struct intake_config){ .dir = c->dir,
						 .max_bytes = c->config->clickhouse.spool_bytes });
	if (r >= 0)
		r = receive_new(&c->receive, c->loop, c->intake, c->spool, &c->where);
	if (r >= 0)
		r = front_open(&c->front, c->config,
			       (struct control_config){
				       .loop = c->loop,
				       .format = { .vantage = EVE_HOST, .host = c->host },
				       .status = on_status,
				       .metrics = on_metrics,
				       .status_ctx = c,
				       .now = time_now,
			       });
	if (r >= 0)
		r = daemon_drop_capabilities(false);
	if (r >= 0)
		r = start_shipper(c);
	if (r < 0)
		return r;
	log_info("a collector at port %u, for %s", c->where.port, c->config->clickhouse.url);
	daemon_ready(ready_fd);
	r = loop_run(c->loop);
	return r < 0 ? log_errno(r, "the event loop failed") : 0;
}

/* ---- starting it ---- */

static void settle(struct page_settings *where, const struct config *c)
{
	char key[SHIP_PATH_MAX];

	*where = c->collector.at;
	snprintf(where->key, sizeof(where->key), "%s", ship_secret_path(c->collector.at.key, key));
}

int collector_check(struct config *c, const char *path)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct page_settings where;

	if (!c->collector.at.on || !c->clickhouse.url[0]) {
		log_error("%s has no statement '%s'", path,
			  c->collector.at.on ? "store clickhouse" : "collector");
		return -EINVAL;
	}
	c->policy[0] = 0;
	c->page.on = false;
	settle(&where, c);
	if (page_check(&where, &messages) == 0)
		return 0;
	fwrite(messages.p, 1, messages.n, stderr);
	return -EINVAL;
}

int collector_run(const struct config *config, int ready_fd)
{
	struct collector c = { .config = config, .started_ns = time_now() };
	int r;

	settle(&c.where, config);
	host_name(c.host);
	snprintf(c.dir, sizeof(c.dir), "%s/collector", config->state);
	snprintf(c.spool, sizeof(c.spool), "%s/" INTAKE_SPOOL, c.dir);
	r = run(&c, &ready_fd);
	front_close(&c.front);
	c.receive = receive_free(c.receive);
	c.shipper = shipper_free(c.shipper);
	c.intake = intake_free(c.intake);
	loop_free(c.loop);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
