/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIC Initial packets of versions 1 (RFC 9000, 9001) and 2 (RFC 9369), and of the IETF drafts with known salts:
 * unprotected with the keys every observer can derive, so that the ClientHello inside can be read. gQUIC
 * (Q043, Q046, Q050) is recognised by its header and its CHLO tags are read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct quic; /* what one flow's handshake needs: keys and CRYPTO bytes by offset; about 18 KiB, bounded */

struct quic_result {
	uint32_t version;
	struct str
		crypto; /* ClientHello handshake bytes, contiguous from offset 0 so far; owned by the quic */
	struct str gquic_sni, gquic_ua; /* of a gQUIC CHLO, else empty */
};

/* A client's datagram begins like QUIC (long header, known version, plausible lengths). Looks, does not decrypt. */
bool quic_is_initial(struct str datagram);

int quic_new(struct quic **ret); /* -ENOMEM */
struct quic *quic_free(struct quic *q);

/*
 * A datagram of the client, coalesced packets included, in any order. 0: something new was read; -EAGAIN: an Initial
 * that brought nothing new; -EBADMSG: not readable (other version, wrong keys, not an Initial). A Retry changes the
 * keys: the client's next Initial has a new Destination Connection ID and no packet decrypts with the old keys, which
 * is tried before -EBADMSG.
 */
int quic_client_datagram(struct quic *q, struct str datagram, struct quic_result *ret);
const char *quic_version_name(uint32_t version,
			      char text[16]); /* "v1", "v2", "draft-29", "Q046", "0x…" */
