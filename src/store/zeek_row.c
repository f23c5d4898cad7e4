/* SPDX-License-Identifier: Apache-2.0 */
#include "store/zeek_row.h"

#include "base/time.h"
#include "decode/event.h"

void zeek_unset(struct buf *out, unsigned n)
{
	while (n--)
		buf_puts(out, "-\t");
}

/*
 * As Zeek's ASCII writer: what would end a column, a line or an element, and what is no printable ASCII, as \xHH. UTF-8 is left
 * as it is. A text that looks like the mark of an unset or empty column gets its first byte escaped.
 */
static void put_escaped(struct buf *out, struct str s, bool element)
{
	bool mark = str_eq(s, STR("-")) || str_eq(s, STR("(empty)"));

	while (s.n) {
		unsigned char c = (unsigned char)s.p[0];
		size_t n = str_utf8(s);

		if (!n || mark || c < ' ' || c == 0x7f || (element && c == ',')) {
			buf_printf(out, "\\x%02x", c);
			n = 1;
		} else if (c == '\\') {
			buf_puts(out, "\\\\");
		} else {
			buf_put(out, s.p, n);
		}
		mark = false;
		s = str_sub(s, n, s.n);
	}
}

void zeek_put(struct buf *out, struct str text)
{
	if (text.n)
		put_escaped(out, text, false);
	else
		buf_putc(out, '-');
	buf_putc(out, '\t');
}

void zeek_put_text(struct buf *out, const char *text)
{
	zeek_put(out, str_of(text));
}

void zeek_put_u64(struct buf *out, uint64_t v)
{
	buf_printf(out, "%llu\t", (unsigned long long)v);
}

void zeek_put_bool(struct buf *out, bool v)
{
	buf_puts(out, v ? "T\t" : "F\t");
}

void zeek_put_time(struct buf *out, uint64_t ns)
{
	buf_printf(out, "%llu.%06llu\t", (unsigned long long)(ns / NSEC_PER_SEC),
		   (unsigned long long)(ns % NSEC_PER_SEC / NSEC_PER_USEC));
}

void zeek_put_addr(struct buf *out, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	buf_puts(out, addr_format(a, text));
	buf_putc(out, '\t');
}

void zeek_put_ends(struct buf *out, const struct event_key *k)
{
	zeek_put_addr(out, &k->src);
	zeek_put_u64(out, k->sport);
	zeek_put_addr(out, &k->dst);
	zeek_put_u64(out, k->dport);
}

void zeek_put_uid(struct buf *out, uint64_t flow_id)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	char text[16];
	size_t at = sizeof(text);

	do {
		text[--at] = digits[flow_id % 62];
		flow_id /= 62;
	} while (flow_id);
	buf_putc(out, 'C');
	buf_put(out, text + at, sizeof(text) - at);
	buf_putc(out, '\t');
}

void zeek_end_row(struct buf *out)
{
	if (!out->failed)
		out->p[out->n - 1] = '\n';
}

void zeek_list_add(struct zeek_list *l, struct str element)
{
	if (l->any)
		buf_putc(l->out, ',');
	l->any = true;
	if (element.n)
		put_escaped(l->out, element, true);
	else
		buf_puts(l->out, "(empty)");
}

void zeek_list_end(struct zeek_list *l)
{
	buf_puts(l->out, l->any ? "\t" : "-\t");
}
