/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the SQLite store: which files there are. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define STORE_FINDINGS_FILE "findings.db"
#define STORE_FILES_MAX 4096

struct store_files { /* days or months, ascending */
	int64_t v[STORE_FILES_MAX];
	size_t n;
};

/* Those of a folder whose name `parse` knows. 0 or -errno. */
int store_files(const char *dir, bool (*parse)(const char *name, int64_t *ret),
		struct store_files *ret);
