/* SPDX-License-Identifier: Apache-2.0 */
#include "shipper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"

#define BACK_OFF_MAX_S 60U
#define STEADY_NS (60 * NSEC_PER_SEC) /* who lived so long is started again at once */

struct shipper {
	const struct ship_settings *settings;
	struct buf text; /* of them, for the other process */
	char dir[300];
	struct loop *loop;
	struct loop_source *timer, *source;
	int fd; /* its reports; -1: there is none */
	pid_t pid;
	uint64_t started_ns, next_ns;
	unsigned back_off_s;
	struct ship_report base, now; /* of those before, of this one */
	char said[SHIP_WHY_MAX];      /* the problem that was logged; empty: none */
	char said_fleet[SHIP_WHY_MAX];
};

static _Noreturn void child(const struct shipper *s, int fd)
{
	char *argv[SHIP_ARG_END + 1] = { "egretd", "--ship", (char *)s->dir, s->text.p };
	sigset_t none;

	if (dup2(fd, SHIP_FD) < 0)
		_exit(EXIT_FAILURE);
	fcntl(SHIP_FD, F_SETFD, 0);
	close_range(SHIP_FD + 1, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv("/proc/self/exe", argv);
	_exit(EXIT_FAILURE);
}

/* Where it sends to, or tries to. */
static const char *url_of(const struct shipper *s)
{
	return s->now.url[0] ? s->now.url : s->settings->url;
}

/* Once each: what hinders it, and that it is over. */
static void say(struct shipper *s)
{
	if (strcmp(s->said_fleet, s->now.fleet_problem) && s->now.fleet_problem[0])
		log_warn("clickhouse: %s: nothing is heard of the fleet: %s", url_of(s),
			 s->now.fleet_problem);
	memcpy(s->said_fleet, s->now.fleet_problem, sizeof(s->said_fleet));
	if (!strcmp(s->said, s->now.problem))
		return;
	if (s->now.problem[0])
		log_warn("clickhouse: %s: %s; batches wait in %s", url_of(s), s->now.problem,
			 s->dir);
	else
		log_info("clickhouse: %s takes batches again", url_of(s));
	memcpy(s->said, s->now.problem, sizeof(s->said));
}

static void hang_up(struct shipper *s)
{
	loop_remove(s->source);
	s->source = NULL;
	if (s->fd >= 0)
		close(TAKE_FD(s->fd));
	s->base.batches += s->now.batches;
	s->base.rows += s->now.rows;
	s->base.bytes += s->now.bytes;
	s->base.refused += s->now.refused;
	s->now.batches = s->now.rows = s->now.bytes = s->now.refused = 0;
}

static void on_report(void *ctx, int fd, uint32_t events)
{
	struct ship_report report;
	struct shipper *s = ctx;
	ssize_t n;

	while ((n = read(fd, &report, sizeof(report))) == sizeof(report)) {
		report.url[sizeof(report.url) - 1] = 0;
		report.version[sizeof(report.version) - 1] = 0;
		report.problem[sizeof(report.problem) - 1] = 0;
		report.fleet_problem[sizeof(report.fleet_problem) - 1] = 0;
		s->now = report;
		say(s);
	}
	if (n >= 0 || errno != EAGAIN)
		hang_up(s); /* on_second() sees to the rest */
}

static int spawn(struct shipper *s)
{
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	fcntl(ends[1], F_SETFL, 0);
	s->pid = fork();
	if (s->pid == 0)
		child(s, ends[1]);
	r = s->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r == 0) {
		s->fd = ends[0];
		r = loop_add_io(s->loop, s->fd, EPOLLIN, on_report, s, &s->source);
	} else {
		close(ends[0]);
		s->pid = 0;
	}
	s->started_ns = time_now_boot();
	return r;
}

static void on_second(void *ctx)
{
	struct shipper *s = ctx;
	uint64_t now = time_now_boot();
	int status, r;

	if (s->pid && waitpid(s->pid, &status, WNOHANG) == s->pid) {
		s->pid = 0;
		hang_up(s);
		s->back_off_s = now - s->started_ns > STEADY_NS
					? 1
					: MIN(2 * s->back_off_s + 1, BACK_OFF_MAX_S);
		s->next_ns = now + s->back_off_s * NSEC_PER_SEC;
		log_warn("the process that sends to ClickHouse was ended by %s %d; it is started "
			 "again in %u s",
			 WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
			 s->back_off_s);
	}
	if (s->pid || now < s->next_ns)
		return;
	r = spawn(s);
	if (r < 0) {
		s->next_ns = now + BACK_OFF_MAX_S * NSEC_PER_SEC;
		log_errno(r, "cannot start the process that sends to ClickHouse");
	}
}

int shipper_new(struct shipper **ret, struct loop *loop, const struct ship_settings *settings,
		const char *dir)
{
	struct shipper *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct shipper){ .settings = settings, .loop = loop, .fd = -1 };
	s->text = BUF_INIT(sizeof(*settings) + 64);
	ship_settings_put(&s->text, settings);
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	r = s->text.failed ? -ENOMEM : loop_add_timer(loop, NSEC_PER_SEC, on_second, s, &s->timer);
	if (r < 0) {
		buf_done(&s->text);
		free(s);
		return r;
	}
	on_second(s);
	*ret = s;
	return 0;
}

/* It may be in the middle of a batch: that one is sent again by the next, with the same bytes. */
struct shipper *shipper_free(struct shipper *s)
{
	if (!s)
		return NULL;
	loop_remove(s->timer);
	hang_up(s);
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	buf_done(&s->text);
	free(s);
	return NULL;
}

void shipper_status(const struct shipper *s, struct json *j)
{
	char text[TIME_TEXT_MAX];

	json_text(j, "url", url_of(s));
	json_bool(j, "collector", s->now.collector);
	json_text(j, "database", s->settings->database);
	if (s->now.version[0])
		json_text(j, "server_version", s->now.version);
	json_bool(j, "running", s->pid > 0);
	json_u64(j, "pid", (uint64_t)s->pid);
	json_u64(j, "sent_batches", s->base.batches + s->now.batches);
	json_u64(j, "sent_rows", s->base.rows + s->now.rows);
	json_u64(j, "sent_bytes", s->base.bytes + s->now.bytes);
	json_u64(j, "refused_rows", s->base.refused + s->now.refused);
	json_u64(j, "spool_max_bytes", s->settings->spool_bytes);
	if (s->now.taken_ns)
		json_text(j, "sent_last", time_format(s->now.taken_ns, text));
	if (s->now.problem[0])
		json_text(j, "send_problem", s->now.problem);
	if (s->now.fleet_problem[0])
		json_text(j, "fleet_problem", s->now.fleet_problem);
}
