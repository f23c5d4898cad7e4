/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the TLS decoder only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/tls.h"

bool tls_is_grease(uint16_t v); /* RFC 8701: 0x0a0a, 0x1a1a … 0xfafa */
bool tls_version_is_sane(uint16_t version, enum tls_transport t);
