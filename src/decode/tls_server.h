/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TLS server answers to a ClientHello: its ServerHello (RFC 8446 4.1.3, RFC 5246 7.4.1.3, drafts of TLS 1.3)
 * and, up to TLS 1.2, the first certificate of its Certificate message (RFC 5246 7.4.2). TLS 1.3 sends certificates
 * encrypted, a resumed session sends none: `certificate` is empty then. With JA3S (github.com/salesforce/ja3,
 * BSD-3-Clause): version as in the hello's own field, cipher, extensions in the order sent.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define TLS_SERVER_MAX \
	16384 /* of handshake bytes; a certificate that ends behind them is not read */

struct tls_server {
	bool known; /* a ServerHello was read; the fields up to `certificate` are its */
	uint16_t legacy_version; /* what JA3S takes */
	uint16_t version;        /* chosen: supported_versions, else the legacy field */
	uint16_t cipher;
	struct str
		alpn; /* empty: none chosen, or encrypted. Points into scratch, as `certificate` */
	uint16_t extensions[32];
	uint8_t n_extensions;
	bool retry;             /* a HelloRetryRequest; the real ServerHello was not seen (yet) */
	bool cut;               /* its extensions end early or are too many: no JA3S then */
	struct str certificate; /* DER, the server's own; empty: none was sent in the clear */
};

/*
 * A server's TCP stream from its first TLS record: handshake messages are joined over records in `scratch`
 * (TLS_SERVER_MAX). 0: all that will be found was read; -EAGAIN: more may come (*ret_need: bytes in all, at least),
 * and *ret tells what is known so far; -EBADMSG: no answer of a TLS server, or an alert instead of a hello.
 */
int tls_server_parse(struct str bytes, char *scratch, struct tls_server *ret, size_t *ret_need);

#define JA3S_TEXT_MAX 208
#define JA3S_HASH_MAX 33

struct tls_server_print {
	char text[JA3S_TEXT_MAX]; /* "771,49199,65281-11-35"; empty as below */
	char hash[JA3S_HASH_MAX]; /* MD5 hex; empty when the hello was cut or OpenSSL refuses MD5 */
};

void tls_server_fingerprint(const struct tls_server *s, struct tls_server_print *ret);
