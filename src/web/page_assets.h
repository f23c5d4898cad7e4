/* SPDX-License-Identifier: Apache-2.0 */
/* The page's files (web/), bundled, compressed by gzip and embedded at build time; a generated table. */
#pragma once

#include <stddef.h>

struct page_asset {
	const char *path, *type; /* "/app.js", "text/javascript; charset=utf-8" */
	const unsigned char *gz;
	size_t n;
	const char *etag; /* with its quotes */
};

extern const struct page_asset page_assets[];
extern const size_t page_assets_n; /* 0: built without Node */
