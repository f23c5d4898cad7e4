/* SPDX-License-Identifier: Apache-2.0 */
#include "collector/receive.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"
#include "collector/hand_on.h"
#include "collector/intake.h"
#include "collector/peer.h"
#include "serve/page.h"
#include "serve/page_listen.h"
#include "store/ship.h"

#define CONNECTIONS_MAX 8192
#define FILES_OF_OTHERS 64
#define CONNECTION_MEMORY (32U << 10)
#define STRANGER_S 15 /* without a byte */
#define AGENT_S \
	300 /* the same, once it is known who it is: an agent with nothing to tell keeps its connection */
#define REQUEST_NS (120 * NSEC_PER_SEC)
#define BODIES_MAX (256ULL << 20)
#define COMMIT_NS (50 * NSEC_PER_MSEC)
#define VERSION "18.16.0\t0\n" /* what all senders accept: as what it speaks */
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define REPLY_MAX 512

struct receive {
	struct intake *intake;
	const char *fleet; /* folder of what the collector's own sender fetched */
	struct loop_source *epoll, *wake, *timer;
	struct MHD_Daemon *mhd;
	int wake_fd, listen_fd;
	struct list links;
	uint64_t bodies; /* bytes that are announced and not done with */
	struct receive_stats stats;
};

/* A connection. */
struct link {
	struct list link;
	struct receive *r;
	struct peer *peer;
	int fd;
	struct call *call;
};

/* A request. */
struct call {
	struct link *link;
	struct MHD_Connection *mhd;
	struct buf body;
	uint64_t since_ns, reserved;
	bool begun, suspended;
	struct spool_tag tag; /* waits for the commit */
	unsigned status;      /* 0: no answer yet */
	char text[REPLY_MAX];
	struct hand_on part; /* is answered with in its place, where it has a size */
};

/* ---- answers ---- */

static enum MHD_Result reply(struct call *c)
{
	struct MHD_Response *r =
		c->part.size ? MHD_create_response_from_fd_at_offset64(
				       c->part.size, TAKE_FD(c->part.fd), c->part.offset)
			     : MHD_create_response_from_buffer(strlen(c->text), c->text,
							       MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ok = MHD_NO;

	if (r && MHD_add_response_header(r, SHIP_COLLECTOR_HEADER, EGRET_VERSION) == MHD_YES)
		ok = MHD_queue_response(c->mhd, c->status, r);
	if (r)
		MHD_destroy_response(r);
	return ok;
}

static void refuse(struct call *c, unsigned status, const char *words)
{
	struct receive_stats *st = &c->link->r->stats;

	c->status = status;
	snprintf(c->text, sizeof(c->text), SHIP_COLLECTOR_SAYS "%s\n", words);
	snprintf(st->refused, sizeof(st->refused), "%s", words);
	st->refused_ns = time_now();
}

static void answer_ok(struct call *c, const char *text)
{
	c->status = MHD_HTTP_OK;
	snprintf(c->text, sizeof(c->text), "%s", text);
}

/* ---- requests ---- */

static struct str header(const struct call *c, const char *name)
{
	return str_of(MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name));
}

static struct str query(const struct call *c)
{
	return str_of(MHD_lookup_connection_value(c->mhd, MHD_GET_ARGUMENT_KIND, "query"));
}

static bool is_known(struct call *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	const char *why = "no TLS";

	if (!c->link->peer && info)
		c->link->peer = peer_new(info->tls_session, &why);
	if (c->link->peer) {
		MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, AGENT_S);
		return true;
	}
	c->link->r->stats.strangers++;
	refuse(c, MHD_HTTP_FORBIDDEN, why);
	return false;
}

/* What the head alone says. True: it is answered. */
static bool begin(struct call *c, const char *method)
{
	struct receive *r = c->link->r;
	uint64_t size = 0;

	if (!is_known(c))
		return true;
	if (strcmp(method, MHD_HTTP_METHOD_POST))
		refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED,
		       "it takes batches by POST, and nothing else");
	else if (str_parse_u64(header(c, MHD_HTTP_HEADER_CONTENT_LENGTH), &size) < 0)
		refuse(c, MHD_HTTP_LENGTH_REQUIRED, "the length of the batch is to be said");
	else if (size > INTAKE_PACKED_MAX)
		refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, "the batch is too large");
	else if (r->bodies + size > BODIES_MAX)
		refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "too many batches at once");
	if (c->status)
		return true;
	c->reserved = size;
	c->body = BUF_INIT(size + 1);
	r->bodies += size;
	return false;
}

/* The whole request is there. */
static void act(struct call *c)
{
	struct intake_batch b = { .statement = query(c),
				  .body = buf_str(&c->body),
				  .spool = header(c, SHIP_SPOOL_HEADER),
				  .name = header(c, SHIP_BATCH_HEADER),
				  .may = peer_may,
				  .ctx = c->link->peer };
	char why[INTAKE_WHY_MAX] = "";
	unsigned status;

	if (str_eq(b.statement, STR(SHIP_HELLO))) {
		answer_ok(c, VERSION);
		return;
	}
	if (hand_on(c->link->r->fleet, b.statement.n ? b.statement : b.body, &c->part)) {
		answer_ok(c, "");
		return;
	}
	if (!str_has_prefix(b.statement, STR("INSERT "))) {
		refuse(c, MHD_HTTP_NOT_FOUND, "it answers no questions: ask ClickHouse");
		return;
	}
	status = intake_put(c->link->r->intake, &b, &c->tag, why);
	if (status)
		refuse(c, status, why);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **keep)
{
	struct call *c = *keep;

	if (!c)
		return MHD_NO;
	if (!c->begun) {
		c->begun = true;
		return begin(c, method) ? reply(c) : MHD_YES;
	}
	if (*size) {
		buf_put(&c->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (!c->status && !c->suspended) {
		act(c);
		buf_done(&c->body);
		c->suspended = !c->status;
		if (c->suspended) {
			MHD_suspend_connection(mhd);
			return MHD_YES;
		}
	}
	return c->status ? reply(c) : MHD_YES;
}

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct link *l = info ? info->socket_context : NULL;
	struct call *c = l ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	c->link = l;
	c->mhd = mhd;
	c->since_ns = time_now_boot();
	l->call = c;
	return c;
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **keep,
			 enum MHD_RequestTerminationCode why)
{
	struct call *c = *keep;

	if (!c)
		return;
	c->link->r->bodies -= c->reserved;
	c->link->call = NULL;
	buf_done(&c->body);
	free(c);
	*keep = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **keep,
			  enum MHD_ConnectionNotificationCode what)
{
	struct receive *r = ctx;
	struct link *l = *keep;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (l) {
			list_del(&l->link);
			peer_free(l->peer);
			r->stats.connections--;
		}
		free(l);
		*keep = NULL;
		return;
	}
	l = calloc(1, sizeof(*l));
	*keep = l;
	if (!l)
		return; /* its requests are refused */
	l->r = r;
	l->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	list_push_back(&r->links, &l->link);
	r->stats.connections++;
}

/* ---- the loop ---- */

static void run(struct receive *r)
{
	MHD_UNSIGNED_LONG_LONG wait = 1;

	MHD_run(r->mhd);
	/* 0: it has more to do already; after everybody else had a turn */
	if (MHD_get_timeout(r->mhd, &wait) == MHD_YES && wait == 0)
		eventfd_write(r->wake_fd, 1);
}

static void on_ready(void *ctx, int fd, uint32_t events)
{
	run(ctx);
}

static void on_wake(void *ctx, int fd, uint32_t events)
{
	eventfd_t n;

	if (eventfd_read(fd, &n) == 0)
		run(ctx);
}

/* What could not be synced may be on disk all the same: an agent keeps to this collector then (500 and not 503). */
static void commit(struct receive *r)
{
	int e = intake_commit(r->intake);
	bool any = false;

	list_for_each(it, &r->links) {
		struct call *c = container_of(it, struct link, link)->call;
		char why[INTAKE_WHY_MAX];

		if (!c || !c->suspended || c->status)
			continue;
		if (intake_has(r->intake, &c->tag)) {
			answer_ok(c, "");
		} else {
			snprintf(why, sizeof(why), "its spool cannot be written: %s",
				 strerror(e < 0 ? -e : EIO));
			refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, why);
		}
		MHD_resume_connection(c->mhd);
		any = true;
	}
	if (any)
		eventfd_write(r->wake_fd, 1);
}

static void on_timer(void *ctx)
{
	struct receive *r = ctx;
	uint64_t now = time_now_boot();

	commit(r);
	list_for_each(it, &r->links) {
		struct link *l = container_of(it, struct link, link);

		if (l->call && now - l->call->since_ns > REQUEST_NS)
			shutdown(l->fd, SHUT_RDWR);
	}
	run(r);
}

/* ---- setting up ---- */

static void on_message(void *ctx, const char *fmt, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = 0;
	log_debug("http: %s", text);
}

static unsigned connections_max(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return FILES_OF_OTHERS;
	l.rlim_cur = MIN(l.rlim_max, (rlim_t)CONNECTIONS_MAX + FILES_OF_OTHERS);
	if (setrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur <= 2 * FILES_OF_OTHERS)
		return FILES_OF_OTHERS;
	return (unsigned)l.rlim_cur - FILES_OF_OTHERS;
}

/* Certificate, key and CA, each with its NUL. */
static int read_tls(const struct page_settings *where, struct buf *ret)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	_cleanup_close_ int fd = page_tls_open(where, &messages);
	struct stat st;
	char *at;

	if (fd < 0) {
		log_error("%.*s", (int)strcspn(messages.p ?: "", "\n"), messages.p ?: "");
		return fd;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = BUF_INIT((size_t)st.st_size + 1);
	at = buf_reserve(ret, (size_t)st.st_size);
	if (!at || pread(fd, at, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	ret->n = (size_t)st.st_size;
	return 0;
}

static int start(struct receive *r, const struct page_settings *where)
{
	_cleanup_buf_ struct buf tls = { 0 };
	const char *cert, *key, *ca;
	int e = read_tls(where, &tls);

	if (e < 0)
		return e;
	cert = tls.p;
	key = cert + strlen(cert) + 1;
	ca = key + strlen(key) + 1;
	r->listen_fd = page_listen(where);
	if (r->listen_fd < 0)
		return log_errno(r->listen_fd, "cannot listen at port %u", where->port);
	r->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_TLS, 0, NULL,
		NULL, on_request, r, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
		MHD_OPTION_LISTEN_SOCKET, r->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		connections_max(), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)STRANGER_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_uri, r,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, r, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, r, MHD_OPTION_HTTPS_MEM_CERT, cert, MHD_OPTION_HTTPS_MEM_KEY, key,
		MHD_OPTION_HTTPS_MEM_TRUST, ca, MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES,
		MHD_OPTION_END);
	explicit_bzero(tls.p, tls.n);
	if (!r->mhd)
		return log_errno(EIO, "cannot serve HTTPS");
	return 0;
}

int receive_new(struct receive **ret, struct loop *loop, struct intake *intake, const char *fleet,
		const struct page_settings *where)
{
	struct receive *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return log_errno(ENOMEM, "cannot start");
	r->intake = intake;
	r->fleet = fleet;
	r->listen_fd = -1;
	list_init(&r->links);
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e = r->wake_fd < 0 ? log_errno(errno, "cannot start") : start(r, where);
	if (e >= 0)
		e = loop_add_io(loop,
				MHD_get_daemon_info(r->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
				EPOLLIN, on_ready, r, &r->epoll);
	if (e >= 0)
		e = loop_add_io(loop, r->wake_fd, EPOLLIN, on_wake, r, &r->wake);
	if (e >= 0)
		e = loop_add_timer(loop, COMMIT_NS, on_timer, r, &r->timer);
	if (e < 0) {
		receive_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

struct receive *receive_free(struct receive *r)
{
	if (!r)
		return NULL;
	loop_remove(r->timer);
	loop_remove(r->wake);
	loop_remove(r->epoll);
	if (r->mhd) {
		commit(r); /* MHD wants no connection suspended when it stops */
		MHD_run(r->mhd);
		MHD_stop_daemon(r->mhd);
	} else if (r->listen_fd >= 0) {
		close(r->listen_fd);
	}
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	free(r);
	return NULL;
}

void receive_stats(const struct receive *r, struct receive_stats *ret)
{
	*ret = r->stats;
}
