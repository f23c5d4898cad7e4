/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/time.h"

struct loop_source {
	struct list link;
	struct loop *loop;
	int fd;
	bool own_fd; /* timers and signals */
	bool dead;   /* removed inside a callback; freed after the batch */
	void *ctx;
	loop_io_fn io;
	loop_timer_fn timer;
	loop_signal_fn signal;
};

struct loop {
	int epoll_fd;
	bool stop;
	struct list sources, dead;
};

int loop_new(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		free(l);
		return -errno;
	}
	list_init(&l->sources);
	list_init(&l->dead);
	*ret = l;
	return 0;
}

static void reap(struct loop *l)
{
	while (!list_empty(&l->dead)) {
		struct loop_source *s = container_of(l->dead.next, struct loop_source, link);

		list_del(&s->link);
		free(s);
	}
}

struct loop *loop_free(struct loop *l)
{
	if (!l)
		return NULL;
	while (!list_empty(&l->sources))
		loop_remove(container_of(l->sources.next, struct loop_source, link));
	reap(l);
	close(l->epoll_fd);
	free(l);
	return NULL;
}

static int add(struct loop *l, struct loop_source like, uint32_t events, struct loop_source **ret)
{
	struct loop_source *s = malloc(sizeof(*s));
	struct epoll_event ev;
	int r;

	if (!s)
		return -ENOMEM;
	*s = like;
	s->loop = l;
	ev = (struct epoll_event){ .events = events, .data.ptr = s };
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0) {
		r = -errno;
		free(s);
		return r;
	}
	list_push_back(&l->sources, &s->link);
	if (ret)
		*ret = s;
	return 0;
}

int loop_add_io(struct loop *l, int fd, uint32_t events, loop_io_fn fn, void *ctx,
		struct loop_source **ret)
{
	return add(l, (struct loop_source){ .fd = fd, .io = fn, .ctx = ctx }, events, ret);
}

int loop_set_events(struct loop_source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

int loop_add_timer(struct loop *l, uint64_t every_ns, loop_timer_fn fn, void *ctx,
		   struct loop_source **ret)
{
	_cleanup_close_ int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct itimerspec spec;
	int r;

	if (fd < 0)
		return -errno;
	spec.it_interval.tv_sec = (time_t)(every_ns / NSEC_PER_SEC);
	spec.it_interval.tv_nsec = (long)(every_ns % NSEC_PER_SEC);
	spec.it_value = spec.it_interval;
	if (timerfd_settime(fd, 0, &spec, NULL) < 0)
		return -errno;
	r = add(l, (struct loop_source){ .fd = fd, .own_fd = true, .timer = fn, .ctx = ctx },
		EPOLLIN, ret);
	if (r == 0)
		TAKE_FD(fd);
	return r;
}

int loop_add_signal(struct loop *l, int signo, loop_signal_fn fn, void *ctx)
{
	_cleanup_close_ int fd = -1;
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, signo);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = add(l, (struct loop_source){ .fd = fd, .own_fd = true, .signal = fn, .ctx = ctx },
		EPOLLIN, NULL);
	if (r == 0)
		TAKE_FD(fd);
	return r;
}

void loop_remove(struct loop_source *s)
{
	if (!s || s->dead)
		return;
	epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	if (s->own_fd)
		close(s->fd);
	s->dead = true;
	list_del(&s->link);
	list_push_back(&s->loop->dead, &s->link);
}

static void dispatch(struct loop_source *s, uint32_t events)
{
	struct signalfd_siginfo info;
	uint64_t ticks;

	if (s->io)
		s->io(s->ctx, s->fd, events);
	else if (s->timer && read(s->fd, &ticks, sizeof(ticks)) == sizeof(ticks))
		s->timer(s->ctx);
	else if (s->signal && read(s->fd, &info, sizeof(info)) == sizeof(info))
		s->signal(s->ctx, (int)info.ssi_signo);
}

int loop_run(struct loop *l)
{
	struct epoll_event events[64];

	l->stop = false;
	while (!l->stop) {
		int n = epoll_wait(l->epoll_fd, events, ARRAY_SIZE(events), -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct loop_source *s = events[i].data.ptr;

			if (!s->dead)
				dispatch(s, events[i].events);
		}
		reap(l);
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
