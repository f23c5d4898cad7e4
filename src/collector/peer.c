/* SPDX-License-Identifier: Apache-2.0 */
#include "collector/peer.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peer {
	gnutls_x509_crt_t certificate;
	char host[256]; /* that it may tell of: a certificate with many names is slow to ask */
};

static bool is_vouched_for(gnutls_session_t session)
{
	gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
					  .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT };
	unsigned wrong = 1;

	return gnutls_certificate_verify_peers(session, &purpose, 1, &wrong) == 0 && !wrong;
}

struct peer *peer_new(gnutls_session_t session, const char **ret_why)
{
	const gnutls_datum_t *chain;
	struct peer *p;
	unsigned n = 0;

	chain = gnutls_certificate_get_peers(session, &n);
	if (!chain || !n) {
		*ret_why = "a client certificate is needed ('certificate' and 'key' of the agent)";
		return NULL;
	}
	if (!is_vouched_for(session)) {
		*ret_why = "the client certificate is not one of its CA, or not of today";
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p || gnutls_x509_crt_init(&p->certificate) < 0) {
		*ret_why = "out of memory";
		free(p);
		return NULL;
	}
	if (gnutls_x509_crt_import(p->certificate, chain, GNUTLS_X509_FMT_DER) < 0) {
		*ret_why = "the client certificate cannot be read";
		return peer_free(p);
	}
	return p;
}

struct peer *peer_free(struct peer *p)
{
	if (p)
		gnutls_x509_crt_deinit(p->certificate);
	free(p);
	return NULL;
}

bool peer_may(void *peer, const char *host)
{
	struct peer *p = peer;

	if (!strcmp(p->host, host))
		return true;
	if (!gnutls_x509_crt_check_hostname(p->certificate, host))
		return false;
	snprintf(p->host, sizeof(p->host), "%s", host);
	return true;
}
