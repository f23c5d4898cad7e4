/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the history: each is answered by a child (control_config.history starts it), whose lines go to the client as fast as
 * it takes them. Further questions wait for a place, in the order in which they came.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "serve/answer.h"
#include "serve/conn.h"

#define QUEUED_MAX (256U << 10) /* then the child waits */
#define PIECE (64U << 10)

struct child {
	struct conn *conn;
	struct answer_children *all;
	pid_t pid;
	int fd;
	struct loop_source *source;
	bool paused;
};

/* It has ended, or is not wanted any more. How it ended: 0, or an error in words. */
static const char *bury(struct child *c)
{
	int status = 0;

	loop_remove(c->source);
	close(c->fd);
	kill(c->pid, SIGKILL); /* at its end it is gone already */
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->all->n--;
	free(c);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return NULL;
	if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGXCPU))
		return "the answer took longer than 60 s: ask for a shorter time, or with a filter";
	return "the process that answers has failed: egretd's log may say why";
}

static void finish(struct child *c)
{
	struct conn *k = c->conn;
	const char *problem = bury(c);

	k->child = NULL;
	k->busy = false;
	if (problem) {
		if (conn_queued(k) && k->out.p[k->out.n - 1] != '\n')
			buf_putc(&k->out, '\n');
		conn_error(k, problem);
	}
	conn_answered(k);
}

static void on_piece(void *ctx, int fd, uint32_t events)
{
	struct child *c = ctx;
	struct conn *k = c->conn;
	char *at = buf_reserve(&k->out, PIECE);
	ssize_t n = at ? read(fd, at, PIECE) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(c);
		return;
	}
	k->out.n += (size_t)n;
	if (conn_queued(k) > QUEUED_MAX && loop_set_events(c->source, 0) == 0)
		c->paused = true;
	conn_watch(k);
}

static int start(const struct answer_source *s, struct answer_children *all, struct conn *k)
{
	struct child *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->conn = k;
	c->all = all;
	c->fd = s->cfg->history(s->cfg->history_ctx, str_of(k->request.history), k->passed_fd,
				&c->pid);
	if (c->fd < 0) {
		r = c->fd;
		free(c);
		return r;
	}
	all->n++;
	r = loop_add_io(s->cfg->loop, c->fd, EPOLLIN, on_piece, c, &c->source);
	if (r < 0) {
		bury(c);
		return r;
	}
	k->child = c;
	return 0;
}

static void try_start(const struct answer_source *s, struct answer_children *all, struct conn *k)
{
	int r = start(s, all, k);

	k->waiting = false;
	if (r == 0)
		return;
	k->busy = false;
	conn_error(k, r == -EOPNOTSUPP ? "no history is kept here (egret.conf: store off)"
				       : "the history cannot be asked now");
	log_errno(r, "cannot start to answer a question to the history");
}

void answer_history(const struct answer_source *s, struct answer_children *all, struct conn *k)
{
	if (!s->cfg->history) {
		conn_error(k, "no history is kept here");
		return;
	}
	k->busy = true;
	k->waiting = all->n >= ANSWER_CHILDREN_MAX;
	if (!k->waiting)
		try_start(s, all, k);
}

void answer_history_next(const struct answer_source *s, struct answer_children *all,
			 struct list *conns)
{
	list_for_each(it, conns) {
		struct conn *k = container_of(it, struct conn, link);

		if (all->n >= ANSWER_CHILDREN_MAX || !s->cfg->history)
			return;
		if (!k->waiting)
			continue;
		try_start(s, all, k);
		conn_watch(k);
	}
}

void answer_history_sent(struct conn *k)
{
	if (k->child && k->child->paused && conn_queued(k) < QUEUED_MAX / 2 &&
	    loop_set_events(k->child->source, EPOLLIN) == 0)
		k->child->paused = false;
}

void answer_history_forget(struct conn *k)
{
	if (k->child)
		bury(k->child);
	k->child = NULL;
	k->waiting = false;
}
