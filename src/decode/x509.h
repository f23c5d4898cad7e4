/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate (RFC 5280) as it was sent: what it says of itself. Nothing is verified: no signature, no chain, no
 * validity; whoever wants to lie can. Views into the DER bytes; no allocation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define X509_NAMES_MAX 2048 /* alternative names that are looked at */

struct x509 {
	struct str der;             /* the certificate, whatever follows it left out */
	struct str serial;          /* bytes of the INTEGER, a leading zero as encoded */
	struct str issuer, subject; /* contents of the Names: for x509_name_text() */
	struct str common_name;     /* last CN of the subject, as encoded; empty: none */
	uint8_t common_name_tag;    /* its ASN.1 string type */
	bool has_validity;
	int64_t not_before_s,
		not_after_s;  /* Unix seconds; may lie before 1970 and up to the year 9999 */
	bool self_issued;     /* issuer and subject are the same bytes (RFC 5280 6.1) */
	struct str alt_names; /* contents of the subjectAltName's GeneralNames; empty: none */
	uint16_t n_dns_names; /* dNSNames in there, up to X509_NAMES_MAX */
};

int x509_parse(struct str der, struct x509 *ret); /* 0; -EBADMSG */

/*
 * Does the certificate claim this name? By its dNSNames, or without any by its CN (RFC 6125 6.4, B.2); "*." stands
 * for one label. An address is looked for among the iPAddresses. Case is ignored, and a dot at the end.
 */
bool x509_covers(const struct x509 *x, struct str name);

/* dNSNames one by one: *at starts at 0. False: no more. */
bool x509_next_dns_name(const struct x509 *x, size_t *at, struct str *ret);

/* "C=US, O=GitHub, Inc., CN=www.github.com", in the order encoded; types without a short name as their OID. */
void x509_name_text(struct str name, struct buf *out);
void x509_common_name_text(const struct x509 *x,
			   struct buf *out); /* UTF-8 as far as the type tells */
