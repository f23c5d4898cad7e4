/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret top`: waits for keys and for egretd, feeds both to the model (top_model.h), and draws what the layout
 * (top_view.h) makes of it. When egretd goes away it says so and tries again each second.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/table.h"
#include "cli/top_model.h"
#include "cli/top_term.h"
#include "cli/top_view.h"

#define REQUEST_ROOM 8192
#define PLAIN_WIDTH 100
#define PLAIN_MAX (1U << 20)
#define TICK_MS 1000

static const char usage[] =
	"usage: egret top [--by GROUP] [--sort ORDER] [--once] [--limit N] [FILTER...]\n\n"
	"Live view of what leaves: who, where to, how much. '?' shows the keys.\n\n"
	"  --by GROUP     program, user, unit, container, name, address, host or protocol\n"
	"  --sort ORDER   rate, up, down, bytes, flows or label\n"
	"  --once         print one second's picture and end (also when the output is no "
	"terminal)\n"
	"  --limit N      with --once: at most N rows (0: all)\n"
	"FILTER: words such as proc:curl name:*.example.org port:443 up:>1mb\n";

struct top {
	struct top_model model;
	struct top_frame frame;
	struct client *client;
	uint64_t asked_ns; /* when the request went out, or failed to */
	int signal_fd;
	bool stop;
};

struct top_args {
	bool once;
	uint64_t limit;
};

/* ---- egretd ---- */

static int ask(struct top *t)
{
	_cleanup_buf_ struct buf request = BUF_INIT(REQUEST_ROOM);
	char why[256];
	int r;

	t->client = client_free(t->client);
	t->asked_ns = time_now_boot();
	top_model_request(&t->model, &request);
	r = ask_daemon(&t->client, arg_run, buf_str(&request), why);
	if (r < 0) {
		snprintf(t->model.trouble, sizeof(t->model.trouble), "%s",
			 t->model.heard_ns ? "egretd has gone; trying again each second" : why);
		return r;
	}
	client_set_nonblocking(t->client);
	return 0;
}

static void hear(struct top *t)
{
	struct str line;
	int r;

	while ((r = client_line(t->client, &line)) == 1)
		top_model_line(&t->model, line);
	if (r == -EAGAIN)
		return;
	t->client = client_free(t->client);
	if (!t->model.trouble[0] && !t->model.complete)
		snprintf(t->model.trouble, sizeof(t->model.trouble),
			 "egretd has gone; trying again each second");
}

/* A second after the last request: again, if the connection is lost or its answer is whole. */
static bool is_due(const struct top *t)
{
	return (!t->client || t->model.complete) &&
	       time_now_boot() >= t->asked_ns + TICK_MS * NSEC_PER_MSEC;
}

/* ---- the terminal ---- */

static void draw(struct top *t)
{
	unsigned rows, columns;

	top_term_size(&rows, &columns);
	top_layout(&t->model, rows, columns, &t->frame);
	top_term_draw(&t->frame);
}

static void take_keys(struct top *t)
{
	uint32_t key;

	while ((key = top_term_key())) {
		switch (top_model_key(&t->model, key)) {
		case TOP_DRAW:
			break;
		case TOP_ASK:
			ask(t);
			break;
		case TOP_QUIT:
			t->stop = true;
			return;
		}
	}
}

static int watch(struct top *t)
{
	while (!t->stop) {
		struct pollfd fds[] = {
			{ .fd = STDIN_FILENO, .events = POLLIN },
			{ .fd = t->signal_fd, .events = POLLIN },
			{ .fd = t->client ? client_fd(t->client) : -1, .events = POLLIN },
		};

		/* A changed size interrupts the wait; top_term_key() then takes it in. */
		if (poll(fds, ARRAY_SIZE(fds), TICK_MS) < 0 && errno != EINTR)
			return -errno;
		t->model.now_ns = time_now();
		if (fds[1].revents)
			return 0;
		if (fds[0].revents & (POLLHUP | POLLERR))
			return 0; /* the terminal is gone */
		if (fds[2].revents && t->client)
			hear(t);
		take_keys(t);
		if (!t->stop && is_due(t))
			ask(t);
		if (!t->stop)
			draw(t);
	}
	return 0;
}

/* Signals that end it are waited for, so that the terminal is always put back. */
static int catch_signals(struct top *t)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return t->signal_fd < 0 ? -errno : 0;
}

static int run_screen(struct top *t)
{
	int r;

	t->model.now_ns = time_now();
	if (ask(t) < 0) {
		log_error("%s", t->model.trouble);
		return EXIT_FAILURE;
	}
	r = catch_signals(t);
	if (r < 0)
		return log_errno(r, "cannot wait for signals"), EXIT_FAILURE;
	r = top_term_begin();
	if (r < 0)
		return r == -EINVAL ? EXIT_FAILURE : (log_errno(r, "no terminal"), EXIT_FAILURE);
	draw(t);
	r = watch(t);
	top_term_end();
	return r < 0 ? (log_errno(r, "cannot wait for keys"), EXIT_FAILURE) : EXIT_SUCCESS;
}

/* ---- one picture ---- */

static int run_once(struct top *t, uint64_t limit)
{
	_cleanup_buf_ struct buf out = BUF_INIT(PLAIN_MAX);
	unsigned width = terminal_width(stdout);
	struct str line;
	int r, answers = 0;

	if (ask(t) < 0) {
		log_error("%s", t->model.trouble);
		return EXIT_FAILURE;
	}
	/* The second answer is the first with rates. */
	while (answers < 2) {
		if (poll(&(struct pollfd){ .fd = client_fd(t->client), .events = POLLIN }, 1, -1) <
			    0 &&
		    errno != EINTR)
			return log_errno(errno, "cannot wait for egretd"), EXIT_FAILURE;
		while (answers < 2 && (r = client_line(t->client, &line)) == 1) {
			top_model_line(&t->model, line);
			answers++;
		}
		if (t->model.trouble[0] || (answers < 2 && r != -EAGAIN)) {
			log_error("%s", t->model.trouble[0] ? t->model.trouble : "egretd has gone");
			return EXIT_FAILURE;
		}
	}
	top_print(&t->model, limit, width ? width : PLAIN_WIDTH, &out);
	fwrite(out.p, 1, out.n, stdout);
	return fflush(stdout) == EOF ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the call ---- */

static int parse_filter(struct top *t, int n, char **words)
{
	_cleanup_buf_ struct buf text = BUF_INIT(REQUEST_ROOM);
	char why[256];

	ask_join_filter(&text, n, words);
	if (text.failed || top_model_set_filter(&t->model, buf_str(&text), why) < 0) {
		log_error("filter, %s", text.failed ? "too long" : why);
		return EXIT_USAGE;
	}
	return -1;
}

/* -1: go on; else the exit status. */
static int parse_args(int argc, char **argv, struct top *t, struct top_args *a)
{
	static const struct option options[] = {
		{ "by", required_argument, NULL, 'b' }, { "sort", required_argument, NULL, 's' },
		{ "once", no_argument, NULL, 'o' },     { "limit", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },     { 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "b:s:h", options, NULL)) != -1) {
		int r = 0;

		switch (o) {
		case 'b':
			r = top_model_set_by(&t->model, optarg);
			break;
		case 's':
			r = top_model_set_sort(&t->model, optarg);
			break;
		case 'o':
			a->once = true;
			break;
		case 'l':
			r = str_parse_u64(str_of(optarg), &a->limit);
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
		if (r < 0) {
			log_error("'%s' is not possible here; 'egret top --help' says what is",
				  optarg);
			return EXIT_USAGE;
		}
	}
	return parse_filter(t, argc - optind, argv + optind);
}

int cmd_top(int argc, char **argv)
{
	struct top_args a = { .limit = 50 };
	struct top t = { .signal_fd = -1 };
	int status;

	cells_init();
	top_model_init(&t.model);
	top_frame_init(&t.frame);
	status = parse_args(argc, argv, &t, &a);
	if (status < 0)
		status = a.once || !isatty(STDOUT_FILENO) ? run_once(&t, a.limit) : run_screen(&t);
	client_free(t.client);
	if (t.signal_fd >= 0)
		close(t.signal_fd);
	top_frame_done(&t.frame);
	top_model_done(&t.model);
	return status;
}
