// SPDX-License-Identifier: Apache-2.0
/* Signatures of binary protocols over TCP. Each checks lengths against each other, not only a magic number. */
#include "base/cleanup.h"
#include "decode/app_match.h"
#include "decode/dns.h"
#include "decode/tls.h"

/* The record header at the front of s: its length, or 0 when it is none. */
static size_t tls_record(struct str s)
{
	struct cursor c = cursor_of(s);
	uint8_t type = cursor_u8(&c), major = cursor_u8(&c), minor = cursor_u8(&c);
	uint16_t n = cursor_u16(&c);

	if (c.bad || type < 20 || type > 23 || major != 3 || minor > 4 || n > 16384 + 2048)
		return 0;
	return n;
}

static enum app_match tls_handshake_record(struct str s, size_t length)
{
	struct cursor c = cursor_of(str_sub(s, 5, s.n));
	uint8_t type = cursor_u8(&c);
	uint32_t n = cursor_u24(&c);
	uint16_t version = cursor_u16(&c);

	if (s.n < 6)
		return APP_MORE;
	if (type > 2)
		return APP_NO;
	if (c.bad)
		return APP_MORE;
	if (type == 0) /* HelloRequest */
		return length == 4 && !n ? APP_YES : APP_NO;
	return n >= 38 && n < 65536 && version >> 8 == 3 ? APP_YES : APP_NO;
}

/* Records of a session already running (its start was not seen): one that fits, or two that follow each other. */
static enum app_match tls_running(struct str s, size_t length)
{
	if (s.n <= 5 + length)
		return s.n == 5 + length ? APP_YES : APP_MORE;
	s = str_sub(s, 5 + length, s.n);
	if (s.n < 5)
		return APP_MORE;
	return tls_record(s) ? APP_YES : APP_NO;
}

static enum app_match tls_side(struct str s)
{
	size_t length;

	if (s.n < 5)
		return s.n && ((uint8_t)s.p[0] < 20 || (uint8_t)s.p[0] > 23 ||
			       (s.n > 1 && s.p[1] != 3))
			       ? APP_NO
		       : s.n ? APP_MORE
			     : APP_NO;
	length = tls_record(s);
	if (!length)
		return APP_NO;
	switch (s.p[0]) {
	case 22:
		return tls_handshake_record(s, length);
	case 21: /* alert: level and description */
		if (length != 2)
			return tls_running(s, length);
		return s.n < 7                                                  ? APP_MORE
		       : (s.p[5] == 1 || s.p[5] == 2) && (uint8_t)s.p[6] <= 121 ? APP_YES
										: APP_NO;
	default:
		return tls_running(s, length);
	}
}

static enum app_match ssl2_client(struct str s)
{
	struct tls_hello h;
	char scratch[1]; /* never used by an SSL 2 hello */
	size_t need = 0;
	int r;

	if (s.n < 3 || !((uint8_t)s.p[0] & 0x80) || s.p[2] != 1)
		return APP_NO;
	r = tls_stream_parse(s, scratch, &h, &need);
	return r == 0 ? APP_YES : s.n < need ? APP_MORE : APP_NO;
}

enum app_match app_match_tls(const struct app_input *in)
{
	enum app_match client = app_either(tls_side(in->client), ssl2_client(in->client));

	if (client == APP_YES)
		return APP_YES;
	/* A server's TLS answer to something else is a server's mistake, or STARTTLS. */
	if (client == APP_NO && in->client.n)
		return APP_NO;
	return app_either(client, tls_side(in->server));
}

/* TPKT (RFC 1006), X.224 connection request or confirm, then a cookie or a negotiation ([MS-RDPBCGR] 2.2.1). */
static enum app_match rdp_side(struct str s, uint8_t code, bool port)
{
	struct cursor c = cursor_of(s);
	uint16_t length;
	uint8_t indicator;

	if (s.n < 11)
		return app_prefix(str_sub(s, 0, 2), STR("\3\0")) == APP_NO || !s.n ? APP_NO
										   : APP_MORE;
	if (cursor_u16(&c) != 0x0300)
		return APP_NO;
	length = cursor_u16(&c);
	indicator = cursor_u8(&c);
	if (cursor_u8(&c) != code || length != indicator + 5u || length < 11)
		return APP_NO;
	cursor_take(&c, 5);
	if (length == 11)
		return port ? APP_YES : APP_NO;
	s = str_sub(s, 11, s.n);
	if (str_has_prefix(s, STR("Cookie: ")) || str_has_prefix(s, STR("tsv://")))
		return APP_YES;
	/* negotiation request 1, response 2, failure 3: flags, length 8 */
	if (s.n < 4 || app_prefix(s, STR("Cookie: ")) == APP_MORE)
		return APP_MORE;
	return s.p[0] >= 1 && s.p[0] <= 3 && s.p[2] == 8 && s.p[3] == 0 ? APP_YES : APP_NO;
}

enum app_match app_match_rdp(const struct app_input *in)
{
	bool port = app_port(in, 3389);

	if (in->client.n)
		return rdp_side(in->client, 0xe0, port);
	return rdp_side(in->server, 0xd0, port);
}

/* NetBIOS session service (RFC 1002) or direct TCP: a type, 24 bits of length, then \xffSMB, \xfeSMB … */
static enum app_match smb_side(struct str s)
{
	struct cursor c = cursor_of(s);
	uint8_t type = cursor_u8(&c);
	uint32_t length = cursor_u24(&c);
	struct str body = str_sub(s, 4, s.n);

	if (!s.n || (type != 0 && type != 0x81))
		return APP_NO;
	if (s.n < 8)
		return APP_MORE;
	if (type == 0x81) /* session request: called name, calling name, 34 bytes each */
		return length == 68 && body.p[0] == 0x20 && body.p[1] >= 'A' && body.p[1] <= 'P'
			       ? APP_YES
			       : APP_NO;
	if (length < 32 || memcmp(body.p + 1, "SMB", 3))
		return APP_NO;
	return (uint8_t)body.p[0] >= 0xfc ? APP_YES : APP_NO;
}

enum app_match app_match_smb(const struct app_input *in)
{
	return app_either(smb_side(in->client), smb_side(in->server));
}

/* RFC 1928: version, count, that many methods and nothing more; the server picks one of them. */
static enum app_match socks5(const struct app_input *in, bool port)
{
	const uint8_t *b = (const uint8_t *)in->client.p, *reply = (const uint8_t *)in->server.p;
	size_t n;

	if (in->client.n < 3)
		return APP_MORE;
	n = b[1];
	if (!n || n > 10)
		return APP_NO;
	if (in->client.n < 2 + n)
		return APP_MORE;
	for (size_t i = 0; i < n; i++)
		if (b[2 + i] > 9 && b[2 + i] < 0x80)
			return APP_NO;
	if (port)
		return APP_YES;
	if (in->server.n < 2) /* without an answer, a client that goes on was not greeting */
		return in->client.n == 2 + n && (!in->server.n || reply[0] == 5) ? APP_MORE
										 : APP_NO;
	if (reply[0] != 5)
		return APP_NO;
	return reply[1] == 0xff || memchr(b + 2, reply[1], n) ? APP_YES : APP_NO;
}

/* Version 4: command, port, address, user name ended by NUL (4a: a host name after it). The reply is 8 bytes. */
static enum app_match socks4(const struct app_input *in, bool port)
{
	const uint8_t *b = (const uint8_t *)in->client.p, *reply = (const uint8_t *)in->server.p;

	if (in->client.n < 9)
		return in->client.n > 1 && b[1] != 1 && b[1] != 2 ? APP_NO : APP_MORE;
	if ((b[1] != 1 && b[1] != 2) || !(b[2] | b[3]))
		return APP_NO;
	if (!memchr(b + 8, 0, MIN(in->client.n - 8, (size_t)256)))
		return in->client.n < 8 + 256 ? APP_MORE : APP_NO;
	if (port)
		return APP_YES;
	if (in->server.n < 8)
		return in->server.n && reply[0] ? APP_NO : APP_MORE;
	return !reply[0] && reply[1] >= 0x5a && reply[1] <= 0x5d ? APP_YES : APP_NO;
}

enum app_match app_match_socks(const struct app_input *in)
{
	bool port = app_port(in, 1080) || app_port(in, 9050) || app_port(in, 9150);

	if (!in->client.n)
		return APP_NO;
	if (in->client.p[0] == 5)
		return socks5(in, port);
	return in->client.p[0] == 4 ? socks4(in, port) : APP_NO;
}

enum app_match app_match_mqtt(const struct app_input *in)
{
	struct cursor c = cursor_of(in->client);
	uint32_t length = 0;
	struct str name;
	uint8_t level;

	if (!in->client.n || cursor_u8(&c) != 0x10) /* CONNECT */
		return APP_NO;
	for (unsigned int shift = 0;; shift += 7) {
		uint8_t b = cursor_u8(&c);

		length |= (uint32_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			break;
		if (shift == 21)
			return APP_NO;
	}
	name = cursor_str(&c, cursor_u16(&c));
	level = cursor_u8(&c);
	if (c.bad)
		return in->client.n < 14 ? APP_MORE : APP_NO;
	if (length < name.n + 2 + 4)
		return APP_NO;
	return (str_eq(name, STR("MQTT")) && level >= 3 && level <= 5) ||
			       (str_eq(name, STR("MQIsdp")) && level == 3)
		       ? APP_YES
		       : APP_NO;
}

/* Startup packet: length, protocol 3.x and pairs of texts, or one of three requests with magic numbers. */
enum app_match app_match_postgres(const struct app_input *in)
{
	struct cursor c = cursor_of(in->client);
	uint32_t length = cursor_u32(&c), code = cursor_u32(&c);

	if (c.bad)
		return in->client.n && in->client.p[0] == 0 ? APP_MORE : APP_NO;
	switch (code) {
	case 80877103: /* SSLRequest */
	case 80877104: /* GSSENCRequest */
		return length == 8 ? APP_YES : APP_NO;
	case 80877102: /* CancelRequest */
		return length == 16 ? APP_YES : APP_NO;
	}
	if (code >> 16 != 3 || (code & 0xffff) > 2 || length < 14 || length > 10000)
		return APP_NO;
	if (c.n < 5)
		return APP_MORE;
	return c.p[0] >= 'a' && c.p[0] <= 'z' && memchr(c.p, 0, MIN(c.n, (size_t)64)) ? APP_YES
										      : APP_NO;
}

/* The server speaks first: packet 0, protocol 10, a version text, thread id, 8 bytes of salt and a zero. */
enum app_match app_match_mysql(const struct app_input *in)
{
	struct str s = in->server;
	const uint8_t *b = (const uint8_t *)s.p, *end;
	size_t length, n;

	if (s.n < 6)
		return s.n > 3 && b[3] ? APP_NO : s.n || !in->client.n ? APP_MORE : APP_NO;
	length = (size_t)b[2] << 16 | (size_t)b[1] << 8 | b[0];
	if (b[3] || length < 32 || length > 512)
		return APP_NO;
	if (b[4] == 0xff) /* an error before the greeting, with its number: 1040 to 1251 */
		return b[6 - 1] >= 0x10 && s.n > 6 && b[6] == 4 ? APP_YES : APP_NO;
	if (b[4] != 10 || b[5] < '0' || b[5] > '9')
		return APP_NO;
	end = memchr(b + 5, 0, MIN(s.n - 5, (size_t)64));
	if (!end)
		return s.n < 69 ? APP_MORE : APP_NO;
	n = (size_t)(end + 1 - b);
	for (const uint8_t *v = b + 5; v < end; v++)
		if (*v < ' ' || *v > '~')
			return APP_NO;
	if (s.n < n + 13)
		return APP_MORE;
	return b[n + 12] == 0 && length >= n - 4 + 13 ? APP_YES : APP_NO;
}

/* Two bytes of length before the message. */
static enum app_match dns_side(struct str s, bool port)
{
	struct cursor c = cursor_of(s);
	size_t length = cursor_u16(&c);
	struct str message = str_sub(s, 2, length);

	if (!s.n || (!c.bad && length < 12 + 5))
		return APP_NO;
	cursor_u32(&c);
	if (cursor_u16(&c) != 1 && !c.bad) /* questions */
		return APP_NO;
	if (!dns_is_message(message)) /* the question may not be whole yet */
		return s.n < MIN(2 + length, (size_t)2 + 12 + 255 + 4) ? APP_MORE : APP_NO;
	return message.n == length || port ? APP_YES : APP_MORE;
}

enum app_match app_match_dns_tcp(const struct app_input *in)
{
	bool port = app_port(in, 53);

	if (in->client.n)
		return dns_side(in->client, port);
	return dns_side(in->server, port);
}

enum app_match app_match_bittorrent_tcp(const struct app_input *in)
{
	struct str magic = STR("\x13"
			       "BitTorrent protocol");
	enum app_match client = in->client.n ? app_prefix(in->client, magic) : APP_NO;

	return app_either(client, in->server.n ? app_prefix(in->server, magic) : APP_NO);
}

enum app_match app_match_openvpn_tcp(const struct app_input *in)
{
	struct cursor c = cursor_of(in->client);
	size_t length = cursor_u16(&c);

	if (in->client.n < 3)
		return in->client.n && in->client.p[0] > 4 ? APP_NO
		       : in->client.n                      ? APP_MORE
							   : APP_NO;
	if (length < 14 || length > 1400 || (c.p[0] != 0x38 && c.p[0] != 0x50))
		return APP_NO;
	if (c.n < length)
		return APP_MORE;
	return app_openvpn_is_reset(str_sub(in->client, 2, length)) ? APP_YES : APP_NO;
}
