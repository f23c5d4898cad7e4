// SPDX-License-Identifier: Apache-2.0
/* Texts as they are hashed: the same place is written the same way, by feeds and by those who ask. */
#include <stdio.h>

#include "base/cleanup.h"
#include "detect/intel_file.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int hex(char c)
{
	c = lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool intel_key_name(struct str raw, char text[256], struct str *ret)
{
	if (raw.n && raw.p[raw.n - 1] == '.')
		raw.n--;
	if (!raw.n || raw.n > 253)
		return false;
	for (size_t i = 0; i < raw.n; i++)
		text[i] = lower(raw.p[i]);
	*ret = (struct str){ text, raw.n };
	return true;
}

bool intel_key_hex(struct str raw, char text[136], struct str *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == ':' || raw.p[i] == ' ')
			continue;
		if (n == 128)
			return false;
		text[n++] = lower(raw.p[i]);
	}
	*ret = (struct str){ text, n };
	return n > 0;
}

/* --- paths: RFC 3986 6.2.2.1 and 6.2.2.2 ---------------------------------------------------------------------------- */

static bool is_unreserved(int c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* Appends to text[*n]; false: no room. */
static bool put_path(struct str path, char text[INTEL_TEXT_MAX], size_t *n)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < path.n && path.p[i] != '#'; i++) {
		int high = -1, low = -1;

		if (*n + 3 > INTEL_TEXT_MAX)
			return false;
		if (path.p[i] == '%' && i + 2 < path.n) {
			high = hex(path.p[i + 1]);
			low = hex(path.p[i + 2]);
		}
		if (high < 0 || low < 0) {
			text[(*n)++] = path.p[i];
			continue;
		}
		i += 2;
		if (is_unreserved(16 * high + low)) {
			text[(*n)++] = (char)(16 * high + low);
			continue;
		}
		text[(*n)++] = '%';
		text[(*n)++] = digits[high];
		text[(*n)++] = digits[low];
	}
	return true;
}

bool intel_key_path(struct str path, char text[INTEL_TEXT_MAX], struct str *ret)
{
	size_t n = 0;

	if (!path.n || path.p[0] != '/' || !put_path(path, text, &n))
		return false;
	*ret = (struct str){ text, n };
	return true;
}

/* --- URLs ---------------------------------------------------------------------------------------------------------- */

/* "host", "host:8080", "[::1]:8080", "user@host". */
static bool split_authority(struct str s, struct str *ret_host, uint16_t *port)
{
	const char *at = s.n ? memrchr(s.p, '@', s.n) : NULL, *colon;
	uint64_t number;

	if (at)
		s = str_sub(s, (size_t)(at - s.p) + 1, s.n);
	if (!s.n)
		return false;
	if (s.p[0] == '[') {
		const char *end = memchr(s.p, ']', s.n);

		if (!end)
			return false;
		*ret_host = str_sub(s, 1, (size_t)(end - s.p) - 1);
		s = str_sub(s, (size_t)(end - s.p) + 1, s.n);
		colon = s.n && s.p[0] == ':' ? s.p : NULL;
	} else {
		colon = memchr(s.p, ':', s.n);
		/* "::1": an address and no port */
		if (colon && memchr(colon + 1, ':', (size_t)(s.p + s.n - colon - 1)))
			colon = NULL;
		*ret_host = colon ? str_sub(s, 0, (size_t)(colon - s.p)) : s;
	}
	if (colon && colon + 1 < s.p + s.n) {
		struct str digits = { colon + 1, (size_t)(s.p + s.n - colon - 1) };

		if (str_parse_u64(digits, &number) < 0 || number > 65535)
			return false;
		*port = (uint16_t)number;
	}
	return ret_host->n > 0;
}

bool intel_key_url(struct str authority, uint16_t port, struct str path, char text[INTEL_TEXT_MAX],
		   struct intel_url_parts *ret)
{
	char name[256];
	struct str host;
	size_t n;

	if (!split_authority(authority, &host, &port) || !intel_key_name(host, name, &host))
		return false;
	if (port == 80 || port == 443)
		port = 0;
	n = host.n;
	memcpy(text, host.p, n);
	if (port)
		n += (size_t)snprintf(text + n, 8, ":%u", port);
	*ret = (struct intel_url_parts){ .host = { text, host.n }, .port = port, .path_at = n };
	if (path.n && path.p[0] == '?')
		text[n++] = '/';
	if (!put_path(path, text, &n))
		return false;
	ret->text = (struct str){ text, n };
	return true;
}

bool intel_key_whole_url(struct str url, char text[INTEL_TEXT_MAX], struct intel_url_parts *ret)
{
	const char *scheme = url.n ? memmem(url.p, MIN(url.n, (size_t)12), "://", 3) : NULL;
	uint16_t scheme_port = 0;
	size_t n = 0;

	if (scheme) {
		struct str word = { url.p, (size_t)(scheme - url.p) };

		scheme_port = str_eq_nocase(word, STR("http"))    ? 80
			      : str_eq_nocase(word, STR("https")) ? 443
			      : str_eq_nocase(word, STR("ftp"))   ? 21
								  : 0;
		url = str_sub(url, word.n + 3, url.n);
	}
	while (n < url.n && url.p[n] != '/' && url.p[n] != '?' && url.p[n] != '#')
		n++;
	if (!intel_key_url(str_sub(url, 0, n), 0, str_sub(url, n, url.n), text, ret))
		return false;
	ret->scheme_port = scheme_port;
	return true;
}
