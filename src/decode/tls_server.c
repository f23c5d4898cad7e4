// SPDX-License-Identifier: Apache-2.0
/*
 * Records → handshake bytes in scratch → messages. Copying is cheap here: of TLS 1.3 only the ServerHello is ever
 * copied, and of the rest nothing behind the first certificate.
 */
#include "decode/tls_server.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "decode/cursor.h"
#include "decode/digest.h"
#include "decode/tls_internal.h"

#define RECORD_HEADER 5
#define RECORD_MAX (16384 + 256)
#define HANDSHAKE_HEADER 4
#define CERTIFICATE_HEADER 10 /* of the message, its list, its first entry */
#define RANDOM_SIZE 32

enum { RECORD_CHANGE_CIPHER = 20, RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };
enum {
	HELLO_REQUEST = 0,
	SERVER_HELLO = 2,
	SESSION_TICKET = 4,
	CERTIFICATE = 11,
	SUPPLEMENTAL = 23
};
enum { EXT_ALPN = 16, EXT_SUPPORTED_VERSIONS = 43 };
enum { ALERT_WARNING = 1 };

#define DONE 1 /* nothing more will be found */

struct joined {
	char *p;        /* handshake bytes, n of them */
	size_t n, at;   /* `at`: the message that is not read yet */
	size_t missing; /* handshake bytes that it lacks at least */
};

static bool is_tls13(uint16_t version)
{
	return version >= 0x0304;
}

static bool version_is_sane(uint16_t version)
{
	return version >> 8 == 3 || version >> 8 == 0x7f; /* drafts of TLS 1.3 */
}

static void read_extensions(struct cursor *c, struct tls_server *s)
{
	struct cursor list;
	size_t n;

	if (c->n < 2) /* none at all */
		return;
	n = cursor_u16(c);
	s->cut = n > c->n;
	list = cursor_sub(c, MIN(n, c->n));
	while (list.n) {
		uint16_t type = cursor_u16(&list);
		struct cursor body = cursor_sub(&list, cursor_u16(&list));

		if (list.bad || s->n_extensions == ARRAY_SIZE(s->extensions)) {
			s->cut = true;
			return;
		}
		s->extensions[s->n_extensions++] = type;
		if (type == EXT_SUPPORTED_VERSIONS && body.n == 2)
			s->version = cursor_u16(&body);
		if (type == EXT_ALPN) {
			cursor_u16(&body);
			s->alpn = cursor_str(&body, cursor_u8(&body));
		}
	}
}

/* RFC 8446 4.1.3: a HelloRetryRequest is a ServerHello with this for its random. */
static const uint8_t retry_random[RANDOM_SIZE] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static int read_hello(struct cursor c, struct tls_server *ret)
{
	struct tls_server s = { .known = true };
	const uint8_t *random;

	s.legacy_version = s.version = cursor_u16(&c);
	random = cursor_take(&c, RANDOM_SIZE);
	if (s.legacy_version >> 8 !=
	    0x7f) /* drafts before 22 have neither session nor compression */
		cursor_take(&c, cursor_u8(&c));
	s.cipher = cursor_u16(&c);
	if (s.legacy_version >> 8 != 0x7f)
		cursor_u8(&c);
	if (c.bad || !random || !version_is_sane(s.legacy_version))
		return -EBADMSG;
	s.retry = !memcmp(random, retry_random, RANDOM_SIZE);
	read_extensions(&c, &s);
	*ret = s;
	return s.retry || !is_tls13(s.version) ? 0 : DONE;
}

/* Are so many bytes of the message there? If not: -EAGAIN, or DONE when they would not fit. */
static int want(struct joined *j, size_t n)
{
	if (j->n - j->at >= n)
		return 0;
	if (n > TLS_SERVER_MAX - j->at)
		return DONE;
	j->missing = n - (j->n - j->at);
	return -EAGAIN;
}

static int read_certificate(struct joined *j, struct tls_server *s, size_t length)
{
	struct cursor c;
	size_t list, n;
	int r = want(j, CERTIFICATE_HEADER);

	if (length < CERTIFICATE_HEADER - HANDSHAKE_HEADER)
		return DONE; /* an empty list */
	if (r)
		return r;
	c = cursor_of((struct str){ j->p + j->at + HANDSHAKE_HEADER, 6 });
	list = cursor_u24(&c);
	n = cursor_u24(&c);
	if (list + 3 > length || n + 3 > list)
		return DONE;
	r = want(j, CERTIFICATE_HEADER + n);
	if (r)
		return r;
	s->certificate = (struct str){ j->p + j->at + CERTIFICATE_HEADER, n };
	return DONE;
}

/* One message; 0: it was read, or passed over. */
static int read_message(struct joined *j, struct tls_server *s)
{
	struct cursor c;
	size_t length;
	uint8_t type;
	int r;

	if (j->n == j->at) {
		j->missing = HANDSHAKE_HEADER;
		return -EAGAIN;
	}
	type = (uint8_t)j->p[j->at];
	if (!s->known && type != SERVER_HELLO && type != HELLO_REQUEST)
		return -EBADMSG;
	r = want(j, HANDSHAKE_HEADER);
	if (r)
		return r;
	c = cursor_of((struct str){ j->p + j->at + 1, 3 });
	length = cursor_u24(&c);
	if (type == CERTIFICATE && s->known && !s->retry)
		return read_certificate(j, s, length);
	if (type == SERVER_HELLO
		    ? s->known && !s->retry
		    : type != HELLO_REQUEST && type != SESSION_TICKET && type != SUPPLEMENTAL)
		return DONE;
	r = want(j, HANDSHAKE_HEADER + length);
	if (r)
		return r;
	if (type == SERVER_HELLO)
		r = read_hello(cursor_of((struct str){ j->p + j->at + HANDSHAKE_HEADER, length }),
			       s);
	j->at += HANDSHAKE_HEADER + length;
	return r;
}

/* What a record is that is no handshake: 0: passed over; needs its bytes. */
static int read_other(uint8_t type, struct str body, const struct tls_server *s)
{
	if (type == RECORD_ALERT && body.n == 2 && body.p[0] == ALERT_WARNING)
		return 0; /* "unrecognized_name" comes before the hello */
	if (type == RECORD_CHANGE_CIPHER && s->retry)
		return 0;
	return DONE;
}

static int again(struct str bytes, size_t missing, size_t *ret_need)
{
	*ret_need = bytes.n + missing;
	return -EAGAIN;
}

static int parse(struct str bytes, char *scratch, struct tls_server *s, size_t *ret_need)
{
	struct joined j = { .p = scratch, .missing = HANDSHAKE_HEADER };
	struct str rest = bytes;

	for (;;) {
		struct cursor c = cursor_of(rest);
		size_t length;
		struct str body;
		uint8_t type = cursor_u8(&c);
		int r;

		if (rest.n && (type < RECORD_CHANGE_CIPHER || type > 23))
			return DONE;
		if (rest.n > 1 && rest.p[1] != 3)
			return DONE;
		if (rest.n < RECORD_HEADER)
			return again(bytes, RECORD_HEADER - rest.n + j.missing, ret_need);
		cursor_u16(&c);
		length = cursor_u16(&c);
		if (!length || length > RECORD_MAX)
			return DONE;
		body = str_sub(rest, RECORD_HEADER, length);
		if (type != RECORD_HANDSHAKE) {
			if (body.n < length && (type == RECORD_ALERT || s->retry))
				return again(bytes, length - body.n, ret_need);
			r = read_other(type, body, s);
			if (r)
				return r;
		} else {
			size_t n = MIN(body.n, (size_t)TLS_SERVER_MAX - j.n);

			memcpy(j.p + j.n, body.p, n);
			j.n += n;
			do
				r = read_message(&j, s);
			while (r == 0);
			if (r != -EAGAIN)
				return r;
			if (j.n == TLS_SERVER_MAX)
				return DONE;
			if (body.n < length)
				return again(bytes, MIN(j.missing, length - body.n), ret_need);
		}
		rest = str_sub(rest, RECORD_HEADER + length, SIZE_MAX);
	}
}

int tls_server_parse(struct str bytes, char *scratch, struct tls_server *ret, size_t *ret_need)
{
	int r;

	*ret = (struct tls_server){ 0 };
	r = parse(bytes, scratch, ret, ret_need);
	if (r == DONE)
		r = ret->known ? 0 : -EBADMSG;
	else if (r == -EBADMSG && ret->known)
		r = 0;
	return r;
}

void tls_server_fingerprint(const struct tls_server *s, struct tls_server_print *ret)
{
	uint8_t sum[MD5_SIZE];
	int n;

	*ret = (struct tls_server_print){ 0 };
	if (!s->known || s->cut)
		return;
	n = snprintf(ret->text, sizeof(ret->text), "%u,%u,", s->legacy_version, s->cipher);
	for (unsigned i = 0; i < s->n_extensions; i++)
		n += snprintf(ret->text + n, sizeof(ret->text) - (size_t)n, "%s%u", i ? "-" : "",
			      s->extensions[i]);
	if (digest_md5((struct str){ ret->text, (size_t)n }, sum) < 0) {
		ret->text[0] = 0;
		return;
	}
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(ret->hash + 2 * i, 3, "%02x", sum[i]);
}
