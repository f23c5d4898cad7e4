// SPDX-License-Identifier: Apache-2.0
/* Protocols that carry TLS after a few bytes of their own: how many those are, on the client's side. */
#include "decode/app_match.h"
#include "decode/http.h"
#include "decode/mail.h"
#include "decode/text_line.h"

static size_t http_connect(struct str s)
{
	struct str rest = s, line;

	if (!str_has_prefix(s, STR("CONNECT ")))
		return 0;
	while (text_line(&rest, &line))
		if (!line.n)
			return s.n - rest.n;
	return 0;
}

/* RFC 1928: greeting, perhaps a user name and password (RFC 1929), then version, command, 0, address, port. */
static size_t socks5(struct str s)
{
	struct cursor c = cursor_of(s);

	cursor_u8(&c);
	cursor_take(&c, cursor_u8(&c));
	if (c.n && c.p[0] == 1) {
		cursor_u8(&c);
		cursor_take(&c, cursor_u8(&c));
		cursor_take(&c, cursor_u8(&c));
	}
	if (cursor_u8(&c) != 5 || cursor_u8(&c) != 1)
		return 0;
	cursor_u8(&c);
	switch (cursor_u8(&c)) {
	case 1:
		cursor_take(&c, 4);
		break;
	case 3:
		cursor_take(&c, cursor_u8(&c));
		break;
	case 4:
		cursor_take(&c, 16);
		break;
	default:
		return 0;
	}
	cursor_u16(&c);
	return c.bad ? 0 : s.n - c.n;
}

/* Version 4: 8 bytes and a user name; with an address of 0.0.0.x also a host name. */
static size_t socks4(struct str s)
{
	const char *end;
	size_t at = 8;

	if (s.n < 9 || s.p[1] != 1)
		return 0;
	for (int texts = s.p[4] || s.p[5] || s.p[6] ? 1 : 2; texts; texts--) {
		end = at < s.n ? memchr(s.p + at, 0, s.n - at) : NULL;
		if (!end)
			return 0;
		at = (size_t)(end + 1 - s.p);
	}
	return at;
}

/* TPKT: its length, when the connection request asks for more than RDP's own security. */
static size_t rdp(struct str s)
{
	struct cursor c = cursor_of(s);
	size_t length;

	cursor_u16(&c);
	length = cursor_u16(&c);
	return c.bad || length < 19 || length > s.n ? 0 : length;
}

/* SSLRequest: a packet of 32 bytes, number 1. */
static size_t mysql(struct str s)
{
	return s.n >= 36 && !memcmp(s.p, "\x20\0\0\1", 4) ? 36 : 0;
}

static size_t postgres(struct str s)
{
	return str_has_prefix(s, STR("\0\0\0\x08\x04\xd2\x16\x2f")) ? 8 : 0;
}

size_t app_inner_offset(enum app_proto app, struct str s)
{
	if (!s.n)
		return 0;
	switch (app) {
	case APP_SMTP:
	case APP_IMAP:
	case APP_POP3:
	case APP_FTP:
		return starttls_offset(s);
	case APP_HTTP:
		return http_connect(s);
	case APP_SOCKS:
		return s.p[0] == 5 ? socks5(s) : socks4(s);
	case APP_RDP:
		return rdp(s);
	case APP_MYSQL:
		return mysql(s);
	case APP_POSTGRES:
		return postgres(s);
	default:
		return 0;
	}
}
