// SPDX-License-Identifier: Apache-2.0
/*
 * From a stream or datagram to the handshake bytes: TLS records joined, SSL 2 compatible hellos, DTLS records.
 * A hello inside one record (nearly all) is parsed where it lies; only one split over records is copied.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "decode/cursor.h"
#include "decode/tls_internal.h"

#define RECORD_HEADER 5
#define RECORD_MAX (16384 + 256)
#define RECORD_HANDSHAKE 22
#define HANDSHAKE_HEADER 4

#define SSL2_HEADER 11
#define SSL2_HELLO_MAX 4096

/* Length of the record at the front; -EAGAIN without its whole header; -EBADMSG when it is no handshake record. */
static int record_length(struct str s)
{
	struct cursor c = cursor_of(s);
	int n;

	if ((c.n && c.p[0] != RECORD_HANDSHAKE) || (c.n > 1 && c.p[1] != 3))
		return -EBADMSG;
	cursor_take(&c, 3);
	n = cursor_u16(&c);
	if (c.bad)
		return -EAGAIN;
	return n && n <= RECORD_MAX ? n : -EBADMSG;
}

/*
 * SSL 2 hello (RFC 5246 E.2): two length bytes with the top bit set, type 1, version, three lengths, then cipher
 * specs of three bytes, of which those with a leading zero are TLS cipher suites.
 */
static int ssl2_parse(struct str bytes, struct tls_hello *ret, size_t *ret_need)
{
	struct cursor c = cursor_of(bytes);
	size_t length = cursor_u16(&c) & 0x7fff;
	uint16_t version, n_specs, n_session, n_challenge;

	if (c.n && c.p[0] != 1)
		return -EBADMSG;
	if (bytes.n < SSL2_HEADER) {
		*ret_need = SSL2_HEADER;
		return -EAGAIN;
	}
	cursor_u8(&c);
	version = cursor_u16(&c);
	n_specs = cursor_u16(&c);
	n_session = cursor_u16(&c);
	n_challenge = cursor_u16(&c);
	if ((version != 2 && (version >> 8 != 3 || (version & 0xff) > 4)) || !n_specs ||
	    n_specs % 3 || (n_session && n_session != 16) || n_challenge < 16 || n_challenge > 32 ||
	    length > SSL2_HELLO_MAX || length != 9u + n_specs + n_session + n_challenge)
		return -EBADMSG;
	if (bytes.n < 2 + length) {
		*ret_need = 2 + length;
		return -EAGAIN;
	}
	*ret = (struct tls_hello){ .legacy_version = version, .version = version, .ssl2 = true };
	for (; n_specs; n_specs -= 3) {
		uint32_t spec = cursor_u24(&c);

		if (spec > UINT16_MAX)
			continue; /* an SSL 2 cipher kind, not a suite */
		if (ret->n_ciphers == ARRAY_SIZE(ret->ciphers)) {
			ret->cut = true;
			break;
		}
		ret->ciphers[ret->n_ciphers++] = (uint16_t)spec;
	}
	return 0;
}

/* The hello goes on in further records: copies what there is of it and parses the copy. */
static int join_records(struct str bytes, char *scratch, struct tls_hello *ret, size_t *ret_need)
{
	size_t n = 0, need = HANDSHAKE_HEADER, missing;
	int r;

	for (;;) {
		struct str part;
		int length = record_length(bytes);

		if (length == -EAGAIN)
			break;
		if (length < 0)
			return length;
		part = str_sub(bytes, RECORD_HEADER, (size_t)length);
		bytes = str_sub(bytes, RECORD_HEADER + part.n, bytes.n);
		if (part.n > TLS_HELLO_MAX - n)
			part.n = TLS_HELLO_MAX - n;
		memcpy(scratch + n, part.p, part.n);
		n += part.n;
		r = tls_hello_parse((struct str){ scratch, n }, TLS_OVER_TCP, ret, &need);
		if (r != -EAGAIN)
			return r;
		if (part.n < (size_t)length)
			break;
	}
	missing = need - n + (bytes.n ? RECORD_HEADER - MIN(bytes.n, (size_t)RECORD_HEADER) : 0);
	*ret_need = missing;
	return -EAGAIN;
}

int tls_stream_parse(struct str bytes, char *scratch, struct tls_hello *ret, size_t *ret_need)
{
	size_t need = 0;
	int length, r;

	if (!bytes.n) {
		*ret_need = RECORD_HEADER + HANDSHAKE_HEADER;
		return -EAGAIN;
	}
	if (bytes.n >= 3 && ((uint8_t)bytes.p[0] & 0x80) && bytes.p[2] == 1)
		return ssl2_parse(bytes, ret, ret_need);
	if (bytes.n && bytes.n < 3 && ((uint8_t)bytes.p[0] & 0x80)) {
		*ret_need = SSL2_HEADER;
		return -EAGAIN;
	}
	length = record_length(bytes);
	if (length == -EAGAIN) {
		*ret_need = RECORD_HEADER + HANDSHAKE_HEADER;
		return -EAGAIN;
	}
	if (length < 0)
		return length;
	r = tls_hello_parse(str_sub(bytes, RECORD_HEADER, (size_t)length), TLS_OVER_TCP, ret,
			    &need);
	if (r != -EAGAIN)
		return r;
	if (bytes.n < RECORD_HEADER + (size_t)length) {
		/* Exact when the hello ends in this record, else the least there must come. */
		*ret_need = RECORD_HEADER + MIN((size_t)length, need);
		return -EAGAIN;
	}
	r = join_records(bytes, scratch, ret, &need);
	if (r == -EAGAIN)
		*ret_need = bytes.n + need;
	return r;
}

int dtls_parse(struct str datagram, struct tls_hello *ret)
{
	struct cursor c = cursor_of(datagram);
	uint8_t type = cursor_u8(&c);
	uint16_t version = cursor_u16(&c);
	size_t need;
	int r;

	cursor_take(&c, 8); /* epoch and sequence number */
	c = cursor_sub(&c, cursor_u16(&c));
	if (c.bad || type != RECORD_HANDSHAKE || !tls_version_is_sane(version, TLS_OVER_DTLS))
		return -EBADMSG;
	r = tls_hello_parse((struct str){ (const char *)c.p, c.n }, TLS_OVER_DTLS, ret, &need);
	return r == -EAGAIN ? -EBADMSG : r;
}
