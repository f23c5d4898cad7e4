/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret exec`: one command, with all it starts, in a cgroup of its own that is watched while it runs. Needs no
 * daemon. The table goes to standard error, as time(1) does, so that the command's own output stays clean.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/attach.h"
#include "base/cleanup.h"
#include "base/host.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cgroup.h"
#include "cli/cmd.h"
#include "cli/contacts.h"
#include "cli/exec_detect.h"
#include "cli/refusals.h"
#include "cli/sandbox.h"
#include "cli/table.h"
#include "flow/record.h"
#include "pipeline.h"
#include "policy/locate.h"
#include "store/eve.h"

#define MAX_CONTACTS 100000
#define DRAIN_EVERY_MS 50
#define SETTLE_MS 300 /* for the last packets of connections that were just closed */
#define EXIT_NOT_FOUND 127
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_STARTED 125

static const char usage[] =
	"usage: egret exec [OPTION...] -- CMD [ARG...]\n\n"
	"Runs CMD in a cgroup of its own and, when it ends, prints what it and all it started "
	"contacted, and what of it looks like a leak or like remote control.\n"
	"The exit status is the command's (128 + N when signal N ended it; 125 when its policy has "
	"mistakes).\n"
	"Needs root, and no daemon.\n\n"
	"  --policy FILE put this policy in force for CMD and all it starts, before it starts\n"
	"  --watch       with --policy: refuse nothing, note what would be\n"
	"  --json FILE   also write the records (EVE JSON lines) to FILE\n"
	"  --user NAME   run CMD as this user\n"
	"  --wait        wait for everything CMD started, not only for CMD itself\n"
	"  --quiet       no tables, no findings\n";

struct exec_args {
	const char *json, *user, *policy;
	bool wait, quiet, watch;
	char **command;
};

struct run {
	struct cgroup cgroup;
	struct attach *attach;
	struct pipeline *pipeline;
	struct contacts *contacts;
	struct sandbox *sandbox; /* NULL: no policy */
	struct refusals *refusals;
	struct exec_detect *detect;
	struct sink *sink;
	struct locator *locator;
	int closed[SANDBOX_FDS_MAX]; /* what the command does not inherit */
	int n_closed;
	uint64_t write_errors, swept_ns;
	int signal_fd;
	sigset_t old_mask;
};

static void on_record(void *ctx, const struct record *r)
{
	struct run *run = ctx;

	if (run->sink)
		run->sink->ops->put(run->sink, r);
	if (run->detect)
		exec_detect_record(run->detect, r);
	if (run->sandbox && r->type == RECORD_DROP)
		refusals_drop(run->refusals, r);
	if (run->sandbox && r->type == RECORD_FLOW && r->flow_ends) {
		sandbox_ended(run->sandbox, r->flow);
		refusals_flow(run->refusals, r->flow);
	}
	if (r->type == RECORD_FLOW && r->flow_ends)
		contacts_add(run->contacts, r->flow);
	else if (r->type == RECORD_PACKET_SOCKET)
		log_warn("%.*s (pid %u) opened a packet socket: what it sends that way is not seen",
			 STR_FMT(proc_name(r->proc)), r->proc->pid);
}

static void on_event(void *ctx, const struct event *e)
{
	struct run *run = ctx;
	struct event_out flows = pipeline_input(run->pipeline);

	flows.on_event(flows.ctx, e);
	if (run->sandbox)
		sandbox_event(run->sandbox, e);
}

/* The policy is in force from here on, and the command not yet there. */
static int start_enforcing(struct run *run, const struct exec_args *a)
{
	int r = refusals_new(&run->refusals, MAX_CONTACTS);

	if (r < 0)
		return log_errno(r, "cannot start");
	r = sandbox_new(&run->sandbox, run->attach, run->pipeline, run->locator, a->policy,
			a->watch);
	if (r < 0)
		return r;
	run->n_closed = sandbox_inherited(run->sandbox, a->command[0], run->closed);
	return run->n_closed < 0 ? run->n_closed : 0;
}

static int start_watching(struct run *run, const struct exec_args *a)
{
	static char host[HOST_NAME_SIZE];
	struct eve_format format = { .vantage = EVE_HOST, .host = host };
	char error[256] = "", pin[SANDBOX_PIN_MAX];
	int r;

	host_name(host);
	r = locator_new(&run->locator);
	if (r < 0)
		return log_errno(r, "cannot start");
	format.locator = run->locator;
	/* One command, one file: what an earlier run left goes. Pipes and devices cannot be cut. */
	if (a->json && truncate(a->json, 0) < 0 && errno != ENOENT && errno != EINVAL)
		return log_errno(errno, "cannot write %s", a->json);
	r = a->json ? eve_sink_new(&run->sink, &format, a->json, &run->write_errors) : 0;
	if (r < 0)
		return log_errno(r, "cannot write %s", a->json);
	r = contacts_new(&run->contacts, true, a->policy, MAX_CONTACTS);
	if (r < 0)
		return log_errno(r, "cannot start");
	r = cgroup_make(&run->cgroup, error);
	if (r < 0) {
		log_error("%s%s", error, r == -EACCES || r == -EPERM ? " (are you root?)" : "");
		return r;
	}
	r = pipeline_new(
		&run->pipeline,
		&(struct pipeline_config){ .live = true, .cgroup2_fd = run->cgroup.mount_fd },
		(struct record_out){ on_record, run });
	if (r == 0)
		r = exec_detect_new(&run->detect, run->pipeline, run->sink);
	if (r < 0)
		return log_errno(r, "cannot start");
	sandbox_clear_leftovers(run->cgroup.mount_fd);
	sandbox_pin_name(pin);
	r = attach_new(&run->attach,
		       &(struct attach_config){ .cgroup_fd = run->cgroup.fd,
						.watch_only = !a->policy,
						.pin = a->policy && !a->watch ? pin : NULL },
		       (struct event_out){ on_event, run }, error);
	if (r < 0) {
		log_error("cannot watch: %s", error);
		return r;
	}
	r = attach_seed(run->attach);
	if (r < 0)
		return log_errno(r, "cannot list what is open already");
	return 0;
}

/* In the child, before exec: gives up root for `name`, with the groups of that user. */
static int become(const char *name)
{
	const struct passwd *pw = getpwnam(name);

	if (!pw) {
		log_error("no user '%s'", name);
		return -ENOENT;
	}
	if (initgroups(pw->pw_name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
	    setuid(pw->pw_uid) < 0)
		return log_errno(errno, "cannot become %s", name);
	setenv("HOME", pw->pw_dir, 1);
	setenv("USER", pw->pw_name, 1);
	setenv("LOGNAME", pw->pw_name, 1);
	return 0;
}

static _Noreturn void run_command(const struct run *run, const struct exec_args *a)
{
	sigprocmask(SIG_SETMASK, &run->old_mask, NULL);
	for (int i = 0; i < run->n_closed; i++)
		close(run->closed[i]);
	if (a->user && become(a->user) < 0)
		_exit(EXIT_NOT_EXECUTABLE);
	execvp(a->command[0], a->command);
	log_errno(errno, "cannot run %s", a->command[0]);
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static void pump(struct run *run)
{
	uint64_t now_ns = time_now();

	attach_drain(run->attach);
	pipeline_tick(run->pipeline, now_ns);
	exec_detect_tick(run->detect, now_ns);
	if (!run->sandbox)
		return;
	sandbox_tick(run->sandbox, now_ns);
	/* connections that were refused are ended by the sweep */
	if (now_ns - run->swept_ns >= NSEC_PER_SEC) {
		run->swept_ns = now_ns;
		attach_sweep(run->attach);
	}
}

/* Reads one signal: the child's end gives its status; others are handed on. true: the child has ended. */
static bool take_signal(struct run *run, pid_t child, int *ret_status)
{
	struct signalfd_siginfo info;
	int status;

	if (read(run->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	/* Ctrl-C and Ctrl-\ reach the command from the terminal by themselves. */
	if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP)
		kill(child, (int)info.ssi_signo);
	if (info.ssi_signo != SIGCHLD || waitpid(child, &status, WNOHANG) != child)
		return false;
	*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return true;
}

/* Until the command, and with --wait all it started, has ended. Its exit status. */
static int watch(struct run *run, pid_t child, bool wait_for_all)
{
	struct pollfd fds[] = {
		{ .fd = run->signal_fd, .events = POLLIN },
		{ .fd = attach_fd(run->attach), .events = POLLIN },
	};
	bool ended = false;
	int status = EXIT_FAILURE;

	while (!ended || (wait_for_all && cgroup_is_populated(&run->cgroup))) {
		if (poll(fds, ARRAY_SIZE(fds), DRAIN_EVERY_MS) > 0 && fds[0].revents & POLLIN)
			ended |= take_signal(run, child, &status);
		pump(run);
	}
	return status;
}

static void block_signals(struct run *run)
{
	static const int signals[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &run->old_mask);
	run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void report(struct run *run, const struct exec_args *a)
{
	struct flow_table_stats fs;
	char text[HUMAN_TEXT_MAX];

	flow_table_stats(pipeline_flows(run->pipeline), &fs);
	if (!a->quiet && contacts_count(run->contacts))
		contacts_print(run->contacts, stderr, 0, terminal_width(stderr));
	else if (!a->quiet)
		fputs("egret: nothing was contacted\n", stderr);
	if (!a->quiet && run->refusals && refusals_any(run->refusals)) {
		fprintf(stderr, "\n%s\n", a->watch ? "Would have been refused:" : "Refused:");
		refusals_print(run->refusals, stderr, terminal_width(stderr));
	}
	if (!a->quiet)
		exec_detect_print(run->detect, stderr, terminal_width(stderr));
	for (int i = 0; i < LOSS_COUNT; i++)
		if (fs.loss[i])
			log_warn("lost, %s: %s", loss_name(i), human_count(fs.loss[i], text));
	if (run->write_errors)
		log_warn("%s: %s records could not be written", a->json,
			 human_count(run->write_errors, text));
}

/* What outlives the command would be free when the policy goes with it. */
static void end_leftovers(struct run *run, const struct exec_args *a)
{
	if (!run->sandbox || a->watch || !cgroup_is_populated(&run->cgroup))
		return;
	log_warn("what the command had started and left running is ended with its sandbox (see "
		 "--wait)");
	cgroup_kill(&run->cgroup);
}

static int exec_watched(const struct exec_args *a)
{
	struct run run = { .cgroup = CGROUP_INIT, .signal_fd = -1 };
	int status = EXIT_FAILURE, left;
	pid_t child;

	block_signals(&run);
	if (start_watching(&run, a) < 0)
		goto out;
	if (a->policy && start_enforcing(&run, a) < 0) {
		status = EXIT_NOT_STARTED;
		goto out;
	}
	child = cgroup_fork(&run.cgroup);
	if (child == 0)
		run_command(&run, a);
	if (child < 0) {
		log_errno(errno, "cannot start a process in %s", run.cgroup.path);
		goto out;
	}
	status = watch(&run, child, a->wait);
	end_leftovers(&run, a);
	attach_settle(run.attach, SETTLE_MS);
	attach_sweep(run.attach);
	sandbox_release(run.sandbox);
	run.attach = attach_free(run.attach); /* hands on the last notices */
	flow_table_finish(pipeline_flows(run.pipeline));
	report(&run, a);
out:
	if (run.attach)
		sandbox_release(run.sandbox);
	attach_free(run.attach);
	left = cgroup_remove(&run.cgroup);
	if (left)
		log_warn("%d processes it started still run; they are no longer watched (see "
			 "--wait)",
			 left);
	if (run.sink)
		run.sink->ops->free(run.sink);
	exec_detect_free(run.detect);
	pipeline_free(run.pipeline);
	sandbox_free(run.sandbox);
	locator_free(run.locator);
	refusals_free(run.refusals);
	contacts_free(run.contacts);
	if (run.signal_fd >= 0)
		close(run.signal_fd);
	return status;
}

int cmd_exec(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "user", required_argument, NULL, 'u' },
		{ "wait", no_argument, NULL, 'w' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "policy", required_argument, NULL, 'p' },
		{ "watch", no_argument, NULL, 'W' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct exec_args args = { 0 };
	int o;

	/* "+": the command's own options are the command's. */
	while ((o = getopt_long(argc, argv, "+j:u:p:wqh", options, NULL)) != -1) {
		switch (o) {
		case 'j':
			args.json = optarg;
			break;
		case 'u':
			args.user = optarg;
			break;
		case 'w':
			args.wait = true;
			break;
		case 'p':
			args.policy = optarg;
			break;
		case 'W':
			args.watch = true;
			break;
		case 'q':
			args.quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (args.watch && !args.policy) {
		log_error("--watch: what to watch for is in a policy (--policy FILE)");
		return EXIT_USAGE;
	}
	args.command = argv + optind;
	return exec_watched(&args);
}
