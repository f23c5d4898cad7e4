// SPDX-License-Identifier: Apache-2.0
/*
 * The ClientHello itself: the body after the handshake header, and its extensions. How it gets here (records,
 * datagrams, fragments) is tls_stream.c; fingerprints are ja.c. Lists are read as sent, GREASE included.
 */
#include "decode/tls.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "decode/cursor.h"
#include "decode/tls_internal.h"

#define HELLO_TYPE 1
#define HANDSHAKE_HEADER 4
#define DTLS_HANDSHAKE_HEADER 12

enum {
	EXT_SNI = 0,
	EXT_GROUPS = 10,
	EXT_POINT_FORMATS = 11,
	EXT_SIGNATURES = 13,
	EXT_ALPN = 16,
	EXT_SUPPORTED_VERSIONS = 43,
	EXT_ECH = 0xfe0d,
};

bool tls_is_grease(uint16_t v)
{
	return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

bool tls_version_is_sane(uint16_t version, enum tls_transport t)
{
	if (t == TLS_OVER_DTLS)
		return version >> 8 == 0xfe || version == 0x0100; /* OpenSSL before 0.9.8f */
	return version >> 8 == 3;
}

/* As many 16-bit values as fit; more than that marks the hello cut. Returns how many. */
static size_t read_u16s(struct cursor *c, uint16_t *to, size_t max, bool *cut)
{
	size_t n = 0;

	while (c->n >= 2) {
		if (n == max) {
			*cut = true;
			break;
		}
		to[n++] = cursor_u16(c);
	}
	return n;
}

static void read_sni(struct cursor c, struct tls_hello *h)
{
	struct cursor list = cursor_sub(&c, cursor_u16(&c));

	while (list.n && !h->sni.n) {
		uint8_t type = cursor_u8(&list);
		struct str name = cursor_str(&list, cursor_u16(&list));

		if (!list.bad && !type)
			h->sni = name;
	}
}

static void read_alpn(struct cursor c, struct tls_hello *h)
{
	struct cursor list = cursor_sub(&c, cursor_u16(&c));

	while (list.n) {
		struct str id = cursor_str(&list, cursor_u8(&list));

		if (list.bad)
			return;
		if (h->n_alpns == ARRAY_SIZE(h->alpns))
			return; /* only the first is in any fingerprint */
		h->alpns[h->n_alpns++] = id;
	}
}

/* DTLS counts downwards: 0xfefc is newer than 0xfefd. */
static bool is_newer(uint16_t a, uint16_t b)
{
	return a >> 8 == 0xfe && b >> 8 == 0xfe ? a < b : a > b;
}

static void read_versions(struct cursor c, struct tls_hello *h)
{
	struct cursor list = cursor_sub(&c, cursor_u8(&c));
	uint16_t best = 0;

	while (list.n >= 2) {
		uint16_t v = cursor_u16(&list);

		if (!tls_is_grease(v) && (!best || is_newer(v, best)))
			best = v;
	}
	if (best)
		h->version = best;
}

static void read_extension(uint16_t type, struct cursor c, struct tls_hello *h)
{
	struct cursor list;

	switch (type) {
	case EXT_SNI:
		read_sni(c, h);
		break;
	case EXT_GROUPS:
		list = cursor_sub(&c, cursor_u16(&c));
		h->n_groups = read_u16s(&list, h->groups, ARRAY_SIZE(h->groups), &h->cut);
		break;
	case EXT_POINT_FORMATS:
		list = cursor_sub(&c, cursor_u8(&c));
		h->cut |= list.n > ARRAY_SIZE(h->point_formats);
		h->n_point_formats = MIN(list.n, ARRAY_SIZE(h->point_formats));
		if (h->n_point_formats)
			memcpy(h->point_formats, list.p, h->n_point_formats);
		break;
	case EXT_SIGNATURES:
		list = cursor_sub(&c, cursor_u16(&c));
		h->has_signatures = true;
		h->n_signatures =
			read_u16s(&list, h->signatures, ARRAY_SIZE(h->signatures), &h->cut);
		break;
	case EXT_ALPN:
		read_alpn(c, h);
		break;
	case EXT_SUPPORTED_VERSIONS:
		read_versions(c, h);
		break;
	case EXT_ECH:
		h->ech = true;
		break;
	}
}

static void read_extensions(struct cursor *c, struct tls_hello *h)
{
	struct cursor list;
	size_t n;

	if (c->n < 2) /* none at all, as before TLS 1.2 */
		return;
	n = cursor_u16(c);
	h->cut |= n > c->n;
	list = cursor_sub(c, MIN(n, c->n));
	while (list.n) {
		uint16_t type = cursor_u16(&list);
		struct cursor body = cursor_sub(&list, cursor_u16(&list));

		if (list.bad || h->n_extensions == ARRAY_SIZE(h->extensions)) {
			h->cut = true;
			return;
		}
		h->extensions[h->n_extensions++] = type;
		read_extension(type, body, h);
	}
}

/* Lists that say more than there is make the hello cut, not unreadable: the name in it was still sent. */
static int read_body(struct cursor c, enum tls_transport t, struct tls_hello *h)
{
	struct cursor ciphers;

	*h = (struct tls_hello){ .transport = t };
	h->legacy_version = cursor_u16(&c);
	h->version = h->legacy_version;
	cursor_take(&c, 32);
	cursor_take(&c, cursor_u8(&c));
	if (t == TLS_OVER_DTLS)
		cursor_take(&c, cursor_u8(&c));
	ciphers = cursor_sub(&c, cursor_u16(&c));
	h->n_ciphers = read_u16s(&ciphers, h->ciphers, ARRAY_SIZE(h->ciphers), &h->cut);
	if (ciphers.n == 1)
		return -EBADMSG;
	cursor_take(&c, cursor_u8(&c));
	if (c.bad || !tls_version_is_sane(h->legacy_version, t))
		return -EBADMSG;
	read_extensions(&c, h);
	return 0;
}

int tls_hello_parse(struct str bytes, enum tls_transport t, struct tls_hello *ret, size_t *ret_need)
{
	size_t header = t == TLS_OVER_DTLS ? DTLS_HANDSHAKE_HEADER : HANDSHAKE_HEADER;
	struct cursor c = cursor_of(bytes);
	size_t n;

	if (bytes.n && cursor_u8(&c) != HELLO_TYPE)
		return -EBADMSG;
	if (bytes.n < header) {
		*ret_need = header;
		return -EAGAIN;
	}
	n = cursor_u24(&c);
	if (n > TLS_HELLO_MAX - header)
		return -EBADMSG;
	if (t == TLS_OVER_DTLS) {
		cursor_u16(&c);
		if (cursor_u24(&c) != 0 || cursor_u24(&c) != n)
			return -EBADMSG; /* a fragment */
	}
	if (c.n >= 2 && !tls_version_is_sane((uint16_t)(c.p[0] << 8 | c.p[1]), t))
		return -EBADMSG;
	if (c.n < n) {
		*ret_need = header + n;
		return -EAGAIN;
	}
	return read_body(cursor_sub(&c, n), t, ret);
}

const char *tls_version_name(uint16_t version, char text[16])
{
	switch (version) {
	case 0x0002:
		return "SSLv2";
	case 0x0300:
		return "SSLv3";
	case 0x0301:
		return "TLS 1.0";
	case 0x0302:
		return "TLS 1.1";
	case 0x0303:
		return "TLS 1.2";
	case 0x0304:
		return "TLS 1.3";
	case 0x0100:
	case 0xfeff:
		return "DTLS 1.0";
	case 0xfefd:
		return "DTLS 1.2";
	case 0xfefc:
		return "DTLS 1.3";
	default:
		snprintf(text, 16, "0x%04x", version);
		return text;
	}
}
