// SPDX-License-Identifier: Apache-2.0
/* Signatures of protocols that speak in lines of text, and of the two that start with a fixed short text. */
#include "base/cleanup.h"
#include "decode/app_match.h"
#include "decode/http.h"
#include "decode/text_line.h"

/* A first line longer than this belongs to none of these. */
#define FIRST_LINE_MAX 2048

static bool contains_nocase(struct str s, struct str what)
{
	for (size_t i = 0; i + what.n <= s.n; i++)
		if (str_has_prefix_nocase(str_sub(s, i, what.n), what))
			return true;
	return false;
}

/* The first line, or all there is of it. *ret_whole: its end is there. */
static struct str first_line(struct str s, bool *ret_whole)
{
	struct str line;

	*ret_whole = text_line(&s, &line);
	if (*ret_whole)
		return line;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

/* The first line begins with one of the words, followed by a blank or the line's end. */
static enum app_match first_word(struct str s, const char *const *words, size_t n)
{
	bool whole;
	struct str line = first_line(str_sub(s, 0, FIRST_LINE_MAX), &whole), word;

	if (!text_is_plain(line) || (!whole && s.n > FIRST_LINE_MAX))
		return APP_NO;
	word = text_word(&line);
	for (size_t i = 0; i < n; i++) {
		if (str_eq_nocase(word, str_of(words[i])))
			return whole ? APP_YES : APP_MORE;
		if (!whole && str_has_prefix_nocase(str_of(words[i]), word))
			return APP_MORE;
	}
	return APP_NO;
}

#define FIRST_WORD(s, words) first_word(s, words, ARRAY_SIZE(words))

/* What a method nobody registered may look like. */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 'A' || s.p[i] > 'Z') && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return s.n && s.n < 24;
}

static enum app_match http_client(struct str s)
{
	bool whole;
	struct str line, url, method;

	if (!s.n)
		return APP_NO;
	line = first_line(str_sub(s, 0, 8 * FIRST_LINE_MAX), &whole);
	if (!text_is_plain(line))
		return APP_NO;
	if (whole && line.n > 8 && s.p[0] >= 'A' && s.p[0] <= 'Z' &&
	    http_is_response(str_sub(line, line.n - 8, 8)))
		return APP_YES;
	url = line;
	method = text_word(&url);
	if (!http_is_request(s))
		return !whole && line.n < FIRST_LINE_MAX && is_token(method) &&
				       (!url.n || url.p[0] == '/')
			       ? APP_MORE
			       : APP_NO;
	if (whole)
		return url.n && url.p[0] == '/' ? APP_YES : APP_NO;
	/* A target that begins like a path is HTTP's alone; "*" and names may yet become RTSP or SIP. */
	if (url.n && (url.p[0] == '/' || str_has_prefix_nocase(url, STR("http://"))))
		return APP_YES;
	return APP_MORE;
}

enum app_match app_match_http(const struct app_input *in)
{
	enum app_match server = in->server.n ? app_prefix(in->server, STR("HTTP/1.")) : APP_NO;

	/* An answer in HTTP to something else (a port scan, a wrong guess of the client) is no HTTP flow. */
	if (server == APP_YES && in->client.n && http_client(in->client) == APP_NO)
		server = APP_NO;
	return app_either(http_client(in->client), server);
}

enum app_match app_match_http2(const struct app_input *in)
{
	if (!in->client.n)
		return APP_NO;
	return app_prefix(in->client, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
}

static enum app_match ssh_side(struct str s)
{
	enum app_match m = s.n ? app_prefix(str_sub(s, 0, 4), STR("SSH-")) : APP_NO;

	if (m == APP_YES)
		m = s.n < 6                                           ? APP_MORE
		    : s.p[4] >= '1' && s.p[4] <= '2' && s.p[5] == '.' ? APP_YES
								      : APP_NO;
	return m;
}

enum app_match app_match_ssh(const struct app_input *in)
{
	return app_either(ssh_side(in->client), ssh_side(in->server));
}

static const char *const smtp_greetings[] = { "EHLO", "HELO", "LHLO" };
static const char *const ftp_verbs[] = { "USER", "AUTH", "FEAT", "SYST", "OPTS", "HOST", "CLNT" };
static const char *const pop3_verbs[] = { "USER", "CAPA", "APOP", "AUTH", "STLS", "QUIT" };

/* A server's "220 …" or "220-…": what SMTP and FTP both greet with. */
static enum app_match greets_220(struct str s)
{
	enum app_match a, b;

	if (!s.n)
		return APP_MORE;
	a = app_prefix(s, STR("220 "));
	b = app_prefix(s, STR("220-"));
	return app_either(a, b);
}

enum app_match app_match_smtp(const struct app_input *in)
{
	static const char *const refusals[] = { "421", "554" };
	enum app_match client = in->client.n ? FIRST_WORD(in->client, smtp_greetings) : APP_MORE;
	enum app_match server = greets_220(in->server);
	bool whole;
	struct str line = first_line(in->server, &whole);

	if (in->client.n && client == APP_YES)
		return APP_YES;
	if (in->client.n && client == APP_NO &&
	    (server != APP_YES || !(app_port(in, 25) || app_port(in, 587))))
		return APP_NO;
	if (server == APP_YES && whole) {
		if (contains_nocase(line, STR("SMTP")) || contains_nocase(line, STR("LMTP")))
			return APP_YES;
		if (!contains_nocase(line, STR("FTP")) && (app_port(in, 25) || app_port(in, 587)) &&
		    !in->client_more)
			return APP_YES;
	}
	if (!in->client.n && app_port(in, 25) && FIRST_WORD(in->server, refusals) == APP_YES)
		return APP_YES;
	return server == APP_NO ? APP_NO : APP_MORE;
}

enum app_match app_match_ftp(const struct app_input *in)
{
	enum app_match client = in->client.n ? FIRST_WORD(in->client, ftp_verbs) : APP_MORE;
	enum app_match server = greets_220(in->server);
	bool whole;
	struct str line = first_line(in->server, &whole);

	if (client == APP_NO || server == APP_NO)
		return APP_NO;
	if (server == APP_YES && client == APP_YES)
		return APP_YES;
	if (server == APP_YES && whole && contains_nocase(line, STR("FTP")))
		return APP_YES;
	/* Only one side was seen: the verbs are POP3's too, the greeting SMTP's. */
	if (app_port(in, 21) && (client == APP_YES || (server == APP_YES && !in->client_more)))
		return APP_YES;
	return APP_MORE;
}

enum app_match app_match_pop3(const struct app_input *in)
{
	enum app_match client = in->client.n ? FIRST_WORD(in->client, pop3_verbs) : APP_MORE;
	enum app_match server = in->server.n ? app_prefix(in->server, STR("+OK")) : APP_MORE;
	bool whole;

	if (client == APP_NO || server == APP_NO)
		return APP_NO;
	if (server == APP_YES && client == APP_YES)
		return APP_YES;
	if (server == APP_YES) { /* Redis answers +OK too, but does not speak first */
		first_line(in->server, &whole);
		return whole ? APP_YES : APP_MORE;
	}
	return client == APP_YES && app_port(in, 110) ? APP_YES : APP_MORE;
}

static enum app_match imap_client(struct str s)
{
	static const char *const verbs[] = { "CAPABILITY", "LOGIN", "AUTHENTICATE", "STARTTLS",
					     "ID",         "NOOP",  "LOGOUT",       "ENABLE" };
	bool whole;
	struct str line = first_line(str_sub(s, 0, FIRST_LINE_MAX), &whole), tag = text_word(&line);
	enum app_match m;

	if (!s.n)
		return APP_MORE;
	if (!tag.n || tag.n > 16 || !text_is_plain(tag))
		return APP_NO;
	m = FIRST_WORD(line, verbs);
	/* FIRST_WORD saw the line without its end. */
	if (m == APP_MORE && whole)
		m = APP_YES;
	return m == APP_NO && !whole && !line.n ? APP_MORE : m;
}

enum app_match app_match_imap(const struct app_input *in)
{
	static const struct str greetings[] = { STR("* OK"), STR("* PREAUTH"), STR("* BYE") };
	enum app_match client = imap_client(in->client), server = APP_NO;

	for (size_t i = 0; i < ARRAY_SIZE(greetings); i++)
		server = app_either(server, app_prefix(in->server, greetings[i]));
	if (client == APP_NO || server == APP_NO)
		return APP_NO;
	if (server == APP_YES || (client == APP_YES && app_port(in, 143)))
		return APP_YES;
	return APP_MORE;
}

enum app_match app_match_irc(const struct app_input *in)
{
	static const char *const verbs[] = { "NICK", "USER", "PASS", "CAP" };
	enum app_match client = in->client.n ? FIRST_WORD(in->client, verbs) : APP_NO;
	struct str rest = in->client, line;
	bool nick = false, user = false;

	if (client != APP_YES)
		return client;
	while (text_line(&rest, &line)) {
		if (str_has_prefix_nocase(line, STR("CAP LS")))
			return APP_YES;
		nick |= str_has_prefix_nocase(line, STR("NICK "));
		/* "USER name mode unused :real name"; USER with one word is FTP's or POP3's */
		user |= str_has_prefix_nocase(line, STR("USER ")) &&
			contains_nocase(line, STR(" :"));
	}
	if (nick && (user || str_has_prefix(in->server, STR(":")) ||
		     str_has_prefix(in->server, STR("NOTICE ")) ||
		     str_has_prefix(in->server, STR("PING :"))))
		return APP_YES;
	return APP_MORE;
}

static enum app_match sip_side(struct str s)
{
	static const char *const methods[] = { "INVITE",  "REGISTER", "OPTIONS",   "ACK",
					       "BYE",     "CANCEL",   "SUBSCRIBE", "NOTIFY",
					       "MESSAGE", "PUBLISH",  "REFER",     "INFO",
					       "UPDATE",  "PRACK" };
	enum app_match m;
	bool whole;
	struct str line;

	if (!s.n)
		return APP_NO;
	m = app_prefix(s, STR("SIP/2.0 "));
	if (m != APP_NO)
		return m;
	m = FIRST_WORD(s, methods);
	if (m == APP_NO)
		return APP_NO;
	line = first_line(s, &whole);
	if (whole)
		return line.n > 8 && str_eq(str_sub(line, line.n - 8, 8), STR(" SIP/2.0")) ? APP_YES
											   : APP_NO;
	return APP_MORE;
}

enum app_match app_match_sip(const struct app_input *in)
{
	return app_either(sip_side(in->client), sip_side(in->server));
}

enum app_match app_match_ssdp(const struct app_input *in)
{
	if (str_has_prefix(in->client, STR("M-SEARCH * HTTP/1.1\r\n")) ||
	    str_has_prefix(in->client, STR("NOTIFY * HTTP/1.1\r\n")))
		return APP_YES;
	/* The answer comes to the port that asked, as a flow of its own when the question went to a group. */
	return app_port(in, 1900) && (str_has_prefix(in->client, STR("HTTP/1.1 200 OK")) ||
				      str_has_prefix(in->server, STR("HTTP/1.1 200 OK")))
		       ? APP_YES
		       : APP_NO;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "<34>1 2003-…" (RFC 5424), "<34>Oct 11 …" (RFC 3164), or on the port, "<34>" and text. */
enum app_match app_match_syslog(const struct app_input *in)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct str s = in->client;
	unsigned int priority = 0;
	size_t at = 1;

	if (s.n < 8)
		return s.n && s.p[0] == '<' ? APP_MORE : APP_NO;
	for (; at < 4 && is_digit(s.p[at]); at++)
		priority = priority * 10 + (unsigned int)(s.p[at] - '0');
	if (s.p[0] != '<' || at == 1 || s.p[at] != '>' || priority > 191 ||
	    !text_is_plain(str_sub(s, 0, 256)))
		return APP_NO;
	s = str_sub(s, at + 1, s.n);
	if (s.n > 7 && str_has_prefix(s, STR("1 ")) && (s.p[2] == '-' || is_digit(s.p[2])))
		return APP_YES;
	for (size_t i = 0; i + 3 < sizeof(months) && s.n > 3; i += 3)
		if (!memcmp(s.p, months + i, 3) && s.p[3] == ' ')
			return APP_YES;
	return app_port(in, 514) ? APP_YES : APP_NO;
}

/* "<sign><digits>\r\n", the header of an array or string; *s is left behind it. */
static enum app_match resp_header(struct str *s, char sign)
{
	size_t at = 1;

	if (!s->n)
		return APP_MORE;
	if (s->p[0] != sign)
		return APP_NO;
	while (at < s->n && at < 10 && is_digit(s->p[at]))
		at++;
	if (at == s->n)
		return APP_MORE;
	if (at == 1 || s->p[at] != '\r')
		return APP_NO;
	if (at + 1 == s->n)
		return APP_MORE;
	if (s->p[at + 1] != '\n')
		return APP_NO;
	*s = str_sub(*s, at + 2, s->n);
	return APP_YES;
}

enum app_match app_match_redis(const struct app_input *in)
{
	struct str s = in->client;
	enum app_match m;

	if (!s.n)
		return APP_NO;
	if (str_has_prefix_nocase(s, STR("PING\r\n")) && in->server.n)
		return app_prefix(in->server, STR("+PONG\r\n"));
	m = resp_header(&s, '*');
	if (m == APP_YES)
		m = resp_header(&s, '$');
	if (m == APP_YES && s.n)
		m = (s.p[0] | 0x20) >= 'a' && (s.p[0] | 0x20) <= 'z' ? APP_YES : APP_NO;
	return m;
}

static enum app_match vnc_side(struct str s)
{
	static const char form[] = "RFB 000.000\n";

	if (!s.n)
		return APP_NO;
	for (size_t i = 0; i < sizeof(form) - 1 && i < s.n; i++)
		if (form[i] == '0' ? !is_digit(s.p[i]) : form[i] != s.p[i])
			return APP_NO;
	return s.n < sizeof(form) - 1 ? APP_MORE : APP_YES;
}

enum app_match app_match_vnc(const struct app_input *in)
{
	return app_either(vnc_side(in->client), vnc_side(in->server));
}

/* Negotiation (RFC 854, 855): IAC, a verb, an option; two of them, or one and the port. */
static enum app_match telnet_side(struct str s, bool port)
{
	const uint8_t *b = (const uint8_t *)s.p;
	size_t n = 0, at = 0;

	for (; n < 3 && at + 3 <= s.n; n++, at += 3) {
		if (b[at] != 0xff)
			break;
		if (b[at + 1] < 0xfb || b[at + 1] > 0xfe || b[at + 2] > 49)
			return APP_NO;
	}
	if (n > (port ? 0 : 1))
		return APP_YES;
	return s.n && b[0] == 0xff && at + 3 > s.n ? APP_MORE : APP_NO;
}

enum app_match app_match_telnet(const struct app_input *in)
{
	bool port = app_port(in, 23);

	return app_either(telnet_side(in->client, port), telnet_side(in->server, port));
}
