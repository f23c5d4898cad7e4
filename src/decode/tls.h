/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS ClientHello (RFC 8446, RFC 5246, SSL 2 compatible hellos of RFC 5246 E.2), from TLS records over TCP,
 * DTLS records (RFC 9147), or bare handshake bytes of QUIC CRYPTO frames; with its JA3 and JA4 fingerprints.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define TLS_HELLO_MAX 16384 /* a ClientHello larger than this is unreadable */

enum tls_transport { TLS_OVER_TCP, TLS_OVER_QUIC, TLS_OVER_DTLS };

struct tls_hello {
	enum tls_transport transport;
	uint16_t legacy_version;
	uint16_t version; /* highest offered that is not GREASE */
	struct str sni; /* as sent; empty when absent. Points into the parsed bytes, as all below */
	struct str alpns[16];
	uint16_t ciphers[256], extensions[128], groups[64], signatures[64];
	uint8_t point_formats[16];
	uint8_t n_alpns, n_extensions, n_groups, n_signatures, n_point_formats;
	uint16_t n_ciphers;
	bool has_signatures; /* extension 13 was there */
	bool ssl2; /* SSL 2 compatible: no extensions, no JA3; JA4 has empty lists, as FoxIO's tools give */
	bool ech; /* encrypted_client_hello (0xfe0d), GREASE or real: the outer form only */
	bool cut; /* lists longer than the arrays: fingerprints are left out then */
};

#define JA3_HASH_MAX 33
#define JA4_MAX 37

struct tls_fingerprint {
	char ja3[JA3_HASH_MAX]; /* MD5 hex; empty when the hello was cut or OpenSSL refuses MD5 */
	char ja4[JA4_MAX];      /* "t13d1516h2_8daaf6152771_e5627efa2ab1" */
};

/*
 * Handshake bytes (from msg_type 1 on). 0; -EAGAIN: a ClientHello so far, not all of it (*ret_need: bytes in all,
 * at least); -EBADMSG: no ClientHello. *ret points into `bytes`.
 */
int tls_hello_parse(struct str bytes, enum tls_transport t, struct tls_hello *ret,
		    size_t *ret_need);

/*
 * A TCP stream from its first byte: joins handshake fragments over TLS records into `scratch` (TLS_HELLO_MAX).
 * Same results; *ret points into `bytes` or `scratch`.
 */
int tls_stream_parse(struct str bytes, char *scratch, struct tls_hello *ret, size_t *ret_need);

/* One DTLS datagram; a fragmented ClientHello is -EBADMSG (it is rare and says nothing without its rest). */
int dtls_parse(struct str datagram, struct tls_hello *ret);

void tls_fingerprint(const struct tls_hello *h, struct tls_fingerprint *ret);
void ja3_string(const struct tls_hello *h, struct buf *out); /* what JA3 hashes */
void ja4_raw(const struct tls_hello *h, struct buf *out);    /* JA4_r: lists instead of hashes */
const char *tls_version_name(uint16_t version,
			     char text[16]); /* "TLS 1.3", "SSLv3", "DTLS 1.2", "0x7f1c" */
