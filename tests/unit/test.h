/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with its mandatory includes, and three words of our own. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_ok(r) assert_true((r) >= 0)
#define assert_err(r, e) assert_int_equal((r), (e))
#define assert_str(s, lit) test_assert_str((s), (lit), __FILE__, __LINE__)

static inline void test_assert_str(struct str s, const char *want, const char *file, int line)
{
	if (s.n != strlen(want) || (s.n && memcmp(s.p, want, s.n))) {
		print_error("\"%.*s\" is not \"%s\"\n", (int)s.n, s.p ? s.p : "", want);
		_fail(file, line);
	}
}

/* "…/shared/data/name" into `path`; skips the test, by name, when the data is not there. */
static inline const char *test_data(const char *name, char path[512])
{
	const char *root = getenv("EGRET_DATA");
	FILE *f;

	snprintf(path, 512, "%s/%s", root ? root : "../shared/data", name);
	f = fopen(path, "r");
	if (!f) {
		print_message("no %s\n", path);
		skip();
	}
	fclose(f);
	return path;
}
