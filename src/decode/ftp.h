/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of an FTP control connection (RFC 959): does it hand files over? */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* A whole line that is STOR, STOU or APPE stands in the client's bytes; nothing behind AUTH TLS is read as a command. */
bool ftp_client_stores(struct str client_bytes);
