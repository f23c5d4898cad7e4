/* SPDX-License-Identifier: Apache-2.0 */
/* From a request that is fine in form to the daemon, and from its answer lines to one answer in the form of the route. */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/time.h"
#include "web/server.h"
#include "web/upstream.h"

#define LIVE_FOR_S 600 /* then a live view asks anew, and whoever has lost his right is out */
#define SESSION_FOR_S (12 * 3600U)
#define REQUEST_MAX 8100
#define FLOWING_MAX (256U << 10) /* of lines that the client has not taken; then the daemon waits */

/* ---- who asks ---- */

/* The name of a client certificate that our CA signed; false: none. */
static bool certificate_name(const struct call *c, char *ret, size_t size)
{
	const union MHD_ConnectionInfo *info =
		c->place->client_ca
			? MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION)
			: NULL;
	const gnutls_datum_t *chain;
	gnutls_x509_crt_t cert;
	unsigned n = 0, wrong = 1;
	bool got;

	if (!info)
		return false;
	if (gnutls_certificate_verify_peers2(info->tls_session, &wrong) < 0 || wrong)
		return false;
	chain = gnutls_certificate_get_peers(info->tls_session, &n);
	if (!chain || !n || gnutls_x509_crt_init(&cert) < 0)
		return false;
	got = gnutls_x509_crt_import(cert, chain, GNUTLS_X509_FMT_DER) == 0 &&
	      gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, ret, &size) ==
		      0;
	gnutls_x509_crt_deinit(cert);
	for (char *p = ret; got && *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return got && ret[0];
}

/* {"ask":…, members, who}; `ask` without its braces. */
static void put_request(const struct call *c, const char *ask, struct buf *out)
{
	struct json j = { .out = out, .comma = true };
	char name[TOKEN_MAX];

	buf_printf(out, "{%s", ask);
	buf_put_str(out, buf_str(&c->members));
	if (c->token[0])
		json_text(&j, "token", c->token);
	if (certificate_name(c, name, sizeof(name)))
		json_text(&j, "certificate", name);
	buf_putc(out, '}');
}

/* ---- the answer ---- */

static void fail_as_told(struct call *c, struct str line)
{
	_cleanup_(json_decrefp) json_t *j = json_loadb(line.p, line.n, 0, NULL);
	const char *words = json_string_value(json_object_get(j, "error"));
	json_int_t code = json_integer_value(json_object_get(j, "code"));

	call_fail(c,
		  code == 401 || code == 403 || code == 501 ? (unsigned)code : MHD_HTTP_BAD_REQUEST,
		  words ? words : "the daemon did not say why not");
}

static void finish_text(struct call *c, struct str line)
{
	_cleanup_(json_decrefp) json_t *j = json_loadb(line.p, line.n, 0, NULL);
	const json_t *text = json_object_get(j, "text");

	if (!json_is_string(text)) {
		call_fail(c, MHD_HTTP_BAD_GATEWAY, "the daemon gave no text");
		return;
	}
	c->type = "text/plain; version=0.0.4; charset=utf-8";
	buf_put(&c->answer, json_string_value(text), json_string_length(text));
	call_done(c, MHD_HTTP_OK);
}

/* The lines of a list become one object; what the end line says stands beside the rows. */
static void take_row(struct call *c, struct str line)
{
	static const struct str end = { "{\"end\":true", 11 }, lost = { "{\"lost\":", 8 },
				count = { ",\"rows\":", 8 };
	struct str rest;
	uint64_t n;

	if (str_has_prefix(line, lost) &&
	    str_parse_u64(str_sub(line, lost.n, line.n - lost.n - 1), &n) == 0) {
		c->lost += n;
		return;
	}
	if (!c->answer.n)
		buf_puts(&c->answer, "{\"rows\":[");
	if (!str_has_prefix(line, end)) {
		buf_puts(&c->answer, c->rows++ ? ",\n" : "\n");
		buf_put_str(&c->answer, line);
		return;
	}
	buf_puts(&c->answer, "]");
	if (c->lost)
		buf_printf(&c->answer, ",\"lost\":%llu", (unsigned long long)c->lost);
	rest = str_sub(line, end.n, line.n);
	/* "rows" are the rows themselves here; how many there are in all is "matched", as everywhere */
	if (str_has_prefix(rest, count)) {
		buf_puts(&c->answer, ",\"matched\":");
		rest = str_sub(rest, count.n, rest.n);
	}
	buf_put_str(&c->answer, rest);
	buf_putc(&c->answer, '\n');
	call_done(c, MHD_HTTP_OK);
}

/* Sent as it comes. An error is a status of its own as long as nothing was sent. */
static void pass_line(struct call *c, struct str line)
{
	buf_put_str(&c->answer, line);
	buf_putc(&c->answer, '\n');
	c->cut |= c->answer.failed;
	if (c->answer.n > FLOWING_MAX)
		upstream_hold(c->up);
	if (!c->flows) {
		c->flows = true;
		c->type = "application/x-ndjson";
		c->status = MHD_HTTP_OK;
	}
	call_wake(c);
}

static void on_line(void *ctx, struct str line)
{
	struct call *c = ctx;

	if (str_has_prefix(line, STR("{\"error\":")) && !c->flows) {
		fail_as_told(c, line);
	} else if (c->route->shape == WEB_LINES) {
		pass_line(c, line);
	} else if (c->route->shape == WEB_TEXT) {
		finish_text(c, line);
	} else if (c->route->shape == WEB_ROWS) {
		take_row(c, line);
	} else {
		buf_put_str(&c->answer, line);
		buf_putc(&c->answer, '\n');
		call_done(c, MHD_HTTP_OK);
	}
}

static void on_end(void *ctx)
{
	struct call *c = ctx;

	if (c->flows) {
		c->over = true;
		question_over(c);
		call_wake(c);
		return;
	}
	call_fail(c, MHD_HTTP_SERVICE_UNAVAILABLE, "egretd went away");
}

/* ---- what begins with the question who asks ---- */

static bool take_rights(struct call *c, struct str line, uint64_t *ret_until_s)
{
	_cleanup_(json_decrefp) json_t *j = json_loadb(line.p, line.n, 0, NULL);

	if (json_object_get(j, "error")) {
		fail_as_told(c, line);
		return false;
	}
	if (!json_is_true(json_object_get(j, "read"))) {
		call_fail(c, MHD_HTTP_UNAUTHORIZED,
			  "not allowed: this needs a token ('egret page'), or root or a member of "
			  "the "
			  "group egret on this machine");
		return false;
	}
	if (c->route->shape == WEB_LIVE && json_is_false(json_object_get(j, "live"))) {
		call_fail(c, MHD_HTTP_NOT_IMPLEMENTED,
			  "a console has nothing living: ask the machine, or the history");
		return false;
	}
	*ret_until_s = (uint64_t)json_integer_value(json_object_get(j, "until"));
	return true;
}

static void on_session_rights(void *ctx, struct str line)
{
	struct call *c = ctx;
	uint64_t now_s = time_now() / NSEC_PER_SEC, until_s = 0;
	const char *id;

	if (!take_rights(c, line, &until_s))
		return;
	until_s = MIN(until_s ? until_s : now_s + SESSION_FOR_S, now_s + SESSION_FOR_S);
	if (c->token[0]) {
		if (session_new(&c->place->server->sessions, c->token, until_s, &id) < 0) {
			call_fail(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "no random numbers to be had");
			return;
		}
		snprintf(c->cookie, sizeof(c->cookie),
			 "egret-live=%s; Path=" API_BASE
			 "/live; HttpOnly; SameSite=Strict; Max-Age=%llu%s",
			 id, (unsigned long long)(until_s - now_s),
			 c->place->check.tls ? "; Secure" : "");
	}
	buf_printf(&c->answer, "{\"until\":%llu}\n", (unsigned long long)until_s);
	call_done(c, MHD_HTTP_OK);
}

static int client_socket(const struct call *c)
{
	return MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void on_live_rights(void *ctx, struct str line)
{
	_cleanup_buf_ struct buf request = BUF_INIT(REQUEST_MAX), key = BUF_INIT(REQUEST_MAX);
	uint64_t now_s = time_now() / NSEC_PER_SEC, until_s = 0;
	struct call *c = ctx;
	struct server *s = c->place->server;
	int r;

	if (!take_rights(c, line, &until_s))
		return;
	put_request(c, c->route->ask, &request);
	buf_puts(&key, c->route->ask);
	buf_put_str(&key, buf_str(&c->members));
	c->stream = (struct hub_stream){
		.wake = call_wake,
		.ctx = c,
		.until_s = MIN(until_s ? until_s : UINT64_MAX, now_s + LIVE_FOR_S),
	};
	r = hub_join(&s->hubs,
		     &(struct hub_question){ .loop = s->loop,
					     .channel = s->channel,
					     .asker_fd = client_socket(c),
					     .key = buf_str(&key),
					     .request = buf_str(&request),
					     .is_top = strstr(c->route->ask, "\"top\"") },
		     &c->stream);
	if (r == -EBUSY) {
		call_fail(c, MHD_HTTP_SERVICE_UNAVAILABLE,
			  "8 different live views are open already");
	} else if (r < 0) {
		call_fail(c, MHD_HTTP_SERVICE_UNAVAILABLE, "egretd does not answer");
	} else {
		c->live = true;
		call_done(c, MHD_HTTP_OK);
	}
}

/* ---- asking ---- */

/* The file that goes along, as a memory file that the daemon can map and nobody can change. -1: none; -errno. */
static int pack_file(const struct call *c)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!c->file.n)
		return -1;
	fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = file_write_all(fd, buf_str(&c->file));
	return r < 0 ? r : TAKE_FD(fd);
}

/* Which of the three a call is about to ask. */
static const char *first_ask(const struct call *c)
{
	return c->route->shape == WEB_LIVE || c->route->shape == WEB_LOCAL ? "\"ask\":\"rights\""
									   : c->route->ask;
}

static void on_first_line(void *ctx, struct str line)
{
	struct call *c = ctx;

	if (c->route->shape == WEB_LIVE)
		on_live_rights(c, line);
	else if (c->route->shape == WEB_LOCAL)
		on_session_rights(c, line);
	else
		on_line(c, line);
}

static void send_question(struct call *c)
{
	_cleanup_buf_ struct buf request = BUF_INIT(REQUEST_MAX);
	struct server *s = c->place->server;
	_cleanup_close_ int file = pack_file(c);
	int r;

	put_request(c, first_ask(c), &request);
	if (request.failed || file < -1) {
		call_fail(c, MHD_HTTP_BAD_REQUEST, "so long a request cannot be passed on");
		return;
	}
	r = upstream_new(&c->up, s->loop, s->channel, client_socket(c), buf_str(&request), file,
			 (struct upstream_out){ on_first_line, on_end, c });
	if (r < 0)
		call_fail(c, MHD_HTTP_SERVICE_UNAVAILABLE, "egretd does not answer");
	else
		s->n_calls++;
	if (r == 0 && c->route->shape == WEB_LINES)
		upstream_ask_no_more(c->up);
}

void question_next(struct server *s)
{
	while (!list_empty(&s->queue) && s->n_calls < CALLS_MAX) {
		struct call *c = container_of(s->queue.next, struct call, queue);

		list_del(&c->queue);
		c->queued = false;
		send_question(c);
	}
}

void question_over(struct call *c)
{
	struct server *s = c->place->server;

	if (c->queued)
		list_del(&c->queue);
	c->queued = false;
	if (c->up) {
		s->n_calls--;
		if (!list_empty(&s->queue))
			eventfd_write(s->wake_fd,
				      1); /* question_next(), but not in the middle of this */
	}
	c->up = upstream_free(c->up);
}

void question_ask(struct call *c)
{
	struct server *s = c->place->server;

	if (c->route->shape == WEB_LOCAL && c->route->method[0] == 'G') {
		buf_put_str(&c->answer, buf_str(&s->openapi));
		call_done(c, MHD_HTTP_OK);
		return;
	}
	list_push_back(&s->queue, &c->queue);
	c->queued = true;
	question_next(s);
}
