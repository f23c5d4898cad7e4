// SPDX-License-Identifier: Apache-2.0
/* Which format a list has, and the reader of each. What a list is good for is decided by whoever takes the entries. */
#include "policy/list.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "policy/list_format.h"

#define HEAD_BYTES (64U << 10) /* of the text that tells its format */

/* Ties go to the first: from the most to the least particular. */
static const struct list_reader *const readers[] = {
	&list_stix, &list_misp, &list_rpz, &list_adblock, &list_hosts, &list_csv, &list_plain,
};

static const struct list_reader *reader_of(enum list_format format)
{
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		if (readers[i]->format == format)
			return readers[i];
	return NULL;
}

static struct str without_bom(struct str text)
{
	return str_has_prefix(text, STR("\xef\xbb\xbf")) ? str_sub(text, 3, text.n) : text;
}

static const struct list_reader *best_reader(struct str text)
{
	struct str head = str_sub(text, 0, HEAD_BYTES);
	const struct list_reader *best = &list_plain;
	unsigned most = 0;

	/* the last line of the head is whole */
	if (head.n < text.n) {
		const char *end = memrchr(head.p, '\n', head.n);

		if (end)
			head.n = (size_t)(end - head.p) + 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		unsigned score = readers[i]->score(head);

		if (score > most) {
			most = score;
			best = readers[i];
		}
	}
	return best;
}

int list_parse(enum list_format format, struct str text, struct list_sink sink,
	       struct list_report *report)
{
	struct list_out o = { .sink = sink, .report = report };
	const struct list_reader *reader;
	int r;

	*report = (struct list_report){ .as_of_s = report->as_of_s };
	text = without_bom(text);
	reader = format == LIST_AUTO ? best_reader(text) : reader_of(format);
	if (!reader)
		return -EINVAL;
	report->format = reader->format;
	r = reader->parse(&o, text);
	if (o.r < 0)
		return o.r;
	if (r < 0)
		return r;
	return report->bad > report->entries + report->skipped ? -EINVAL : 0;
}

bool list_format_parse(struct str word, enum list_format *ret)
{
	static const char *const names[] = {
#define X(id, name) name,
		LIST_FORMATS(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!str_eq(word, str_of(names[i])))
			continue;
		*ret = (enum list_format)i;
		return true;
	}
	return false;
}
