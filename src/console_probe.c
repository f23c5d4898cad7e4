/* SPDX-License-Identifier: Apache-2.0 */
#include "console_probe.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"
#include "serve/metrics.h"
#include "store/ship.h"

#define EVERY_NS (30 * NSEC_PER_SEC)
#define ANSWER_MAX (64U << 10)
#define PIECE 4096

struct console_probe {
	struct loop *loop;
	struct answerer_inputs in;
	struct loop_source *timer, *source;
	int fd; /* what the child writes to; -1: nobody is asking */
	pid_t pid;
	struct buf answer;
	bool asked; /* at least once to the end */
	uint64_t hosts, since_ns;
	char problem[256]; /* empty: it answers */
};

static void hang_up(struct console_probe *p)
{
	loop_remove(p->source);
	p->source = NULL;
	if (p->fd < 0)
		return;
	close(TAKE_FD(p->fd));
	kill(p->pid, SIGKILL); /* at its end it is gone already */
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Says it once, when it changes. */
static void conclude(struct console_probe *p, const char *problem)
{
	bool same = p->asked && !strcmp(p->problem, problem);

	p->asked = true;
	if (same)
		return;
	p->since_ns = time_now();
	snprintf(p->problem, sizeof(p->problem), "%s", problem);
	if (problem[0])
		log_warn("%s: %s; questions fail until it answers", p->in.fleet->url, problem);
	else
		log_info("%s answers", p->in.fleet->url);
}

/* The last line says how many there are, or what is wrong. */
static void take_answer(struct console_probe *p)
{
	struct str rest = buf_str(&p->answer), line, last = STR_NONE;
	_cleanup_(json_decrefp) json_t *j = NULL;
	const char *error;

	while (str_cut(&rest, '\n', &line))
		last = line.n ? line : last;
	j = json_loadb(last.n ? last.p : "", last.n, 0, NULL);
	error = json_string_value(json_object_get(j, "error"));
	if (error) {
		conclude(p, error);
	} else if (!json_object_get(j, "end")) {
		conclude(p, "it did not answer to the end");
	} else {
		p->hosts = (uint64_t)json_integer_value(json_object_get(j, "matched"));
		conclude(p, "");
	}
}

static void on_answer(void *ctx, int fd, uint32_t events)
{
	struct console_probe *p = ctx;
	char *at = buf_reserve(&p->answer, PIECE);
	ssize_t n = at ? read(fd, at, PIECE) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		p->answer.n += (size_t)n;
		return;
	}
	hang_up(p);
	take_answer(p);
}

static void on_timer(void *ctx)
{
	struct console_probe *p = ctx;
	int r;

	if (p->fd >= 0)
		return; /* it ends itself: answerer.h */
	buf_clear(&p->answer);
	p->fd = answerer_start(&p->in, &p->pid);
	r = p->fd < 0 ? p->fd : loop_add_io(p->loop, p->fd, EPOLLIN, on_answer, p, &p->source);
	if (r < 0) {
		hang_up(p);
		conclude(p, strerror(-r));
	}
}

struct console_probe *console_probe_free(struct console_probe *p)
{
	if (!p)
		return NULL;
	loop_remove(p->timer);
	hang_up(p);
	buf_done(&p->answer);
	free(p);
	return NULL;
}

int console_probe_new(struct console_probe **ret, struct loop *loop,
		      const struct answerer_inputs *in)
{
	struct console_probe *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	p->in = *in;
	p->in.question = STR("{\"ask\":\"history\",\"do\":\"hosts\",\"last\":86400,\"limit\":1}");
	p->fd = -1;
	p->answer = BUF_INIT(ANSWER_MAX);
	r = loop_add_timer(loop, EVERY_NS, on_timer, p, &p->timer);
	if (r < 0) {
		console_probe_free(p);
		return r;
	}
	on_timer(p);
	*ret = p;
	return 0;
}

void console_probe_status(const struct console_probe *p, struct json *j)
{
	char text[TIME_TEXT_MAX];

	if (!p->asked)
		return;
	json_bool(j, "answers", !p->problem[0]);
	json_text(j, "since", time_format(p->since_ns, text));
	if (p->problem[0])
		json_text(j, "problem", p->problem);
	else
		json_u64(j, "hosts", p->hosts);
}

void console_probe_metrics(const struct console_probe *p, struct metrics_out *m)
{
	if (!p->asked)
		return;
	metric_put(m, METRIC_CONSOLE_HOSTS, p->hosts);
	metric_put(m, METRIC_CONSOLE_FAILING, p->problem[0] != 0);
}
