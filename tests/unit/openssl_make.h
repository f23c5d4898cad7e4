/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and handshakes by OpenSSL, in memory: what the decoders of the server's side are held against. */
#pragma once

#include "test.h"

#include <openssl/ec.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buf.h"

struct made {
	EVP_PKEY *key;
	X509 *x509;
	unsigned char *der;
	int n;
};

static inline struct str made_der(const struct made *m)
{
	return (struct str){ (const char *)m->der, (size_t)m->n };
}

static inline void made_free(struct made *m)
{
	EVP_PKEY_free(m->key);
	X509_free(m->x509);
	OPENSSL_free(m->der);
}

static inline void made_name(X509_NAME *name, const char *type, int mbstring, const char *value)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, type, mbstring,
						    (const unsigned char *)value, -1, -1, 0),
			 1);
}

/* O=Example, Inc., CN=`cn`; by itself, or by CN=`issuer`; `alt` as in openssl.cnf, NULL: no such extension. */
static inline struct made make_certificate(const char *cn, const char *issuer, const char *alt,
					   const char *not_before, const char *not_after)
{
	struct made m = { .key = EVP_EC_gen("P-256"), .x509 = X509_new() };
	X509_NAME *name = X509_get_subject_name(m.x509);
	ASN1_TIME *t = ASN1_TIME_new();

	assert_non_null(m.key);
	assert_int_equal(X509_set_version(m.x509, X509_VERSION_3), 1);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(m.x509), 0xaf0123456789abcdULL);
	assert_int_equal(ASN1_TIME_set_string(t, not_before), 1);
	X509_set1_notBefore(m.x509, t);
	assert_int_equal(ASN1_TIME_set_string(t, not_after), 1);
	X509_set1_notAfter(m.x509, t);
	ASN1_TIME_free(t);
	made_name(name, "C", MBSTRING_ASC, "DE");
	made_name(name, "O", MBSTRING_ASC, "Example, Inc.");
	if (cn)
		made_name(name, "CN", MBSTRING_UTF8, cn);
	if (issuer)
		made_name(X509_get_issuer_name(m.x509), "CN", MBSTRING_ASC, issuer);
	else
		X509_set_issuer_name(m.x509, name);
	X509_set_pubkey(m.x509, m.key);
	if (alt) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);

		assert_non_null(e);
		assert_int_equal(X509_add_ext(m.x509, e, -1), 1);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(m.x509, m.key, EVP_sha256()) > 0);
	m.n = i2d_X509(m.x509, &m.der);
	assert_true(m.n > 0);
	return m;
}

struct handshake {
	int version; /* TLS1_2_VERSION … */
	const char *
		groups; /* that the server takes; NULL: all. Others than the client's first: it is asked again */
	SSL_SESSION **resume; /* of client and server; NULL: a new one */
	SSL_SESSION **ret_sessions;
	unsigned fragment; /* bytes of a record of the server; 0: as OpenSSL likes */
};

/* Moves what one side wrote to the other, and keeps it. */
static inline void handshake_move(SSL *from, SSL *to, struct buf *keep)
{
	char part[4096];
	int n;

	while ((n = BIO_read(SSL_get_wbio(from), part, sizeof(part))) > 0) {
		assert_int_equal(BIO_write(SSL_get_rbio(to), part, n), n);
		buf_put(keep, part, (size_t)n);
	}
}

/* Both sides in memory until they are done: the bytes of each. */
static inline void make_handshake(const struct made *m, const struct handshake *h,
				  struct buf *client, struct buf *server)
{
	SSL_CTX *ctx[2];
	SSL *ssl[2];

	for (int i = 0; i < 2; i++) {
		ctx[i] = SSL_CTX_new(i ? TLS_server_method() : TLS_client_method());
		SSL_CTX_set_min_proto_version(ctx[i], h->version);
		SSL_CTX_set_max_proto_version(ctx[i], h->version);
		SSL_CTX_set_security_level(ctx[i], 0);
	}
	SSL_CTX_use_certificate(ctx[1], m->x509);
	SSL_CTX_use_PrivateKey(ctx[1], m->key);
	SSL_CTX_set_session_id_context(ctx[1], (const unsigned char *)"egret", 5);
	if (h->groups)
		assert_int_equal(SSL_CTX_set1_groups_list(ctx[1], h->groups), 1);
	if (h->fragment)
		SSL_CTX_set_max_send_fragment(ctx[1], h->fragment);
	if (h->resume) /* a ticket would be sealed with a key of the other server's */
		SSL_CTX_add_session(ctx[1], h->resume[1]);
	SSL_CTX_set_options(ctx[1], SSL_OP_NO_TICKET);
	for (int i = 0; i < 2; i++) {
		ssl[i] = SSL_new(ctx[i]);
		SSL_set_bio(ssl[i], BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	}
	if (h->resume)
		SSL_set_session(ssl[0], h->resume[0]);
	SSL_set_tlsext_host_name(ssl[0], "a.example");
	SSL_set_connect_state(ssl[0]);
	SSL_set_accept_state(ssl[1]);
	for (int round = 0; round < 8; round++) {
		SSL_do_handshake(ssl[0]);
		handshake_move(ssl[0], ssl[1], client);
		SSL_do_handshake(ssl[1]);
		handshake_move(ssl[1], ssl[0], server);
	}
	assert_true(SSL_is_init_finished(ssl[0]) && SSL_is_init_finished(ssl[1]));
	assert_int_equal(SSL_session_reused(ssl[0]), !!h->resume);
	for (int i = 0; i < 2 && h->ret_sessions; i++)
		h->ret_sessions[i] = SSL_SESSION_dup(
			SSL_get0_session(ssl[i])); /* the context's end ends its own */
	for (int i = 0; i < 2; i++) {
		SSL_free(ssl[i]);
		SSL_CTX_free(ctx[i]);
	}
}
