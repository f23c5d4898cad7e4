/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are at home: protocols at ports, programs in networks that they call by address, names that anybody may have.
 * What is found at home is no sign of anything. Tables in places.c; nothing here is state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/intern.h"
#include "decode/appproto.h"

/* Does `app` ordinarily listen on `port`? Of protocols that choose their ports freely: always. */
bool port_is_home(enum app_proto app, uint16_t port);

/* Is `port` known for something (IANA's registry, or common use) that the decoders do not tell by name? */
bool port_has_service(uint16_t port);

/* Whose network this is, where its programs are known to call addresses and not names; NULL: nobody's. */
const char *network_owner(const struct addr *a);

bool addr_is_public_resolver(const struct addr *a);
bool addr_is_broadcast(const struct addr *a); /* 255.255.255.255; of a private /24, its last */

enum name_kind {
	NAME_ORDINARY,
	NAME_DYNAMIC,       /* below a domain of a dynamic DNS or tunnel provider */
	NAME_TELLS_ADDRESS, /* a service that tells its caller's public address */
};
enum name_kind name_kind(const struct text *name); /* cached, for one thread; NULL: ordinary */
