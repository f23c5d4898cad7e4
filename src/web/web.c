/* SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"
#include "serve/page.h"
#include "web/cage.h"
#include "web/openapi.h"
#include "web/server.h"

#define CONNECTIONS_MAX 600
#define CONNECTIONS_OF_ONE 64
#define LOCAL_CONNECTIONS_MAX 100
#define CONNECTION_MEMORY (16U << 10) /* heads of requests and answers */
#define STALLED_S 30                  /* neither side moves a byte */
#define OPENAPI_MAX (1U << 20)
#define TICK_NS NSEC_PER_SEC
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* ---- connections ---- */

void link_set(struct link *l, enum link_phase phase)
{
	l->phase = phase;
	l->since_ns = time_now_boot();
}

static uint64_t link_deadline(const struct link *l)
{
	static const unsigned seconds[] = { [LINK_FRESH] = 10,
					    [LINK_IDLE] = 30,
					    [LINK_BODY] = 15,
					    [LINK_WAITING] = 60,
					    [LINK_SENDING] = 300 };

	return l->phase == LINK_LIVE ? UINT64_MAX : l->since_ns + seconds[l->phase] * NSEC_PER_SEC;
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **keep,
			  enum MHD_ConnectionNotificationCode what)
{
	struct place *p = ctx;
	struct link *l = *keep;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (l)
			list_del(&l->link);
		free(l);
		*keep = NULL;
		return;
	}
	l = calloc(1, sizeof(*l));
	*keep = l;
	if (!l)
		return; /* its requests are refused */
	l->server = p->server;
	l->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	link_set(l, LINK_FRESH);
	list_push_back(&p->server->links, &l->link);
}

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct link *l = info ? info->socket_context : NULL;
	struct call *c = l ? call_new(ctx, uri) : NULL;

	if (!c)
		return NULL;
	c->mhd = mhd;
	c->conn = l;
	l->call = c;
	return c;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **keep)
{
	return *keep ? call_go_on(*keep, method, data, size) : MHD_NO;
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **keep,
			 enum MHD_RequestTerminationCode why)
{
	struct call *c = *keep;

	if (c && c->conn)
		link_set(c->conn, LINK_IDLE);
	*keep = call_free(c);
}

/* ---- the loop ---- */

static void run_place(struct server *s, struct place *p)
{
	MHD_UNSIGNED_LONG_LONG wait = 1;

	if (!p->mhd)
		return;
	MHD_run(p->mhd);
	/* 0: it has more to do already; after everybody else had a turn */
	if (MHD_get_timeout(p->mhd, &wait) == MHD_YES && wait == 0)
		eventfd_write(s->wake_fd, 1);
}

static void on_ready(void *ctx, int fd, uint32_t events)
{
	struct place *p = ctx;

	run_place(p->server, p);
}

static void on_wake(void *ctx, int fd, uint32_t events)
{
	struct server *s = ctx;
	eventfd_t n;

	if (eventfd_read(fd, &n) < 0)
		return;
	question_next(s);
	run_place(s, &s->tcp);
	run_place(s, &s->local);
}

static void on_tick(void *ctx)
{
	struct server *s = ctx;
	uint64_t now = time_now_boot();

	list_for_each(it, &s->links) {
		struct link *l = container_of(it, struct link, link);

		if (now < link_deadline(l))
			continue;
		if (l->phase == LINK_WAITING && l->call)
			call_fail(l->call, MHD_HTTP_SERVICE_UNAVAILABLE, "egretd does not answer");
		else
			shutdown(l->fd, SHUT_RDWR);
		link_set(l, LINK_SENDING);
	}
	hubs_tick(&s->hubs, time_now() / NSEC_PER_SEC);
	run_place(s, &s->tcp);
	run_place(s, &s->local);
}

/* The daemon sends nothing this way: it has ended. */
static void on_channel(void *ctx, int fd, uint32_t events)
{
	struct server *s = ctx;

	loop_stop(s->loop);
}

static void on_stop(void *ctx, int signo)
{
	struct server *s = ctx;

	loop_stop(s->loop);
}

/* ---- setting up ---- */

struct tls_texts {
	struct buf all;
	const char *cert, *key, *ca; /* ca: NULL when empty */
};

static int read_tls(const struct server *s, struct tls_texts *t)
{
	struct stat st;
	char *at;

	if (!s->given[WEB_FD_TLS])
		return 0;
	if (fstat(WEB_FD_TLS, &st) < 0)
		return -errno;
	t->all = BUF_INIT((size_t)st.st_size + 1);
	at = buf_reserve(&t->all, (size_t)st.st_size);
	if (!at || pread(WEB_FD_TLS, at, (size_t)st.st_size, 0) != st.st_size || !st.st_size ||
	    at[st.st_size - 1])
		return -EBADMSG;
	close(WEB_FD_TLS);
	t->cert = at;
	t->key = at + strlen(at) + 1;
	t->ca = t->key + strlen(t->key) + 1;
	if (!*t->ca)
		t->ca = NULL;
	return 0;
}

static void name_place(struct place *p, int fd)
{
	struct sockaddr_storage at;
	socklen_t n = sizeof(at);
	char text[INET6_ADDRSTRLEN] = "";

	if (getsockname(fd, (struct sockaddr *)&at, &n) < 0)
		return;
	p->check.local = at.ss_family == AF_UNIX;
	if (at.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&at)->sin_addr, text, sizeof(text));
	else if (at.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&at)->sin6_addr, text, sizeof(text));
	snprintf(p->listened, sizeof(p->listened), at.ss_family == AF_INET6 ? "[%s]" : "%s", text);
	p->check.listened = str_of(p->listened);
}

static void on_message(void *ctx, const char *fmt, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = 0;
	log_debug("http: %s", text);
}

static int open_place(struct server *s, struct place *p, int fd, const struct tls_texts *tls)
{
	bool is_tls = tls && tls->cert;
	struct MHD_OptionItem more[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, is_tls ? (void *)tls->cert : NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, is_tls ? (void *)tls->key : NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)PRIORITIES },
		{ is_tls && tls->ca ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
		  is_tls ? (void *)tls->ca : NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			 (is_tls ? MHD_USE_TLS : 0);
	int r;

	if (!s->given[fd])
		return 0;
	p->server = s;
	p->check.tls = is_tls;
	p->client_ca = is_tls && tls->ca;
	name_place(p, fd);
	if (!is_tls)
		more[0].option = MHD_OPTION_END;
	p->mhd = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, p, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)(p->check.local ? LOCAL_CONNECTIONS_MAX : CONNECTIONS_MAX),
		MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)(p->check.local ? 0 : CONNECTIONS_OF_ONE), MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)STALLED_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_uri, p,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, p, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, p, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
	if (!p->mhd)
		return log_errno(EIO, "cannot serve HTTP%s", is_tls ? "S" : "");
	r = loop_add_io(s->loop, MHD_get_daemon_info(p->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
			EPOLLIN, on_ready, p, NULL);
	return r < 0 ? log_errno(r, "cannot serve HTTP") : 0;
}

static int set_up(struct server *s)
{
	struct tls_texts tls = { 0 };
	int r = read_tls(s, &tls);

	if (r < 0)
		return log_errno(r, "cannot read certificate and key");
	openapi_put(&s->openapi);
	r = loop_new(&s->loop);
	if (r >= 0)
		r = loop_add_io(s->loop, s->channel, EPOLLIN, on_channel, s, NULL);
	if (r >= 0)
		r = loop_add_io(s->loop, s->wake_fd, EPOLLIN, on_wake, s, NULL);
	if (r >= 0)
		r = loop_add_timer(s->loop, TICK_NS, on_tick, s, NULL);
	if (r >= 0)
		r = loop_add_signal(s->loop, SIGTERM, on_stop, s);
	if (r >= 0)
		r = loop_add_signal(s->loop, SIGINT, on_stop, s);
	if (r < 0)
		return log_errno(r, "cannot start the event loop");
	r = open_place(s, &s->tcp, WEB_FD_TCP, &tls);
	if (r >= 0)
		r = open_place(s, &s->local, WEB_FD_UNIX, NULL);
	if (tls.all.p)
		explicit_bzero(tls.all.p, tls.all.n);
	buf_done(&tls.all);
	return r;
}

/* MHD wants no connection suspended when it stops; what waits for the daemon gets no answer any more. */
static void wake_suspended(struct server *s)
{
	list_for_each(it, &s->links) {
		struct link *l = container_of(it, struct link, link);

		if (l->call && l->call->suspended && !l->call->status)
			call_fail(l->call, MHD_HTTP_SERVICE_UNAVAILABLE, "egretd is ending");
		if (!l->call)
			continue;
		l->call->cut = !l->call->over;
		call_wake(l->call);
	}
}

static void shut_down(struct server *s)
{
	hubs_free(&s->hubs);
	wake_suspended(s);
	if (s->tcp.mhd)
		MHD_stop_daemon(s->tcp.mhd);
	if (s->local.mhd)
		MHD_stop_daemon(s->local.mhd);
	loop_free(s->loop);
	buf_done(&s->openapi);
	close(s->wake_fd);
	free(s);
}

int web_main(void)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	log_set_name("egretd --web");
	close_range(WEB_FD_END, ~0U, 0);
	/* before other descriptors take their numbers */
	for (int fd = WEB_FD_CHANNEL; s && fd < WEB_FD_END; fd++)
		s->given[fd] = fcntl(fd, F_GETFD) >= 0;
	if (!s || !s->given[WEB_FD_CHANNEL]) {
		log_error("this is started by egretd itself");
		free(s);
		return EXIT_FAILURE;
	}
	signal(SIGPIPE, SIG_IGN);
	s->channel = WEB_FD_CHANNEL;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->openapi = BUF_INIT(OPENAPI_MAX);
	s->limit.seed = hash_random_seed();
	list_init(&s->links);
	list_init(&s->queue);
	hubs_init(&s->hubs);
	r = s->wake_fd < 0 ? log_errno(errno, "cannot start") : cage_enter();
	if (r >= 0)
		r = set_up(s);
	if (r >= 0)
		r = cage_lock();
	if (r >= 0)
		r = loop_run(s->loop);
	shut_down(s);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
