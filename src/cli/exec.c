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
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cgroup.h"
#include "cli/cmd.h"
#include "cli/contacts.h"
#include "cli/table.h"
#include "flow/record.h"
#include "pipeline.h"
#include "store/eve.h"

#define MAX_CONTACTS 100000
#define DRAIN_EVERY_MS 50
#define SETTLE_MS 300 /* for the last packets of connections that were just closed */
#define EXIT_NOT_FOUND 127
#define EXIT_NOT_EXECUTABLE 126

static const char usage[] =
	"usage: egret exec [OPTION...] -- CMD [ARG...]\n\n"
	"Runs CMD in a cgroup of its own and, when it ends, prints what it and all it started "
	"contacted.\n"
	"The exit status is the command's (128 + N when signal N ended it). Needs root, and no "
	"daemon.\n\n"
	"  --json FILE   also write the records (EVE JSON lines) to FILE\n"
	"  --user NAME   run CMD as this user\n"
	"  --wait        wait for everything CMD started, not only for CMD itself\n"
	"  --quiet       no table\n";

struct exec_args {
	const char *json, *user;
	bool wait, quiet;
	char **command;
};

struct run {
	struct cgroup cgroup;
	struct attach *attach;
	struct pipeline *pipeline;
	struct contacts *contacts;
	struct sink *sink;
	uint64_t write_errors;
	int signal_fd;
	sigset_t old_mask;
};

static void on_record(void *ctx, const struct record *r)
{
	struct run *run = ctx;

	if (run->sink)
		run->sink->ops->put(run->sink, r);
	if (r->type == RECORD_FLOW && r->flow_ends)
		contacts_add(run->contacts, r->flow);
	else if (r->type == RECORD_PACKET_SOCKET)
		log_warn("%.*s (pid %u) opened a packet socket: what it sends that way is not seen",
			 STR_FMT(proc_name(r->proc)), r->proc->pid);
}

static int start_watching(struct run *run, const struct exec_args *a)
{
	static char host[256];
	struct eve_format format = { .vantage = EVE_HOST, .host = host };
	char error[256] = "";
	int r;

	gethostname(host, sizeof(host) - 1);
	/* One command, one file: what an earlier run left goes. Pipes and devices cannot be cut. */
	if (a->json && truncate(a->json, 0) < 0 && errno != ENOENT && errno != EINVAL)
		return log_errno(errno, "cannot write %s", a->json);
	r = a->json ? eve_sink_new(&run->sink, &format, a->json, &run->write_errors) : 0;
	if (r < 0)
		return log_errno(r, "cannot write %s", a->json);
	r = contacts_new(&run->contacts, true, MAX_CONTACTS);
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
	if (r < 0)
		return log_errno(r, "cannot start");
	r = attach_new(&run->attach, &(struct attach_config){ .cgroup_fd = run->cgroup.fd },
		       pipeline_input(run->pipeline), error);
	if (r < 0) {
		log_error("cannot watch: %s", error);
		return r;
	}
	return attach_seed(run->attach);
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

static _Noreturn void run_command(const struct exec_args *a, const sigset_t *mask)
{
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (a->user && become(a->user) < 0)
		_exit(EXIT_NOT_EXECUTABLE);
	execvp(a->command[0], a->command);
	log_errno(errno, "cannot run %s", a->command[0]);
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static void pump(struct run *run)
{
	attach_drain(run->attach);
	pipeline_tick(run->pipeline, time_now());
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
	for (int i = 0; i < LOSS_COUNT; i++)
		if (fs.loss[i])
			log_warn("lost, %s: %s", loss_name(i), human_count(fs.loss[i], text));
	if (run->write_errors)
		log_warn("%s: %s records could not be written", a->json,
			 human_count(run->write_errors, text));
}

static int exec_watched(const struct exec_args *a)
{
	struct run run = { .cgroup = CGROUP_INIT, .signal_fd = -1 };
	int status = EXIT_FAILURE, left;
	pid_t child;

	block_signals(&run);
	if (start_watching(&run, a) < 0)
		goto out;
	child = cgroup_fork(&run.cgroup);
	if (child == 0)
		run_command(a, &run.old_mask);
	if (child < 0) {
		log_errno(errno, "cannot start a process in %s", run.cgroup.path);
		goto out;
	}
	status = watch(&run, child, a->wait);
	attach_settle(run.attach, SETTLE_MS);
	attach_sweep(run.attach);
	run.attach = attach_free(run.attach); /* hands on the last notices */
	flow_table_finish(pipeline_flows(run.pipeline));
	report(&run, a);
out:
	attach_free(run.attach);
	left = cgroup_remove(&run.cgroup);
	if (left)
		log_warn("%d processes it started still run; they are no longer watched (see "
			 "--wait)",
			 left);
	if (run.sink)
		run.sink->ops->free(run.sink);
	pipeline_free(run.pipeline);
	contacts_free(run.contacts);
	if (run.signal_fd >= 0)
		close(run.signal_fd);
	return status;
}

int cmd_exec(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", required_argument, NULL, 'j' }, { "user", required_argument, NULL, 'u' },
		{ "wait", no_argument, NULL, 'w' },       { "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },       { 0 },
	};
	struct exec_args args = { 0 };
	int o;

	/* "+": the command's own options are the command's. */
	while ((o = getopt_long(argc, argv, "+j:u:wqh", options, NULL)) != -1) {
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
	args.command = argv + optind;
	return exec_watched(&args);
}
