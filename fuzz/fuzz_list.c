/* SPDX-License-Identifier: Apache-2.0 */
/* Lists come from anybody's web server: any bytes, read as any format, give valid entries or a word of what is wrong. */
#include <stdlib.h>

#include "policy/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_entry(void *ctx, const struct list_entry *e)
{
	++*(uint64_t *)ctx;
	if (e->confidence > 100 || e->seen_s < 0 ||
	    (e->port && e->kind != LIST_RANGE && e->kind != LIST_NAME))
		abort();
	if (e->kind == LIST_RANGE) {
		/* never turned round, never of two families, a port only for one address */
		if (memcmp(&e->lo, &e->hi, sizeof(e->lo)) > 0 ||
		    addr_is_v4(&e->lo) != addr_is_v4(&e->hi) ||
		    (e->port && !addr_eq(&e->lo, &e->hi)))
			abort();
	} else if (!e->text.n) {
		abort();
	}
	if (e->kind == LIST_NAME || e->kind == LIST_BELOW || e->kind == LIST_TREE)
		for (size_t i = 0; i < e->text.n; i++)
			if ((e->text.p[i] >= 'A' && e->text.p[i] <= 'Z') || (e->text.p[i] & 0x80))
				abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int format = LIST_AUTO; format < LIST_FORMAT_COUNT; format++) {
		struct list_report report = { 0 };
		uint64_t n = 0;
		int r = list_parse((enum list_format)format,
				   (struct str){ (const char *)data, size },
				   (struct list_sink){ on_entry, &n, 1790000000 }, &report);

		if (n != report.entries || (r < 0 && !report.first_bad[0]) ||
		    (report.bad && !report.first_bad[0]))
			abort();
	}
	return 0;
}
