/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/page.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"
#include "serve/control.h"
#include "serve/page_listen.h"
#include "serve/request_page.h"
#include "serve/socket.h"
#include "serve/tokens.h"

#define MESSAGES_MAX 65536
#define BACK_OFF_MAX_S 60U
#define STEADY_NS (60 * NSEC_PER_SEC) /* who lived so long is started again at once */
#define LINK_FOR_S (12 * 3600U)
#define END_WAIT_MS 1000

struct page {
	struct page_config cfg;
	struct page_settings settings;
	struct control_socket api;
	int tcp_fd, tls_fd;
	char error[160]; /* what does not work; empty: nothing */
	struct loop_source *timer, *source;
	int channel; /* -1: no child, or it has hung up */
	pid_t pid;   /* 0: none */
	uint64_t started_ns, next_ns, starts;
	unsigned back_off_s;
};

/* ---- the child ---- */

static void place(int fd, int at)
{
	if (fd < 0)
		close(at);
	else
		dup2(fd, at); /* without close-on-exec */
}

static _Noreturn void child(const struct page *p, int channel, pid_t parent)
{
	const int given[] = { channel, p->tcp_fd, p->api.fd, p->tls_fd };
	char *argv[] = { (char[]){ "egretd" }, (char[]){ "--web" }, NULL };
	int away[ARRAY_SIZE(given)];
	sigset_t none;

	/* first out of the way of each other */
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		away[i] = given[i] < 0 ? -1 : fcntl(given[i], F_DUPFD_CLOEXEC, WEB_FD_END);
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		place(away[i], WEB_FD_CHANNEL + (int)i);
	close_range(WEB_FD_END, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() == parent)
		execv("/proc/self/exe", argv);
	_exit(EXIT_FAILURE);
}

static void hang_up(struct page *p)
{
	loop_remove(p->source);
	p->source = NULL;
	if (p->channel >= 0)
		close(TAKE_FD(p->channel));
}

/* The child's own end of a connection, and whom it is for. Whatever else came is closed. */
static void take_message(struct page *p, struct msghdr *m)
{
	int fds[2] = { -1, -1 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (i < 2 && fds[i] < 0)
				fds[i] = fd;
			else
				close(fd);
		}
	}
	if (fds[0] >= 0 && fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK) == 0)
		control_adopt(p->cfg.control, TAKE_FD(fds[0]), fds[1]);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void on_channel(void *ctx, int fd, uint32_t events)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} room;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &room,
			    .msg_controllen = sizeof(room) };
	struct page *p = ctx;
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n > 0)
		take_message(p, &m);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		hang_up(p); /* on_second() sees to the rest */
}

static int spawn(struct page *p)
{
	int ends[2];
	pid_t parent = getpid();
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	p->pid = fork();
	if (p->pid == 0)
		child(p, ends[1], parent);
	r = p->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r == 0) {
		p->channel = ends[0];
		r = loop_add_io(p->cfg.loop, p->channel, EPOLLIN, on_channel, p, &p->source);
	} else {
		close(ends[0]);
		p->pid = 0;
	}
	p->starts++;
	p->started_ns = time_now_boot();
	return r;
}

static void say_ended(const struct page *p, int status)
{
	if (WIFSIGNALED(status))
		log_warn("the page's process was ended by signal %d; it is started again in %u s",
			 WTERMSIG(status), p->back_off_s);
	else
		log_warn("the page's process ended with %d; it is started again in %u s",
			 WEXITSTATUS(status), p->back_off_s);
}

static void on_second(void *ctx)
{
	struct page *p = ctx;
	uint64_t now = time_now_boot();
	int status, r;

	if (p->pid && waitpid(p->pid, &status, WNOHANG) == p->pid) {
		p->pid = 0;
		hang_up(p);
		if (now - p->started_ns > STEADY_NS)
			p->back_off_s = 0;
		p->back_off_s = p->back_off_s ? MIN(2 * p->back_off_s, BACK_OFF_MAX_S) : 1;
		p->next_ns = now + p->back_off_s * NSEC_PER_SEC;
		say_ended(p, status);
	}
	if (p->pid || now < p->next_ns)
		return;
	r = spawn(p);
	if (r < 0) {
		p->next_ns = now + BACK_OFF_MAX_S * NSEC_PER_SEC;
		log_errno(r, "cannot start the page's process");
	}
}

/* It ends when the channel does; without CAP_KILL the daemon could not end that of another user. */
static void end_child(struct page *p)
{
	hang_up(p);
	for (unsigned ms = 0; p->pid && ms < END_WAIT_MS; ms += 5) {
		if (waitpid(p->pid, NULL, WNOHANG) != 0)
			p->pid = 0;
		else
			usleep(5000);
	}
}

/* ---- making and unmaking ---- */

static void put_address(const struct page_settings *s, bool for_people, char ret[320])
{
	char text[ADDR_TEXT_MAX], host[256] = "";

	addr_format(&s->addr, text);
	if (for_people && addr_is_unset(&s->addr) && gethostname(host, sizeof(host) - 1) == 0)
		snprintf(ret, 320, "%s:%u", host, s->port);
	else
		snprintf(ret, 320, addr_is_v4(&s->addr) ? "%s:%u" : "[%s]:%u", text, s->port);
}

static void open_tcp(struct page *p)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	const struct page_settings *s = &p->settings;
	char at[320];

	put_address(s, false, at);
	if (s->cert[0]) {
		p->tls_fd = page_tls_open(s, &messages);
		if (p->tls_fd < 0) {
			snprintf(p->error, sizeof(p->error), "TLS: %.*s",
				 (int)MIN(messages.n, (size_t)120),
				 messages.n ? messages.p : strerror(-p->tls_fd));
			p->error[strcspn(p->error, "\n")] = 0;
			log_error("no page at %s: %s", at, p->error);
			return;
		}
	}
	p->tcp_fd = page_listen(s);
	if (p->tcp_fd == -EADDRINUSE)
		snprintf(p->error, sizeof(p->error),
			 "another program listens at that address already");
	else if (p->tcp_fd < 0)
		snprintf(p->error, sizeof(p->error), "%s", strerror(-p->tcp_fd));
	if (p->tcp_fd < 0)
		log_error("no page at %s: %s; egretd goes on, `page` in egret.conf names another "
			  "place",
			  at, p->error);
}

struct page *page_free(struct page *p)
{
	if (!p)
		return NULL;
	end_child(p);
	loop_remove(p->timer);
	control_socket_close(&p->api);
	if (p->tcp_fd >= 0)
		close(p->tcp_fd);
	if (p->tls_fd >= 0)
		close(p->tls_fd);
	free(p);
	return NULL;
}

int page_new(struct page **ret, const struct page_config *cfg)
{
	struct page *p = calloc(1, sizeof(*p));
	char path[300];
	int r;

	if (!p)
		return log_errno(ENOMEM, "cannot serve the page");
	p->cfg = *cfg;
	p->settings = *cfg->settings;
	p->tcp_fd = p->tls_fd = p->channel = p->api.fd = -1;
	open_tcp(p);
	snprintf(path, sizeof(path), "%s/api.sock", cfg->run);
	r = control_socket_open(&p->api, path); /* logs why not */
	if (r < 0 && p->tcp_fd < 0) {
		page_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void page_start(struct page *p)
{
	char at[320];
	int r = loop_add_timer(p->cfg.loop, NSEC_PER_SEC, on_second, p, &p->timer);

	if (r < 0)
		log_errno(r, "cannot serve the page, ignoring");
	else
		on_second(p);
	if (p->tcp_fd < 0)
		return;
	put_address(&p->settings, true, at);
	log_info("the page: %s://%s/", p->tls_fd < 0 ? "http" : "https", at);
}

/* ---- what is asked about it ---- */

const char *page_problem(const struct page *p)
{
	return p->error[0] ? p->error : NULL;
}

void page_status(const struct page *p, struct json *j)
{
	char at[320];

	put_address(&p->settings, false, at);
	json_text(j, "address", at);
	json_bool(j, "listens", p->tcp_fd >= 0);
	json_bool(j, "tls", p->settings.cert[0] != 0);
	if (p->error[0])
		json_text(j, "error", p->error);
	if (p->api.fd >= 0)
		json_text(j, "socket", p->api.path);
	json_bool(j, "running", p->channel >= 0);
	json_u64(j, "starts", p->starts);
	json_u64(j, "pid", (uint64_t)p->pid);
	json_u64(j, "tokens", tokens_alive(p->cfg.tokens, p->cfg.now() / NSEC_PER_SEC));
}

static void answer_link(struct page *p, const struct page_request *q, struct json *j)
{
	uint64_t now_s = p->cfg.now() / NSEC_PER_SEC;
	uint64_t until_s = now_s + (q->seconds ? q->seconds : LINK_FOR_S);
	char token[TOKEN_TEXT_MAX], at[320], url[480];
	int r;

	if (p->tcp_fd < 0) {
		json_text(j, "error", p->error);
		return;
	}
	r = tokens_make(p->cfg.tokens, q->change, until_s, now_s, token);
	if (r < 0) {
		snprintf(url, sizeof(url), "the token cannot be written down: %s", strerror(-r));
		json_text(j, "error", url);
		return;
	}
	put_address(&p->settings, true, at);
	snprintf(url, sizeof(url), "%s://%s/#token=%s", p->tls_fd < 0 ? "http" : "https", at,
		 token);
	json_text(j, "url", url);
	json_text(j, "token", token);
	json_bool(j, "change", q->change);
	json_u64(j, "until", until_s);
	explicit_bzero(token, sizeof(token));
	explicit_bzero(url, sizeof(url));
}

void page_answer(struct page *p, const struct page_request *q, struct json *j)
{
	size_t n = 0;
	int r;

	if (q->verb == PAGE_DO_LINK) {
		answer_link(p, q, j);
		return;
	}
	r = tokens_revoke(p->cfg.tokens, &n);
	if (r < 0) {
		json_text(j, "error", strerror(-r));
		return;
	}
	control_drop_adopted(p->cfg.control);
	json_u64(j, "revoked", n);
}
