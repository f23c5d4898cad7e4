/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request from its head to its answer. Everything that can be refused is refused before its body is read and before
 * the daemon hears of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/time.h"
#include "web/ask.h"
#include "web/server.h"

#define ANSWER_MAX (32U << 20)
#define COOKIE "egret-live"

struct call *call_new(struct place *p, const char *uri)
{
	struct call *c = calloc(1, sizeof(*c));
	const char *mark;

	if (!c)
		return NULL;
	c->uri = strdup(uri);
	if (!c->uri) {
		free(c);
		return NULL;
	}
	c->place = p;
	mark = strchrnul(c->uri, '?');
	c->path = (struct str){ c->uri, (size_t)(mark - c->uri) };
	c->query = str_of(*mark ? mark + 1 : mark);
	c->body = BUF_INIT(ASK_BODY_MAX);
	c->members = BUF_INIT(ASK_MEMBERS_MAX);
	c->file = BUF_INIT(ASK_BODY_MAX + 256);
	c->answer = BUF_INIT(ANSWER_MAX);
	c->type = "application/json";
	return c;
}

struct call *call_free(struct call *c)
{
	struct server *s;

	if (!c)
		return NULL;
	s = c->place->server;
	if (c->conn)
		c->conn->call = NULL;
	question_over(c);
	loop_remove(c->hang_up);
	hub_leave(&s->hubs, &c->stream);
	buf_done(&c->body);
	buf_done(&c->members);
	buf_done(&c->file);
	buf_done(&c->answer);
	explicit_bzero(c->token, sizeof(c->token));
	free(c->uri);
	free(c);
	return NULL;
}

const char *call_header(const struct call *c, const char *name)
{
	return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name);
}

void call_wake(void *call)
{
	struct call *c = call;

	if (!c->suspended)
		return;
	c->suspended = false;
	MHD_resume_connection(c->mhd);
	eventfd_write(c->place->server->wake_fd, 1); /* MHD notices when it is run, no earlier */
}

void call_done(struct call *c, unsigned status)
{
	question_over(c);
	c->status = status;
	if (c->answer.failed) {
		buf_clear(&c->answer);
		c->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		buf_puts(&c->answer, "{\"error\":\"the answer is too large\"}");
	}
	call_wake(c);
}

void call_fail(struct call *c, unsigned status, const char *words)
{
	struct json j = JSON_INIT(&c->answer);

	buf_clear(&c->answer);
	json_object_begin(&j, NULL);
	json_text(&j, "error", words);
	json_object_end(&j);
	buf_putc(&c->answer, '\n');
	c->type = "application/json";
	c->live = false;
	/* who tries tokens soon has to wait */
	if (status == MHD_HTTP_UNAUTHORIZED || status == MHD_HTTP_FORBIDDEN)
		limit_take(&c->place->server->limit,
			   limit_key(&c->place->server->limit,
				     MHD_get_connection_info(c->mhd,
							     MHD_CONNECTION_INFO_CLIENT_ADDRESS)
					     ->client_addr),
			   LIMIT_WRONG, time_now_boot());
	call_done(c, status);
}

/* ---- what can be said by the head alone ---- */

/* A header that stands there twice is read by one as this and by another as that. */
struct count {
	const char *name;
	unsigned n;
};

static enum MHD_Result count_one(void *ctx, enum MHD_ValueKind kind, const char *key,
				 const char *value)
{
	struct count *c = ctx;

	c->n += str_eq_nocase(str_of(key), str_of(c->name));
	return MHD_YES;
}

static bool said_twice(const struct call *c, const char *name)
{
	struct count n = { name, 0 };

	MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, count_one, &n);
	return n.n > 1;
}

static const char *check_twice(const struct call *c)
{
	static const char *const once[] = { "Host",   "Origin",       "Authorization",
					    "Cookie", "Content-Type", "Content-Length" };

	for (size_t i = 0; i < ARRAY_SIZE(once); i++)
		if (said_twice(c, once[i]))
			return "a header stands there twice";
	return NULL;
}

static bool refused(struct call *c, unsigned status, const char *words)
{
	if (words)
		call_fail(c, status, words);
	return words;
}

static struct str header(const struct call *c, const char *name)
{
	return str_of(call_header(c, name));
}

/* The token of a request, or for a live view that of its session. */
static void find_token(struct call *c)
{
	struct str token = check_bearer(header(c, MHD_HTTP_HEADER_AUTHORIZATION));
	const char *of_session;

	if (!token.n && c->route->shape == WEB_LIVE) {
		of_session =
			session_token(&c->place->server->sessions,
				      check_cookie(header(c, MHD_HTTP_HEADER_COOKIE), STR(COOKIE)),
				      time_now() / NSEC_PER_SEC);
		token = str_of(of_session);
	}
	if (token.n < sizeof(c->token))
		snprintf(c->token, sizeof(c->token), "%.*s", STR_FMT(token));
}

static bool body_announced_too_large(const struct call *c)
{
	const char *n = call_header(c, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t size;

	return n && (str_parse_u64(str_of(n), &size) < 0 || size > ASK_BODY_MAX);
}

static bool is_change(const struct call *c)
{
	return c->route->method[0] == 'P';
}

static bool api_refused(struct call *c, const char *method)
{
	char error[ASK_ERROR_MAX];
	bool other;

	c->route = web_route_find(str_of(method), c->path, &other);
	if (!c->route) {
		call_fail(c, other ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND,
			  other ? "that path takes another method"
				: "no such path; " API_BASE "/openapi.json has all");
		return true;
	}
	if (refused(c, MHD_HTTP_FORBIDDEN,
		    check_site(&c->place->check, header(c, MHD_HTTP_HEADER_HOST),
			       header(c, MHD_HTTP_HEADER_ORIGIN), header(c, "Sec-Fetch-Site"))))
		return true;
	if (is_change(c) &&
	    refused(c, MHD_HTTP_FORBIDDEN,
		    check_change(header(c, MHD_HTTP_HEADER_CONTENT_TYPE), header(c, "X-Egret"))))
		return true;
	if (body_announced_too_large(c))
		return refused(c, MHD_HTTP_CONTENT_TOO_LARGE, "a body has at most 256 KiB");
	find_token(c);
	if (is_change(c))
		return refused(c, MHD_HTTP_BAD_REQUEST,
			       c->query.n ? "a change takes its parameters in the body" : NULL);
	return ask_from_query(c->route, c->query, &c->members, error) < 0 &&
	       refused(c, MHD_HTTP_BAD_REQUEST, error);
}

static bool is_api(const struct call *c)
{
	bool other;

	return str_has_prefix(c->path, STR("/api/")) || web_route_find(STR("GET"), c->path, &other);
}

/* True: it is answered already. */
static bool begin(struct call *c, const char *method)
{
	struct server *s = c->place->server;
	const struct sockaddr *from =
		MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;

	if (!limit_take(&s->limit, limit_key(&s->limit, from), 1, time_now_boot())) {
		call_fail(c, MHD_HTTP_TOO_MANY_REQUESTS, "too many requests; wait a little");
		return true;
	}
	if (refused(c, MHD_HTTP_BAD_REQUEST, check_twice(c)) ||
	    refused(c, MHD_HTTP_FORBIDDEN,
		    check_host(&c->place->check, header(c, MHD_HTTP_HEADER_HOST))))
		return true;
	if (is_api(c))
		return api_refused(c, method);
	return refused(c, MHD_HTTP_METHOD_NOT_ALLOWED,
		       strcmp(method, "GET") && strcmp(method, "HEAD") ? "only GET here" : NULL);
}

static void take_body(struct call *c, const char *data, size_t n)
{
	if (c->body.n + n > ASK_BODY_MAX)
		c->body_too_large =
			true; /* the rest is read and thrown away, as long as its time lasts */
	else
		buf_put(&c->body, data, n);
}

/* The whole request is there. */
static void ask(struct call *c)
{
	char error[ASK_ERROR_MAX];

	if (c->body_too_large)
		call_fail(c, MHD_HTTP_CONTENT_TOO_LARGE, "a body has at most 256 KiB");
	else if (is_change(c) &&
		 ask_from_body(c->route, buf_str(&c->body), &c->members, &c->file, error) < 0)
		call_fail(c, MHD_HTTP_BAD_REQUEST, error);
	else
		question_ask(c);
}

enum MHD_Result call_go_on(struct call *c, const char *method, const char *data, size_t *size)
{
	if (!c->begun) {
		c->begun = true;
		link_set(c->conn, LINK_BODY);
		return begin(c, method) ? reply_send(c) : MHD_YES;
	}
	if (*size) {
		take_body(c, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (!c->route)
		return reply_page(c);
	if (!c->asked) {
		c->asked = true;
		link_set(c->conn, LINK_WAITING);
		ask(c);
		if (!c->status) {
			c->suspended = true;
			MHD_suspend_connection(c->mhd);
			return MHD_YES;
		}
	}
	return c->status ? reply_send(c) : MHD_YES;
}
