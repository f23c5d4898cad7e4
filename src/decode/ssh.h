/* SPDX-License-Identifier: Apache-2.0 */
/* The SSH identification string (RFC 4253 section 4.2); lines before it (servers may send some) are skipped. */
#pragma once

#include "base/str.h"

struct ssh_banner {
	struct str proto_version, software_version; /* "2.0", "OpenSSH_9.2p1" */
};

int ssh_banner_parse(struct str bytes, struct ssh_banner *ret); /* 0, -EAGAIN, -EBADMSG */
