/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lease files of DHCP servers: which machine has an address, and what it calls itself. The form is told from the text:
 *
 *     dnsmasq   "EXPIRY MAC ADDRESS NAME CLIENT-ID", for IPv6 "EXPIRY IAID ADDRESS NAME DUID"; * is none
 *     Kea       CSV with a head, memfile of DHCPv4 and DHCPv6; a later line takes the place of an earlier one
 *     ISC       "lease ADDRESS { … }", the same
 *
 * Names are what clients say of themselves: kept only when they are host names (RFC 952, RFC 1123) and not
 * written as an address, in lower case.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

#define MAC_BYTES 6
#define MAC_TEXT_MAX 18
#define HOST_NAME_MAX_BYTES 253

struct lease {
	struct addr addr;
	uint8_t mac[MAC_BYTES];
	bool has_mac;
	bool over;       /* given back, or given to nobody any more */
	struct str name; /* may be empty */
};

/* `lease` and its name are valid during the call only. */
void leases_parse(struct str text, void (*fn)(void *ctx, const struct lease *lease), void *ctx);

/* Lower case, without the dot at the end; 0: no host name. `ret` has room for HOST_NAME_MAX_BYTES. */
size_t host_name_copy(struct str s, char *ret);
int mac_parse(struct str s, uint8_t ret[MAC_BYTES]); /* 0 or -EINVAL */
char *mac_format(const uint8_t mac[MAC_BYTES], char text[MAC_TEXT_MAX]);
