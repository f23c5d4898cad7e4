// SPDX-License-Identifier: Apache-2.0
/*
 * All feeds of a folder to its snapshot, here or in a process of its own: parsers meet the bytes of others there, without
 * capabilities, and the daemon only maps what comes out. The child writes its result into a pipe and ends.
 */
#include "detect/intel_build.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "detect/intel_builder.h"
#include "policy/fetch.h"

#define WHY_MAX 256

struct result {
	int r;
	struct intel_built built;
	char why[WHY_MAX];
};

struct intel_child {
	struct loop_source *source;
	int fd; /* the pipe's end to read */
	pid_t pid;
	intel_done_fn done;
	void *ctx;
};

void intel_snapshot_path(const char *folder, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/snapshot", folder);
}

/* --- one feed ------------------------------------------------------------------------------------------------------- */

struct reading {
	struct intel_builder *b;
	const struct list_report *report;
};

static int on_entry(void *ctx, const struct list_entry *e)
{
	struct reading *reading = ctx;

	reading->b->format = reading->report->format;
	return intel_builder_add(reading->b, e);
}

static void note_report(struct intel_builder *b, const struct list_report *report, int error)
{
	struct intel_feed_row *row = &b->feeds[b->n_feeds - 1];

	row->skipped = report->skipped;
	row->bad = report->bad;
	row->expired = report->expired;
	row->error = error;
	if (report->as_of_s)
		row->as_of_s = report->as_of_s;
	if (report->bad && report->first_bad_line)
		snprintf(row->why, sizeof(row->why), "line %u: %.130s", report->first_bad_line,
			 report->first_bad);
	else
		snprintf(row->why, sizeof(row->why), "%.150s",
			 report->first_bad[0] ? report->first_bad
			 : error              ? strerror(-error)
					      : "");
	b->built.bad += report->bad;
	b->built.feeds_failed += error != 0;
}

int intel_builder_list(struct intel_builder *b, const struct intel_feed *feed, struct str text,
		       int64_t as_of_s, struct list_report *report)
{
	struct reading reading = { b, report };
	int r = intel_builder_feed(b, feed, as_of_s);

	if (r < 0)
		return r;
	report->as_of_s = as_of_s;
	r = list_parse(feed->format, text, (struct list_sink){ on_entry, &reading, b->now_s },
		       report);
	note_report(b, report, r);
	return r;
}

/* < 0: building cannot go on. */
static int load_feed(struct intel_builder *b, const struct intel_feed *feed, const char *cache)
{
	struct list_report report = { 0 };
	struct reading reading = { b, &report };
	struct policy_list list;
	int r = intel_builder_feed(b, feed, 0);

	if (r < 0)
		return r;
	intel_feed_list(feed, &list);
	r = list_load(&list, cache, b->now_s, (struct list_sink){ on_entry, &reading, 0 }, &report);
	note_report(b, &report, r);
	return r == -ENOMEM ? r : 0;
}

int intel_build(const char *folder, int64_t now_s, struct intel_built *ret, char why[WHY_MAX])
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 20);
	struct intel_builder *b = NULL;
	struct intel_feeds feeds = { 0 };
	char path[PATH_MAX];
	int r;

	why[0] = 0;
	r = intel_feeds_read(&feeds, folder, &messages);
	if (r < 0) {
		snprintf(why, WHY_MAX, "the list of feeds cannot be read: %.200s",
			 messages.n ? messages.p : strerror(-r));
		intel_feeds_done(&feeds);
		return r;
	}
	r = intel_builder_new(&b, now_s, 0);
	intel_cache_path(folder, path);
	for (size_t i = 0; r == 0 && i < feeds.n; i++)
		r = load_feed(b, &feeds.v[i], path);
	intel_snapshot_path(folder, path);
	if (r == 0)
		r = intel_builder_write(b, path, ret);
	if (r < 0)
		snprintf(why, WHY_MAX, "%.200s cannot be built: %s", path, strerror(-r));
	intel_builder_free(b);
	intel_feeds_done(&feeds);
	return r;
}

/* --- in a child ----------------------------------------------------------------------------------------------------- */

static _Noreturn void child(int fd, const char *folder, int64_t now_s)
{
	struct result result = { 0 };
	sigset_t none;

	/* nothing of the daemon's: maps, rings, sockets of clients */
	if (fd != 3 && dup2(fd, 3) < 0)
		_exit(1);
	close_range(4, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* whoever waits for its packets goes first; without the right to, it goes as it is */
	(void)!setpriority(PRIO_PROCESS, 0, 10);
	result.r = fetch_confine();
	if (result.r < 0)
		snprintf(result.why, sizeof(result.why),
			 "the building process cannot be confined: %s", strerror(-result.r));
	else
		result.r = intel_build(folder, now_s, &result.built, result.why);
	/* less than PIPE_BUF: whole or not at all */
	_exit(write(3, &result, sizeof(result)) == sizeof(result) ? 0 : 1);
}

static void on_result(void *ctx, int fd, uint32_t events)
{
	struct intel_child *c = ctx;
	struct result result = { .r = -EIO };
	intel_done_fn done = c->done;
	void *done_ctx = c->ctx;
	int status = 0;

	if (read(fd, &result, sizeof(result)) != sizeof(result)) {
		result = (struct result){ .r = -EIO };
		waitpid(c->pid, &status, 0);
		c->pid = 0;
		if (WIFSIGNALED(status))
			snprintf(result.why, sizeof(result.why),
				 "the building process was ended by signal %d", WTERMSIG(status));
		else
			snprintf(result.why, sizeof(result.why),
				 "the building process ended early");
	}
	result.why[sizeof(result.why) - 1] = 0;
	intel_build_cancel(c);
	done(done_ctx, result.r, &result.built, result.why);
}

int intel_build_start(struct intel_child **ret, struct loop *loop, const char *folder,
		      int64_t now_s, intel_done_fn done, void *ctx)
{
	struct intel_child *c = calloc(1, sizeof(*c));
	int ends[2], r;

	if (!c)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		r = -errno;
		free(c);
		return r;
	}
	*c = (struct intel_child){ .fd = ends[0], .done = done, .ctx = ctx };
	c->pid = fork();
	if (c->pid == 0)
		child(ends[1], folder, now_s);
	r = c->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r < 0)
		c->pid = 0;
	else
		r = loop_add_io(loop, c->fd, EPOLLIN, on_result, c, &c->source);
	if (r < 0) {
		intel_build_cancel(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct intel_child *intel_build_cancel(struct intel_child *c)
{
	if (!c)
		return NULL;
	loop_remove(c->source);
	close(c->fd);
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	free(c);
	return NULL;
}
