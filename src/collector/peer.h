/* SPDX-License-Identifier: Apache-2.0 */
/* Who an agent is: the client certificate of its connection. */
#pragma once

#include <gnutls/gnutls.h>
#include <stdbool.h>

struct peer;

/* After the handshake. NULL: `*ret_why` says what is wrong with the certificate, or that there is none. */
struct peer *peer_new(gnutls_session_t session, const char **ret_why);
struct peer *peer_free(struct peer *p);
/* Is the host one of its names (SAN, else CN; wildcards as of any certificate)? */
bool peer_may(void *peer, const char *host);
