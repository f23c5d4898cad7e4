/* SPDX-License-Identifier: Apache-2.0 */
/* The API in words for machines: OpenAPI 3.0.3, from the table of route.h. docs/openapi.json is what comes out. */
#pragma once

#include "base/buf.h"

void openapi_put(struct buf *out);
