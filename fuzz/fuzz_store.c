/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What history's bytes may be: rows from a queue or a memfd (first byte even), a day's file that somebody made (odd), the sums of a
 * bucket (both). What is read as a row is written and read again to the same.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/read_day.h"
#include "store/row_code.h"
#include "store/sum_code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_row(void *ctx, const struct store_row *row, int64_t id)
{
	struct store_key_scratch scratch;
	struct store_key key;

	store_row_key(row, &scratch, &key);
	return 0;
}

static void read_rows(struct str s)
{
	struct store_row row, again;

	while (store_row_decode(&s, &row) == 1) {
		_cleanup_buf_ struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
		struct str rest;

		store_row_encode(&row, &a);
		rest = buf_str(&a);
		if (a.failed || store_row_decode(&rest, &again) != 1)
			abort();
		store_row_encode(&again, &b);
		if (!str_eq(buf_str(&a), buf_str(&b)))
			abort();
		on_row(NULL, &row, 0);
	}
}

static void read_sums(struct str s)
{
	uint32_t last_key = 0;
	struct sum_entry e;

	while (sum_take(&s, &e, &last_key) == 1)
		;
}

static void read_file(struct str s)
{
	char path[] = "/tmp/egret-fuzz-XXXXXX", error[DB_ERROR_MAX];
	_cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
	struct day *d = NULL;

	if (fd >= 0 && write(fd, s.p, s.n) == (ssize_t)s.n && day_open(&d, path, error) == 0) {
		const struct store_hint hints[] = { { 0 },
						    { .name_below = STR("example") },
						    { .exe_name = STR("program1") },
						    { .flow_id = 7 } };

		for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
			day_read(d, 0, INT64_MAX, &hints[i], i % 2, on_row, NULL);
	}
	day_close(d);
	if (fd >= 0)
		unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data + 1, size - 1 };

	if (!size)
		return 0;
	read_sums(s);
	if (data[0] % 2)
		read_file(s);
	else
		read_rows(s);
	return 0;
}
