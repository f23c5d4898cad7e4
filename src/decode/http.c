// SPDX-License-Identifier: Apache-2.0
/*
 * One pass over the head, line by line, remembering the few fields that records name. Only whole lines are read: a
 * value that goes on behind the captured bytes is not reported half.
 */
#include "decode/http.h"

#include <errno.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "decode/text_line.h"

#define HEAD_MAX 65536

/* IANA's HTTP Method Registry, and what UPnP, RPC over HTTP and caches add. */
static const char *const methods[] = {
	"GET",       "POST",        "HEAD",
	"PUT",       "DELETE",      "CONNECT",
	"OPTIONS",   "TRACE",       "PATCH",
	"PROPFIND",  "PROPPATCH",   "MKCOL",
	"COPY",      "MOVE",        "LOCK",
	"UNLOCK",    "REPORT",      "MKACTIVITY",
	"CHECKIN",   "CHECKOUT",    "UNCHECKOUT",
	"MERGE",     "SEARCH",      "NOTIFY",
	"SUBSCRIBE", "UNSUBSCRIBE", "M-SEARCH",
	"PURGE",     "LINK",        "UNLINK",
	"BIND",      "REBIND",      "UNBIND",
	"ACL",       "MKCALENDAR",  "LABEL",
	"UPDATE",    "ORDERPATCH",  "VERSION-CONTROL",
	"QUERY",     "RPC_IN_DATA", "RPC_OUT_DATA",
	"BCOPY",     "BDELETE",     "BMOVE",
	"BPROPFIND", "BPROPPATCH",  "POLL",
	"BITS_POST", "CCM_POST",
};

static bool is_method(struct str word)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (str_eq(word, str_of(methods[i])))
			return true;
	return false;
}

/* Could a method and a blank still come of these few bytes? */
static bool begins_method(struct str bytes)
{
	if (!bytes.n)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (str_has_prefix(str_of(methods[i]), bytes))
			return true;
	return false;
}

bool http_is_request(struct str bytes)
{
	const char *blank = bytes.n ? memchr(bytes.p, ' ', MIN(bytes.n, (size_t)24)) : NULL;

	return blank && is_method((struct str){ bytes.p, (size_t)(blank - bytes.p) });
}

bool http_is_response(struct str bytes)
{
	return str_has_prefix(bytes, STR("HTTP/1."));
}

/* "HTTP/1.x" with one digit: the digit, or -EBADMSG. */
static int read_minor(struct str version)
{
	if (version.n != 8 || !str_has_prefix(version, STR("HTTP/1.")) || version.p[7] < '0' ||
	    version.p[7] > '9')
		return -EBADMSG;
	return version.p[7] - '0';
}

/* A target may hold blanks when a client is careless: the version is what stands after the last one. */
static int read_request_line(struct str line, struct http_request *ret)
{
	const char *blank;
	int minor;

	if (!text_is_plain(line))
		return -EBADMSG;
	ret->method = text_word(&line);
	line = str_trim(line);
	if (!line.n)
		return -EBADMSG;
	blank = memrchr(line.p, ' ', line.n);
	if (!blank) { /* HTTP/0.9 has no version */
		if (line.p[0] != '/')
			return -EBADMSG;
		ret->url = line;
		ret->complete = true;
		return 0;
	}
	minor = read_minor(str_sub(line, (size_t)(blank + 1 - line.p), line.n));
	if (minor < 0)
		return minor;
	ret->minor = (uint8_t)minor;
	ret->url = str_trim((struct str){ line.p, (size_t)(blank - line.p) });
	return 0;
}

/* "Name: value"; false for lines without a name. */
static bool read_field(struct str line, struct str *ret_name, struct str *ret_value)
{
	const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;

	if (!colon || colon == line.p)
		return false;
	*ret_name = str_trim((struct str){ line.p, (size_t)(colon - line.p) });
	*ret_value = str_trim(str_sub(line, (size_t)(colon + 1 - line.p), line.n));
	return true;
}

/* "http://host/path" and the "host:port" of CONNECT name the host themselves, and win over Host (RFC 9112 3.2). */
static void host_from_url(struct http_request *r)
{
	struct str url = r->url;
	size_t n = 0;

	if (str_eq(r->method, STR("CONNECT"))) {
		r->host = url;
		return;
	}
	if (str_has_prefix_nocase(url, STR("http://")))
		url = str_sub(url, 7, url.n);
	else if (str_has_prefix_nocase(url, STR("https://")))
		url = str_sub(url, 8, url.n);
	else
		return;
	while (n < url.n && url.p[n] != '/' && url.p[n] != '?' && url.p[n] != '#')
		n++;
	if (n)
		r->host = str_sub(url, 0, n);
}

int http_request_parse(struct str bytes, struct http_request *ret)
{
	struct str rest = bytes, line, name, value, host = STR_NONE;
	int r;

	*ret = (struct http_request){ 0 };
	if (!http_is_request(bytes))
		return begins_method(bytes) ? -EAGAIN : -EBADMSG;
	if (!text_line(&rest, &line)) {
		if (bytes.n > HEAD_MAX || !text_is_plain(bytes))
			return -EBADMSG;
		ret->method = text_word(&bytes);
		return -EAGAIN;
	}
	r = read_request_line(line, ret);
	if (r < 0)
		return r;
	while (!ret->complete && text_line(&rest, &line)) {
		if (!line.n) {
			ret->complete = true;
		} else if (!read_field(line, &name, &value)) {
			continue;
		} else if (!host.n && str_eq_nocase(name, STR("host"))) {
			host = value;
		} else if (!ret->user_agent.n && str_eq_nocase(name, STR("user-agent"))) {
			ret->user_agent = value;
		}
	}
	host_from_url(ret);
	if (!ret->host.n)
		ret->host = host;
	if (ret->complete)
		return 0;
	return bytes.n > HEAD_MAX ? -EBADMSG : -EAGAIN;
}

static int read_status_line(struct str line, struct http_response *ret)
{
	int minor = read_minor(text_word(&line));
	struct str code = text_word(&line);
	uint64_t v;

	if (minor < 0 || code.n != 3 || str_parse_u64(code, &v) < 0 || v < 100)
		return -EBADMSG;
	ret->minor = (uint8_t)minor;
	ret->status = (uint16_t)v;
	return 0;
}

int http_response_parse(struct str bytes, struct http_response *ret)
{
	struct str rest = bytes, line, name, value;
	int r;

	*ret = (struct http_response){ 0 };
	if (!http_is_response(bytes))
		return !bytes.n || str_has_prefix(STR("HTTP/1."), bytes) ? -EAGAIN : -EBADMSG;
	if (!text_line(&rest, &line))
		return bytes.n > HEAD_MAX ? -EBADMSG : -EAGAIN;
	r = read_status_line(line, ret);
	if (r < 0)
		return r;
	while (text_line(&rest, &line)) {
		if (!line.n) {
			ret->complete = true;
			return 0;
		}
		if (!read_field(line, &name, &value))
			continue;
		if (!ret->has_length && str_eq_nocase(name, STR("content-length")))
			ret->has_length = str_parse_u64(value, &ret->length) == 0;
		else if (!ret->content_type.n && str_eq_nocase(name, STR("content-type")))
			ret->content_type = value;
	}
	return bytes.n > HEAD_MAX ? -EBADMSG : -EAGAIN;
}

struct str http_host_name(struct str host)
{
	const char *at;
	struct addr a;

	at = host.n ? memrchr(host.p, '@', host.n) : NULL; /* user information of a URL */
	if (at)
		host = str_sub(host, (size_t)(at + 1 - host.p), host.n);
	if (!host.n || host.p[0] == '[')
		return STR_NONE;
	at = memchr(host.p, ':', host.n);
	if (at && memchr(at + 1, ':', host.n - (size_t)(at + 1 - host.p)))
		return STR_NONE; /* an IPv6 address without its brackets */
	if (at)
		host.n = (size_t)(at - host.p);
	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	if (!host.n || host.n > 255 || addr_parse(host, &a) == 0)
		return STR_NONE;
	for (size_t i = 0; i < host.n; i++)
		if ((unsigned char)host.p[i] <= ' ' || host.p[i] == 0x7f || host.p[i] == '/')
			return STR_NONE;
	return host;
}
