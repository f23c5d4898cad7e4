/* SPDX-License-Identifier: Apache-2.0 */
#include "store/outlet_tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "store/outlet.h"

struct outlet_tls {
	SSL_CTX *ctx;
	SSL *ssl; /* of this connection; NULL: none */
	char addr[ADDR_TEXT_MAX];
};

int outlet_tls_new(struct outlet_tls **ret, const char *ca, const struct outlet_target *to)
{
	const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&to->to;
	struct outlet_tls *t = calloc(1, sizeof(*t));
	struct addr a = addr_from_v6(&in->sin6_addr);
	int ok;

	if (!t)
		return -ENOMEM;
	addr_format(&a, t->addr);
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (!t->ctx) {
		outlet_tls_free(t);
		return -ENOMEM;
	}
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	/* The queue may have moved between two tries with the same bytes. */
	SSL_CTX_set_mode(t->ctx,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	ok = ca ? SSL_CTX_load_verify_file(t->ctx, ca) : SSL_CTX_set_default_verify_paths(t->ctx);
	ERR_clear_error();
	if (!ok) {
		outlet_tls_free(t);
		return -EBADMSG;
	}
	*ret = t;
	return 0;
}

void outlet_tls_free(struct outlet_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	free(t);
}

int outlet_tls_begin(struct outlet_tls *t, int fd)
{
	outlet_tls_end(t);
	t->ssl = SSL_new(t->ctx);
	if (!t->ssl || !SSL_set_fd(t->ssl, fd) ||
	    !X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), t->addr))
		return -ENOMEM;
	SSL_set_connect_state(t->ssl);
	return 0;
}

ssize_t outlet_tls_send(struct outlet_tls *t, const char *p, size_t n)
{
	size_t done;
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_write_ex(t->ssl, p, n, &done);
	if (r > 0)
		return (ssize_t)done;
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_SYSCALL:
		return errno == ENOTCONN ? -EAGAIN : errno ? -errno : -EPIPE;
	default:
		return SSL_get_verify_result(t->ssl) == X509_V_OK ? -EPROTO : -EKEYREJECTED;
	}
}

int outlet_tls_still_there(struct outlet_tls *t)
{
	char said[256];
	size_t n;
	int r;

	if (!SSL_is_init_finished(t->ssl))
		return 0;
	ERR_clear_error();
	do
		r = SSL_read_ex(t->ssl, said, sizeof(said), &n);
	while (r > 0);
	r = SSL_get_error(t->ssl, r);
	return r == SSL_ERROR_WANT_READ || r == SSL_ERROR_WANT_WRITE ? 0 : -EPIPE;
}

void outlet_tls_end(struct outlet_tls *t)
{
	if (!t)
		return;
	if (t->ssl && SSL_is_init_finished(t->ssl))
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	t->ssl = NULL;
	ERR_clear_error();
}
