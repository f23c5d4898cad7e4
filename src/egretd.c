/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: builds the pipeline and runs it. Read top to bottom it is the picture in docs/ARCHITECTURE.md:
 *
 *     kernel ─► attach ─► events ─► flow table ─► records ─┬─► eve.json
 *        ▲                  │                              └─► control socket (top, flows, status, policy)
 *        └──── image ◄─── guard ◄─── policy text
 *
 * One thread, one loop. Every 50 ms the ring buffer is emptied, every second the kernel's counters are read.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answerer.h"
#include "arguments.h"
#include "attach/attach.h"
#include "attach/cgroup2.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"
#include "collector.h"
#include "config.h"
#include "console.h"
#include "daemonize.h"
#include "fleet/follower.h"
#include "flow/record.h"
#include "front.h"
#include "guard/answer.h"
#include "guard/guard.h"
#include "inside.h"
#include "keep.h"
#include "outputs.h"
#include "pipeline.h"
#include "policy/locate.h"
#include "policy/subject.h"
#include "sentry/sentry.h"
#include "serve/control.h"
#include "shipper.h"
#include "trial.h"
#include "vitals.h"
#include "web/web.h"

#define DRAIN_EVERY_NS (50 * NSEC_PER_MSEC)
#define SWEEP_EVERY_NS NSEC_PER_SEC
#define REPORT_EVERY_NS (300 * NSEC_PER_SEC)
#define HOST_EVERY_NS (60 * NSEC_PER_SEC)
#define MAX_MESSAGES (1U << 20)
#define DEFAULT_STATE "/var/lib/egret"

struct daemon {
	struct config config;
	struct loop *loop;
	struct attach *attach;
	struct pipeline *pipeline;
	struct outputs *outputs;
	struct front front;
	struct guard *guard;
	struct follower *follower; /* NULL: the policy is nobody else's */
	struct locator *locator;
	struct sentry *sentry; /* NULL: findings off */
	struct inside *inside; /* NULL: no gateway */
	struct vitals vitals;
	struct keeper *keeper;   /* NULL: no history */
	struct shipper *shipper; /* NULL: no ClickHouse */
	int mount_fd, cgroup_fd;
	int ready_fd; /* to the waiting parent; -1 in the foreground */
	uint64_t control_lost_told, store_lost_told, store_unwritten_told, spool_dropped_told;
	uint64_t next_host_ns;
	char host[HOST_NAME_SIZE];
	char spool[KEEP_PATH_MAX], others[KEEP_PATH_MAX];
	char pin[32]; /* what enforcement is pinned under */
};

/* ---- what comes out of the pipeline ---- */

static void on_record(void *ctx, const struct record *r)
{
	struct daemon *d = ctx;

	if (d->outputs)
		outputs_put(d->outputs, r);
	keeper_record(d->keeper, r);
	if (d->front.control)
		control_record(d->front.control, r);
	if (d->sentry)
		detect_record(sentry_detect(d->sentry), r);
	if (d->guard && r->type == RECORD_FLOW && r->flow_ends)
		guard_flow_ended(d->guard, r->flow);
	follower_record(d->follower, r);
	if (r->type == RECORD_PACKET_SOCKET)
		log_warn("%.*s (pid %u) opened a packet socket: what it sends that way is not seen",
			 STR_FMT(proc_name(r->proc)), r->proc->pid);
}

static void on_finding(void *ctx, const struct finding *f)
{
	static const char *const states[] = { "", " grew", " is over" };
	struct daemon *d = ctx;

	log_warn("finding %s%s (%s %s): %.*s", f->id, states[f->state],
		 severity_name(f->severity) ?: "no longer", finding_class_name(f->class) ?: "",
		 STR_FMT(f->explain));
	on_record(ctx,
		  &(struct record){ .type = RECORD_FINDING, .time_ns = f->time_ns, .finding = f });
	outputs_flush(d->outputs); /* nobody should wait for it */
}

/* From the kernel to the flow table; the guard looks at what the table has taken in. */
static void on_event(void *ctx, const struct event *e)
{
	struct daemon *d = ctx;
	struct event_out to = pipeline_input(d->pipeline);

	to.on_event(to.ctx, e);
	if (d->guard)
		guard_event(d->guard, e);
}

static void on_app(void *ctx, const struct flow *f)
{
	struct daemon *d = ctx;

	if (d->guard)
		guard_app_known(d->guard, f);
}

/* The words of a rule that a verdict names. */
static bool on_rule(void *ctx, uint32_t gen, uint16_t rule, struct verdict_rule *ret)
{
	struct daemon *d = ctx;
	const struct policy *p = d->guard ? guard_policy(d->guard, gen) : NULL;

	return p && policy_rule_words(p, rule, ret);
}

/* ---- what drives it ---- */

static void on_drain(void *ctx)
{
	struct daemon *d = ctx;
	int r = attach_drain(d->attach);

	if (r < 0)
		log_errno(r, "cannot read the kernel's notices, ignoring");
	inside_read(d->inside);
	if (d->sentry)
		detect_beat(sentry_detect(d->sentry), time_now());
}

static void on_ring(void *ctx, int fd, uint32_t events)
{
	on_drain(ctx);
}

/* Losses of the stages after the flow table come in as events like all others, so that one list has them all. */
static void on_loss(void *ctx, enum loss_reason reason, uint64_t count)
{
	struct daemon *d = ctx;
	struct event_out to = pipeline_input(d->pipeline);

	to.on_event(to.ctx, &(struct event){ .type = EVENT_LOSS,
					     .time_ns = time_now(),
					     .loss = { .reason = reason, .count = count } });
}

static void tell_more(struct daemon *d, enum loss_reason reason, uint64_t now_lost, uint64_t *told)
{
	if (now_lost > *told)
		on_loss(d, reason, now_lost - *told);
	*told = now_lost;
}

static void tell_losses(struct daemon *d)
{
	outputs_losses(d->outputs, on_loss, d);
	tell_more(d, LOSS_STORE_QUEUE, keeper_lost(d->keeper, LOSS_STORE_QUEUE),
		  &d->store_lost_told);
	tell_more(d, LOSS_STORE_WRITE, keeper_lost(d->keeper, LOSS_STORE_WRITE),
		  &d->store_unwritten_told);
	tell_more(d, LOSS_SPOOL_DROP, keeper_lost(d->keeper, LOSS_SPOOL_DROP),
		  &d->spool_dropped_told);
	tell_more(d, LOSS_CLIENT_QUEUE, control_lost(d->front.control), &d->control_lost_told);
}

/* How this machine is, once a minute. */
static void tell_fleet(struct daemon *d)
{
	struct flow_table_stats flows;
	struct store_host host;

	if (!d->shipper || time_now_boot() < d->next_host_ns)
		return;
	d->next_host_ns = time_now_boot() + HOST_EVERY_NS;
	flow_table_stats(pipeline_flows(d->pipeline), &flows);
	vitals_host(&d->vitals, &flows, &host);
	keeper_host(d->keeper, &host);
}

static void on_second(void *ctx)
{
	struct daemon *d = ctx;
	int r = attach_sweep(d->attach);

	if (r < 0)
		log_errno(r, "cannot read the kernel's counters, ignoring");
	inside_tick(d->inside);
	tell_losses(d);
	pipeline_tick(d->pipeline, time_now());
	tell_fleet(d);
	keeper_tick(d->keeper, time_now());
	guard_tick(d->guard);
	follower_tick(d->follower);
	if (d->sentry)
		sentry_tick(d->sentry);
	outputs_flush(d->outputs);
}

static void on_stop(void *ctx, int signo)
{
	struct daemon *d = ctx;

	loop_stop(d->loop);
}

/* What is said of a policy at start and on SIGHUP goes to the log. */
static void log_messages(struct buf *messages)
{
	struct str rest = buf_str(messages), line;

	while (str_cut(&rest, '\n', &line))
		log_warn("%.*s", STR_FMT(line));
}

static void on_hup(void *ctx, int signo)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	struct daemon *d = ctx;
	int r = guard_reload(d->guard, &messages);

	log_messages(&messages);
	if (r < 0 && r != -ENOENT && r != -EINPROGRESS)
		log_error("the policy is not reloaded: what was in force stays");
	follower_ask(d->follower);
	if (d->sentry)
		sentry_reload(d->sentry);
	r = outputs_reopen(d->outputs);
	if (r < 0)
		log_errno(r, "cannot reopen %s, going on with the old file", d->config.eve);
	else if (d->config.eve[0])
		log_info("%s reopened", d->config.eve);
}

static void on_policy(void *ctx, const struct policy_request *q, int fd, struct json *j)
{
	struct daemon *d = ctx;

	guard_answer(d->guard, q, fd, j);
}

static void on_why(void *ctx, const struct why_request *q, struct json *j)
{
	struct daemon *d = ctx;

	guard_answer_why(d->guard, q, j);
}

static void on_detect(void *ctx, const struct detect_request *q, struct json *j)
{
	struct daemon *d = ctx;

	if (d->sentry)
		sentry_answer(d->sentry, q, j);
	else
		json_text(j, "error", "findings are off in egret.conf");
}

static void on_findings(void *ctx, const struct detect_request *q, const struct filter *filter,
			struct finding_out to)
{
	struct daemon *d = ctx;

	if (d->sentry)
		sentry_findings(d->sentry, q, filter, to);
}

static int on_history(void *ctx, struct str question, int fd, pid_t *ret_pid)
{
	struct daemon *d = ctx;
	bool kept = keeper_keeps(d->keeper, KEEPER_HISTORY);
	_cleanup_close_ int overlay = kept ? keeper_overlay(d->keeper, time_now()) : -1;

	if (!kept)
		return -EOPNOTSUPP;
	return answerer_start(
		&(struct answerer_inputs){
			.question = question,
			.state = d->config.state,
			.host = d->host,
			.geo_country = d->config.geo_country,
			.geo_asn = d->config.geo_asn,
			.policy = guard_policy(d->guard, guard_gen(d->guard)),
			.overlay = overlay,
			.candidate = fd,
		},
		ret_pid);
}

static uint64_t on_findings_open(void *ctx)
{
	struct daemon *d = ctx;

	return d->sentry ? sentry_open(d->sentry) : 0;
}

/* ---- building it ---- */

static int open_cgroup(struct daemon *d)
{
	d->mount_fd = cgroup2_open();
	if (d->mount_fd < 0)
		return log_errno(d->mount_fd,
				 "no cgroup v2 can be had here; 'egret doctor' says more");
	d->cgroup_fd = openat(d->mount_fd, d->config.cgroup[1] ? d->config.cgroup + 1 : ".",
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->cgroup_fd < 0)
		return log_errno(errno, "cannot open the cgroup %s", d->config.cgroup);
	return 0;
}

static int open_outputs(struct daemon *d)
{
	struct eve_format format = { .vantage = EVE_HOST, .host = d->host, .locator = d->locator };
	int r = front_open(&d->front, &d->config,
			   (struct control_config){
				   .loop = d->loop,
				   .flows = pipeline_flows(d->pipeline),
				   .format = format,
				   .status = vitals_status,
				   .metrics = vitals_metrics,
				   .status_ctx = &d->vitals,
				   .now = time_now,
				   .policy = on_policy,
				   .why = on_why,
				   .policy_ctx = d,
				   .history = on_history,
				   .history_ctx = d,
				   .findings = on_findings,
				   .detect = on_detect,
				   .findings_open = on_findings_open,
				   .detect_ctx = d,
				   .texts = pipeline_texts(d->pipeline),
				   .names = pipeline_names(d->pipeline),
				   .procs = pipeline_procs(d->pipeline),
			   });

	return r < 0 ? r : outputs_new(&d->outputs, &d->config, &format);
}

static int start_sentry(struct daemon *d)
{
	int r;

	if (!d->config.findings)
		return 0;
	r = front_make_folder(d->config.state, 0750);
	if (r < 0)
		return r;
	r = sentry_new(&d->sentry, &(struct sentry_config){
					   .state = d->config.state,
					   .fleet = keep_spool(&d->config, d->spool),
					   .loop = d->loop,
					   .texts = pipeline_texts(d->pipeline),
					   .procs = pipeline_procs(d->pipeline),
					   .now = time_now,
					   .learn_ns = d->config.learn_ns,
					   .out = { on_finding, d },
				   });
	if (r < 0)
		return log_errno(r, "cannot start to detect");
	flow_table_watch(pipeline_flows(d->pipeline), detect_watch(sentry_detect(d->sentry)));
	detect_set_flows(sentry_detect(d->sentry), pipeline_flows(d->pipeline));
	return 0;
}

/* What is pinned belongs to the state folder that holds its text. No dots: bpffs does not take them. */
static void name_pins(struct daemon *d)
{
	const char *state = d->config.state;

	if (!strcmp(state, DEFAULT_STATE))
		snprintf(d->pin, sizeof(d->pin), "host");
	else
		snprintf(d->pin, sizeof(d->pin), "state-%016llx",
			 (unsigned long long)hash_bytes(state, strlen(state), 0));
}

static int start_follower(struct daemon *d)
{
	const struct config *c = &d->config;
	int r;

	if (!c->follow.from[0])
		return 0;
	r = follower_new(&d->follower,
			 &(struct follower_config){ .settings = &c->follow,
						    .state = c->state,
						    .others = keep_others(c, d->others),
						    .host = d->host,
						    .guard = d->guard,
						    .loop = d->loop,
						    .told = { on_record, d } });
	return r < 0 ? log_errno(r, "cannot start what follows %s", c->follow.from) : 0;
}

/* Before open sockets are listed: what was in force goes on without a gap. */
static int start_guard(struct daemon *d)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	const struct config *c = &d->config;
	int r = guard_new(&d->guard,
			  &(struct guard_config){
				  .attach = d->attach,
				  .loop = d->loop,
				  .flows = pipeline_flows(d->pipeline),
				  .names = pipeline_names(d->pipeline),
				  .procs = pipeline_procs(d->pipeline),
				  .state = c->state,
				  .geo_country = c->geo_country[0] ? c->geo_country : NULL,
				  .geo_asn = c->geo_asn[0] ? c->geo_asn : NULL,
				  .locator = d->locator,
				  .pin = true,
				  .shapes = true,
				  .whole_host = !c->cgroup[1],
				  .follows = c->follow.from[0] != 0,
				  .keeps_history = d->keeper != NULL,
				  .history = d->keeper ? on_history : NULL,
				  .history_ctx = d,
			  });

	if (r < 0)
		return log_errno(r, "cannot start what guards the policy");
	pipeline_set_verdicts(d->pipeline, (struct verdict_source){ on_rule, d });
	flow_table_on_app(pipeline_flows(d->pipeline), on_app, d);
	r = guard_restore(d->guard, config_has_policy(c) ? c->policy : NULL,
			  c->enforce ? GUARD_ENFORCE : GUARD_WATCH, &messages);
	log_messages(&messages);
	if (r < 0 && r != -EINPROGRESS)
		log_error("%s is not in force", c->policy);
	if (r == -ENOMEM)
		return r;
	log_info("policy: %s", guard_mode_name(guard_mode(d->guard)));
	return start_follower(d);
}

static int start_watching(struct daemon *d)
{
	struct attach_config cfg = {
		.cgroup_fd = d->cgroup_fd,
		.trace_all_processes = true,
		.pin = d->pin,
		.backstop = d->config.backstop,
		.inside = d->config.gate_inside,
		.n_inside = d->config.gateway ? d->config.n_gate_inside : 0,
	};
	char error[256] = "";
	int r;

	name_pins(d);
	r = attach_new(&d->attach, &cfg, (struct event_out){ on_event, d }, error);

	if (r < 0) {
		log_error("cannot watch: %s; 'egret doctor' says more", error);
		return r;
	}
	r = start_guard(d);
	if (r < 0)
		return r;
	if (d->sentry)
		sentry_set_guard(d->sentry, d->guard);
	r = attach_seed(d->attach);
	return r < 0 ? log_errno(r, "cannot list what is open already") : 0;
}

static int start_inside(struct daemon *d)
{
	const struct config *c = &d->config;
	int r;

	if (!c->gateway)
		return 0;
	r = inside_new(&d->inside,
		       &(struct inside_config){ .out = { on_event, d },
						.interfaces = c->gate_inside,
						.n_interfaces = c->n_gate_inside,
						.leases = c->gate_leases,
						.n_leases = c->n_gate_leases,
						.machines = pipeline_machines(d->pipeline) });
	return r < 0 ? log_errno(r, "cannot start what knows the machines inside") : 0;
}

static int add_sources(struct daemon *d)
{
	int r = loop_add_io(d->loop, attach_fd(d->attach), EPOLLIN, on_ring, d, NULL);

	if (r >= 0)
		r = loop_add_timer(d->loop, DRAIN_EVERY_NS, on_drain, d, NULL);
	if (r >= 0)
		r = loop_add_timer(d->loop, SWEEP_EVERY_NS, on_second, d, NULL);
	if (r >= 0)
		r = loop_add_signal(d->loop, SIGTERM, on_stop, d);
	if (r >= 0)
		r = loop_add_signal(d->loop, SIGINT, on_stop, d);
	if (r >= 0)
		r = loop_add_signal(d->loop, SIGHUP, on_hup, d);
	return r < 0 ? log_errno(r, "cannot start the event loop") : 0;
}

static void tell_vitals(struct daemon *d)
{
	d->vitals.config = &d->config;
	d->vitals.host = d->host;
	d->vitals.pin = d->pin;
	d->vitals.attach = d->attach;
	d->vitals.outputs = d->outputs;
	d->vitals.guard = d->guard;
	d->vitals.follower = d->follower;
	d->vitals.sentry = d->sentry;
	d->vitals.page = d->front.page;
	d->vitals.keeper = d->keeper;
	d->vitals.inside = d->inside;
	d->vitals.shipper = d->shipper;
}

static int run(struct daemon *d)
{
	int r;

	host_name(d->host);
	d->vitals.started_ns = time_now();
	vitals_probe(&d->vitals);
	r = open_cgroup(d);
	if (r < 0)
		return r;
	r = loop_new(&d->loop);
	if (r < 0)
		return log_errno(r, "cannot start the event loop");
	r = pipeline_new(&d->pipeline,
			 &(struct pipeline_config){ .live = true,
						    .gateway = d->config.gateway,
						    .cgroup2_fd = d->mount_fd,
						    .report_every_ns = REPORT_EVERY_NS,
						    .inside = d->config.inside,
						    .n_inside = d->config.n_inside },
			 (struct record_out){ on_record, d });
	if (r < 0)
		return log_errno(r, "cannot start");
	r = locator_new(&d->locator);
	if (r < 0)
		return log_errno(r, "cannot start");
	r = open_outputs(d);
	if (r >= 0)
		r = start_sentry(d);
	if (r >= 0)
		r = keep_history(&d->keeper, &d->config, pipeline_flows(d->pipeline), d->locator,
				 d->host, d->vitals.started_ns);
	if (r >= 0)
		r = start_watching(d);
	if (r >= 0)
		r = start_inside(d);
	if (r >= 0)
		r = add_sources(d);
	if (r >= 0)
		r = front_open_page(&d->front, &d->config,
				    d->loop); /* its work does not hang on it */
	if (r >= 0)
		r = daemon_drop_capabilities(true);
	if (r >= 0)
		r = keep_ship(&d->shipper, &d->config, d->loop);
	if (r >= 0)
		r = keeper_start(d->keeper); /* its thread has no more rights than ours now */
	if (r < 0)
		return r;
	log_info("watching %s", d->config.cgroup[1] ? d->config.cgroup : "the whole host");
	tell_vitals(d);
	front_start(&d->front);
	daemon_ready(&d->ready_fd);
	r = loop_run(d->loop);
	if (r < 0)
		return log_errno(r, "the event loop failed");
	attach_sweep(d->attach);
	inside_read(d->inside);
	return 0;
}

static void shut_down(struct daemon *d)
{
	/* Words of rules are wanted to the last record; hits are read before the kernel's side goes. */
	if (d->sentry)
		sentry_set_guard(d->sentry, NULL);
	d->vitals.follower = d->follower = follower_free(d->follower);
	if (d->guard)
		guard_finish(d->guard);
	d->vitals.inside = d->inside = inside_free(d->inside);
	attach_free(d->attach); /* hands on the last notices */
	if (d->pipeline)
		flow_table_finish(pipeline_flows(d->pipeline));
	d->vitals.page = NULL;
	front_close(&d->front);
	d->outputs = outputs_free(d->outputs);
	d->vitals.shipper = d->shipper = shipper_free(d->shipper);
	keeper_free(d->keeper);
	sentry_free(d->sentry);
	d->guard = guard_free(d->guard);
	locator_free(d->locator);
	pipeline_free(d->pipeline);
	loop_free(d->loop);
	if (d->cgroup_fd >= 0)
		close(d->cgroup_fd);
	if (d->mount_fd >= 0)
		close(d->mount_fd);
}

/* ---- starting it ---- */

int main(int argc, char **argv)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	struct daemon d = { .mount_fd = -1, .cgroup_fd = -1, .ready_fd = -1 };
	struct arguments args = { 0 };
	const char *path;
	int r;

	log_set_name("egretd");
	if (argc > 1 && !strcmp(argv[1], "--answer"))
		return answerer_main(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "--ship"))
		return ship_main(argc, argv);
	if (argc == 2 && !strcmp(argv[1], "--web"))
		return web_main();
	r = arguments_parse(argc, argv, &args);
	if (r >= 0)
		return r;
	path = args.config ? args.config : ARGUMENTS_DEFAULT_CONFIG;
	r = config_read(&d.config, path, !args.config, &messages);
	if (messages.n)
		fwrite(messages.p, 1, messages.n, stderr);
	if (r < 0 && r != -EINVAL)
		log_errno(r, "cannot read %s", path);
	if (r < 0)
		return EXIT_FAILURE;
	if (args.console && console_check(&d.config, path) < 0)
		return EXIT_FAILURE;
	if (args.collector && collector_check(&d.config, path) < 0)
		return EXIT_FAILURE;
	if (args.test) {
		log_set_level(LOG_WARN);
		return trial_run(&d.config, path);
	}
	if (!args.collector && d.config.collector.at.on)
		log_warn("%s: the statement 'collector' has no effect without --collector", path);
	signal(SIGPIPE, SIG_IGN);
	if (!args.foreground) {
		d.ready_fd = daemon_go_to_background();
		if (d.ready_fd < 0)
			return EXIT_FAILURE;
	}
	if (args.console)
		return console_run(&d.config, d.ready_fd);
	if (args.collector)
		return collector_run(&d.config, d.ready_fd);
	r = run(&d);
	shut_down(&d);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
