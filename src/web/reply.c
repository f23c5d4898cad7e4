/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out: the same strict headers on everything, gzip where it pays. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "web/page_assets.h"
#include "web/server.h"
#include "web/upstream.h"

#define GZIP_FROM (4U << 10)
#define GZIP_UP_TO (1U << 20) /* more would hold up everybody else */
#define STREAM_BLOCK 4096
#define LINES_BLOCK (32U << 10)
#define LINES_LOW (64U << 10) /* less waits: the daemon may go on */

static const char no_page[] = "egretd has an API here (" API_BASE
			      "/openapi.json), but no page: it was built without Node.\n";

static const struct {
	const char *name, *value;
} headers[] = {
	{ "Content-Security-Policy",
	  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
	  "'self' data:; "
	  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "Referrer-Policy", "no-referrer" },
	{ "X-Frame-Options", "DENY" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
};

static enum MHD_Result queue(struct call *c, unsigned status, struct MHD_Response *r)
{
	enum MHD_Result got;

	if (!r)
		return MHD_NO;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		MHD_add_response_header(r, headers[i].name, headers[i].value);
	if (status == MHD_HTTP_TOO_MANY_REQUESTS)
		MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "2");
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	got = MHD_queue_response(c->mhd, status, r);
	MHD_destroy_response(r);
	return got;
}

/* ---- a finished answer ---- */

static bool takes_gzip(const struct call *c)
{
	const char *accepts = call_header(c, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	const char *at = accepts ? strstr(accepts, "gzip") : NULL;

	return at && strncmp(at + 4, ";q=0,", 5) && strcmp(at + 4, ";q=0");
}

static bool compress_answer(struct buf *b)
{
	_cleanup_buf_ struct buf out = BUF_INIT(GZIP_UP_TO + 4096);
	z_stream z = { .next_in = (unsigned char *)b->p, .avail_in = (unsigned)b->n };
	bool done = false;

	if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	z.next_out = (unsigned char *)buf_reserve(&out, deflateBound(&z, b->n));
	if (z.next_out) {
		z.avail_out = (unsigned)(out.cap - 1);
		done = deflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out < b->n;
		out.n = z.total_out;
	}
	deflateEnd(&z);
	if (!done)
		return false;
	buf_done(b);
	*b = out;
	out = BUF_INIT(0);
	return true;
}

static enum MHD_Result send_answer(struct call *c)
{
	bool zipped = c->answer.n >= GZIP_FROM && c->answer.n <= GZIP_UP_TO && takes_gzip(c) &&
		      compress_answer(&c->answer);
	struct MHD_Response *r =
		MHD_create_response_from_buffer(c->answer.n, c->answer.p, MHD_RESPMEM_MUST_FREE);

	if (!r)
		return MHD_NO;
	c->answer = BUF_INIT(0); /* it is the response's now */
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, c->type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
	if (zipped)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	if (c->cookie[0])
		MHD_add_response_header(r, MHD_HTTP_HEADER_SET_COOKIE, c->cookie);
	link_set(c->conn, LINK_SENDING);
	return queue(c, c->status, r);
}

/* ---- a live view ---- */

static ssize_t read_stream(void *ctx, uint64_t at, char *to, size_t max)
{
	struct call *c = ctx;
	long n = hub_read(&c->stream, to, max);

	if (n < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		c->suspended = true;
		MHD_suspend_connection(c->mhd);
	}
	return n;
}

/* MHD itself does not look at a connection that waits. */
static void on_hang_up(void *ctx, int fd, uint32_t events)
{
	struct call *c = ctx;

	loop_remove(c->hang_up);
	c->hang_up = NULL;
	hub_leave(&c->place->server->hubs, &c->stream);
	c->stream.waiting = false;
	c->cut = true;
	call_wake(c);
}

static void watch_hang_up(struct call *c)
{
	int fd = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

	if (loop_add_io(c->place->server->loop, fd, EPOLLRDHUP, on_hang_up, c, &c->hang_up) < 0)
		c->hang_up = NULL; /* found later, when something is to be sent */
}

static enum MHD_Result send_stream(struct call *c)
{
	struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
								   read_stream, c, NULL);

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	watch_hang_up(c);
	link_set(c->conn, LINK_LIVE);
	return queue(c, MHD_HTTP_OK, r);
}

/* ---- lines as they come ---- */

static ssize_t read_lines(void *ctx, uint64_t at, char *to, size_t max)
{
	struct call *c = ctx;
	size_t n = MIN(max, c->answer.n);

	if (c->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!n && c->over)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!n) {
		c->suspended = true;
		MHD_suspend_connection(c->mhd);
		return 0;
	}
	memcpy(to, c->answer.p, n);
	buf_drop_front(&c->answer, n);
	if (c->up && c->answer.n < LINES_LOW)
		upstream_let_go(c->up);
	return (ssize_t)n;
}

static enum MHD_Result send_lines(struct call *c)
{
	struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, LINES_BLOCK,
								   read_lines, c, NULL);

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, c->type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	watch_hang_up(c);
	link_set(c->conn, LINK_SENDING);
	return queue(c, c->status, r);
}

enum MHD_Result reply_send(struct call *c)
{
	if (c->flows)
		return send_lines(c);
	return c->live ? send_stream(c) : send_answer(c);
}

/* ---- the page ---- */

static const struct page_asset *find_asset(struct str path)
{
	if (str_eq(path, STR("/")))
		path = STR("/index.html");
	for (size_t i = 0; i < page_assets_n; i++)
		if (str_eq(path, str_of(page_assets[i].path)))
			return &page_assets[i];
	return NULL;
}

/* The file as it is kept, unpacked for the rare client that does not take gzip. */
static struct MHD_Response *asset_response(const struct call *c, const struct page_asset *a)
{
	struct buf plain = BUF_INIT(8U << 20);
	z_stream z = { .next_in = (unsigned char *)a->gz, .avail_in = (unsigned)a->n };
	int r = Z_OK;

	if (takes_gzip(c))
		return MHD_create_response_from_buffer(a->n, (void *)a->gz, MHD_RESPMEM_PERSISTENT);
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return NULL;
	while (r == Z_OK) {
		z.next_out = (unsigned char *)buf_reserve(&plain, 65536);
		z.avail_out = 65536;
		if (!z.next_out)
			break;
		r = inflate(&z, Z_NO_FLUSH);
		plain.n = z.total_out;
	}
	inflateEnd(&z);
	if (r == Z_STREAM_END)
		return MHD_create_response_from_buffer(plain.n, plain.p, MHD_RESPMEM_MUST_FREE);
	buf_done(&plain);
	return NULL;
}

enum MHD_Result reply_page(struct call *c)
{
	const struct page_asset *a = find_asset(c->path);
	const char *known = call_header(c, MHD_HTTP_HEADER_IF_NONE_MATCH);
	bool same = a && known && strstr(known, a->etag);
	struct MHD_Response *r;

	if (!a && !page_assets_n && str_eq(c->path, STR("/"))) {
		c->type = "text/plain; charset=utf-8";
		c->status = MHD_HTTP_OK;
		buf_puts(&c->answer, no_page);
		return send_answer(c);
	}
	if (!a) {
		call_fail(c, MHD_HTTP_NOT_FOUND, "no such page");
		return send_answer(c);
	}
	r = same ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
		 : asset_response(c, a);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_ETAG, a->etag);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL,
				"no-cache"); /* ask whether it is the same */
	MHD_add_response_header(r, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
	if (!same)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
	if (!same && takes_gzip(c))
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	link_set(c->conn, LINK_SENDING);
	return queue(c, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, r);
}
