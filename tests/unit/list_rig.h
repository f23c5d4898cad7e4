/* SPDX-License-Identifier: Apache-2.0 */
/* What a list gave, as text. */
#pragma once

#include "test.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/list_format.h"

/* Entries as text, one a line: "range 192.0.2.1-192.0.2.9 port 443 [note]", "name x", "below x", "tree x" … */
struct seen {
	struct buf text;
	uint64_t n;
	uint64_t kinds[LIST_HASH + 1];
	int stop_after;
};

static inline int on_entry(void *ctx, const struct list_entry *e)
{
	static const char *const words[] = { "range", "name", "below", "tree", "url",
					     "path",  "ja3",  "ja4",   "cert", "hash" };
	struct seen *s = ctx;
	char lo[ADDR_TEXT_MAX], hi[ADDR_TEXT_MAX];

	s->n++;
	s->kinds[e->kind]++;
	if (s->stop_after && s->n == (uint64_t)s->stop_after)
		return -ECANCELED;
	if (s->text.n > 8000)
		return 0;
	buf_printf(&s->text, "%s ", words[e->kind]);
	if (e->kind != LIST_RANGE)
		buf_printf(&s->text, "%.*s", STR_FMT(e->text));
	else if (addr_eq(&e->lo, &e->hi))
		buf_puts(&s->text, addr_format(&e->lo, lo));
	else
		buf_printf(&s->text, "%s-%s", addr_format(&e->lo, lo), addr_format(&e->hi, hi));
	if (e->port)
		buf_printf(&s->text, " port %u", e->port);
	if (e->note.n)
		buf_printf(&s->text, " [%.*s]", STR_FMT(e->note));
	if (e->confidence)
		buf_printf(&s->text, " %u%%", e->confidence);
	if (e->seen_s)
		buf_printf(&s->text, " seen %lld", (long long)e->seen_s);
	buf_putc(&s->text, '\n');
	return 0;
}

static inline int read_as(enum list_format format, struct str text, int64_t now_s, struct seen *s,
			  struct list_report *report)
{
	*s = (struct seen){ .text = BUF_INIT(16384) };
	*report = (struct list_report){ 0 };
	return list_parse(format, text, (struct list_sink){ on_entry, s, now_s }, report);
}

static inline void expect_at(const char *text, enum list_format found, const char *want,
			     uint64_t skipped, uint64_t bad, int64_t now_s, const char *file,
			     int line)
{
	struct list_report report;
	struct seen s;
	int r = read_as(LIST_AUTO, str_of(text), now_s, &s, &report);

	if (r != 0 || report.format != found || report.skipped != skipped || report.bad != bad ||
	    strcmp(s.text.p ? s.text.p : "", want)) {
		print_error("gave %d, format %d, skipped %lu, bad %lu (line %u: %s)\n%s\n", r,
			    report.format, report.skipped, report.bad, report.first_bad_line,
			    report.first_bad, s.text.p ? s.text.p : "");
		_fail(file, line);
	}
	assert_int_equal(report.entries, s.n);
	buf_done(&s.text);
}
#define expect(text, found, want, skipped, bad) \
	expect_at(text, found, want, skipped, bad, 0, __FILE__, __LINE__)
#define expect_on(now_s, text, found, want, skipped, bad) \
	expect_at(text, found, want, skipped, bad, now_s, __FILE__, __LINE__)
