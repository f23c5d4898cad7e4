/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1 heads. A request is kept until its response comes, so that one record tells both; requests answer in order
 * (RFC 9112 9.3). What follows a head in the same packet is another head (pipelining) or a body, which is passed over:
 * the next head is looked for where the next packet begins.
 */
#include <errno.h>

#include "base/time.h"
#include "flow/table.h"

#define RESPONSE_WAIT_NS \
	(10 * NSEC_PER_SEC) /* past it a new request does not wait behind an old one */

/* With the empty line; all of it when that is not there. */
static size_t head_length(struct str s)
{
	const char *p = s.p, *end = s.p + s.n;

	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		p++;
		if (p < end && *p == '\r')
			p++;
		if (p < end && *p == '\n')
			return (size_t)(p + 1 - s.p);
	}
	return s.n;
}

static void emit(struct flow_table *t, struct flow *f, uint64_t time_ns,
		 const struct record_http *http)
{
	struct record r = { .type = RECORD_HTTP, .time_ns = time_ns, .flow = f, .http = http };

	record_emit(t, &r);
}

/* The oldest waiting request; its texts point into the stream's `heads` and lie there until http_pop(). */
static void first_pending(const struct flow_stream *s, struct http_request *ret)
{
	const struct http_pending *p = &s->pending[0];
	struct str all = buf_str(&s->heads);
	size_t at = 0;

	*ret = (struct http_request){ .minor = p->minor, .complete = p->complete };
	ret->method = str_sub(all, at, p->n_method);
	at += p->n_method;
	ret->url = str_sub(all, at, p->n_url);
	at += p->n_url;
	ret->host = str_sub(all, at, p->n_host);
	at += p->n_host;
	ret->user_agent = str_sub(all, at, p->n_user_agent);
}

static void pop(struct flow_stream *s)
{
	const struct http_pending *p = &s->pending[0];

	buf_drop_front(&s->heads, (size_t)p->n_method + p->n_url + p->n_host + p->n_user_agent);
	s->n_pending--;
	memmove(s->pending, s->pending + 1, s->n_pending * sizeof(s->pending[0]));
}

static void emit_first(struct flow_table *t, struct flow *f, const struct http_response *response)
{
	struct record_http h = { .response = response };

	first_pending(f->stream, &h.request);
	emit(t, f, f->stream->pending[0].time_ns, &h);
	pop(f->stream);
}

void http_flush(struct flow_table *t, struct flow *f)
{
	while (f->stream && f->stream->n_pending)
		emit_first(t, f, NULL);
}

static bool keep(struct flow_table *t, struct flow *f, const struct http_request *q)
{
	struct flow_stream *s = stream_get(t, f);
	size_t n = q->method.n + q->url.n + q->host.n + q->user_agent.n;
	size_t before;

	if (!s)
		return false;
	while (s->n_pending && (s->n_pending == HTTP_PENDING || s->heads.n + n > s->heads.max ||
				t->now_ns - s->pending[0].time_ns > RESPONSE_WAIT_NS))
		emit_first(t, f, NULL);
	before = s->heads.n;
	buf_put_str(&s->heads, q->method);
	buf_put_str(&s->heads, q->url);
	buf_put_str(&s->heads, q->host);
	buf_put_str(&s->heads, q->user_agent);
	if (s->heads.failed) {
		http_flush(t, f);
		buf_clear(&s->heads);
		return false;
	}
	if (s->heads.n != before + n)
		return false;
	s->pending[s->n_pending++] = (struct http_pending){
		.time_ns = t->now_ns,
		.n_method = (uint32_t)q->method.n,
		.n_url = (uint32_t)q->url.n,
		.n_host = (uint32_t)q->host.n,
		.n_user_agent = (uint32_t)q->user_agent.n,
		.minor = q->minor,
		.complete = q->complete,
	};
	return true;
}

static void request_known(struct flow_table *t, struct flow *f, const struct http_request *q)
{
	bool connect = str_eq(q->method, STR("CONNECT"));
	struct record_http h = { .request = *q };

	facts_name(t, f, http_host_name(connect && !q->host.n ? q->url : q->host), NAME_HTTP);
	if (!keep(t, f, q))
		emit(t, f, t->now_ns, &h);
	if (connect && f->stream)
		f->stream->tunnel = true;
}

/* The client's bytes; gives how many are done with. */
size_t http_client(struct flow_table *t, struct flow *f, struct str head, bool more)
{
	size_t at = 0;

	while (at < head.n) {
		struct str rest = str_sub(head, at, SIZE_MAX);
		struct http_request q;
		int r;

		if (f->stream && f->stream->tunnel && !http_is_request(rest)) {
			f->look_phase = LOOK_TLS;
			return at;
		}
		if (!http_is_request(rest))
			return head.n;
		r = http_request_parse(rest, &q);
		if (r == -EAGAIN && more)
			return at;
		if (r == -EBADMSG)
			return head.n;
		request_known(t, f, &q);
		at += head_length(rest);
	}
	return at;
}

/* Emits the response with its request; gives whether a body of has_length may follow. */
static bool response_known(struct flow_table *t, struct flow *f,
			   const struct http_response *response)
{
	struct record_http h = { .response = response };
	bool body = response->status != 204 && response->status != 304;
	struct http_request q;

	if (!f->stream || !f->stream->n_pending) {
		emit(t, f, t->now_ns, &h);
		return body;
	}
	first_pending(f->stream, &q);
	if (str_eq(q.method, STR("HEAD")))
		body = false;
	if (str_eq(q.method, STR("CONNECT"))) {
		body = response->status >= 300;
		f->stream->tunnel = !body;
	}
	emit_first(t, f, response);
	return body;
}

/* The server's bytes; gives how many are done with. */
size_t http_server(struct flow_table *t, struct flow *f, struct str head, bool more)
{
	size_t at = 0;

	while (at < head.n) {
		struct str rest = str_sub(head, at, SIZE_MAX);
		struct http_response response;
		size_t n;
		int r;

		if (!http_is_response(rest))
			return head.n;
		r = http_response_parse(rest, &response);
		if (r == -EAGAIN && more)
			return at;
		if (r == -EBADMSG)
			return head.n;
		n = head_length(rest);
		at += n;
		/* "100 Continue" and the like announce the response that follows. */
		if (response.status / 100 == 1 && response.status != 101)
			continue;
		if (response_known(t, f, &response)) {
			if (!response.has_length || response.length > head.n - at)
				return head.n;
			at += response.length;
		}
	}
	return at;
}
