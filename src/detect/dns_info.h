/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much was said in names that were never said before: distinct bytes, counted by a bottom-k sample. Each name has a rank,
 * -ln(hash) / length with the hash as a number between 0 and 1; the k of the least ranks are kept. Below k names the count is exact;
 * above it a name of n bytes is kept with probability 1 - exp(-n t), t the least rank that was not kept, and stands for as many.
 * The standard error of the bytes is 1 / sqrt(k - 2), 12.7 % at k = 64, however unequal names are. Asking again for a name adds
 * nothing: caches, retries and second resolvers do not count. After E. Cohen and H. Kaplan, "Summarizing data using bottom-k
 * sketches" (2007). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define DNS_SAMPLE 64

/* What is known of a name; bits. */
enum dns_trait {
	DNS_DATA = 1,     /* looks like encoded data rather than something somebody chose */
	DNS_CARRIER = 2,  /* asked for by a type that carries data back: TXT, NULL, CNAME, MX … */
	DNS_NX = 4,       /* does not exist */
	DNS_FOLLOWED = 8, /* a flow went to an address it resolved to */
	DNS_ADDRESS = 16, /* an address written backwards, as in block lists */
	DNS_PRIVATE = 32, /* resolved to an address of the inside */
	DNS_HEX = 64,     /* its data is hexadecimal: two characters a byte */
	DNS_OCTETS = 128, /* … or octets that are no characters */
};

struct dns_sample {
	float below; /* ranks from here on are not kept; INFINITY: none had to go yet */
	uint32_t hash[DNS_SAMPLE];
	uint8_t bytes[DNS_SAMPLE]; /* octets, dots not counted; at least 1 */
	uint8_t traits[DNS_SAMPLE];
	uint8_t n;
};

void dns_sample_clear(struct dns_sample *s);
bool dns_sample_add(struct dns_sample *s, uint32_t hash, uint8_t bytes,
		    uint8_t traits); /* true: was not in it and is now */
void dns_sample_mark(struct dns_sample *s, uint32_t hash, uint8_t traits);
void dns_sample_remove(struct dns_sample *s, uint32_t hash);
void dns_sample_merge(struct dns_sample *into, const struct dns_sample *from);

struct dns_total {
	double names, bytes; /* estimates; exact while few */
	double share[8];     /* of the names, by bit of enum dns_trait */
};
void dns_sample_total(const struct dns_sample *s, struct dns_total *ret);
double dns_share(const struct dns_total *t, enum dns_trait trait);

/* Of the part of a name before its domain, lower case, odd octets as \DDD: DATA, ADDRESS, HEX, OCTETS; and its octets. */
uint8_t dns_name_traits(struct str sub, uint8_t *ret_bytes);
/* "4.3.2.1.in-addr.arpa", and the same of IPv6: what looking an address up takes. */
bool dns_is_reverse(struct str name);
