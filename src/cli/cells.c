/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cells.h"

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

static bool utf8;

void cells_init(void)
{
	setlocale(LC_CTYPE, "");
	utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
}

bool cells_are_utf8(void)
{
	return utf8;
}

/* One character of a text as it will be shown. */
struct glyph {
	const char *p;
	size_t n, columns;
};

static const struct glyph hidden = { "?", 1, 1 };

/* RFC 3629; 0: no character begins here. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = p[0];

	if (!len || len > n || p[0] > 0xf4)
		return 0;
	if (len > 1)
		c &= 0x7fU >> len;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return len;
}

/* Unicode "format" characters (Cf) that hide or reorder text, and the separators that end a line. */
static bool deceives(uint32_t c)
{
	return c == 0xad || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/* Takes the next character off *text, which is not empty. */
static struct glyph next_glyph(struct str *text)
{
	const unsigned char *p = (const unsigned char *)text->p;
	struct glyph g = hidden;
	uint32_t c = 0;
	size_t len = decode(p, text->n, &c);
	int columns = 1;

	*text = str_sub(*text, len ? len : 1, text->n);
	if (!len || c < 0x20 || (c >= 0x7f && c < 0xa0) || deceives(c) || (c >= 0x80 && !utf8))
		return g;
	if (c >= 0x80)
		columns = wcwidth((wchar_t)c);
	if (columns < 0)
		return g;
	return (struct glyph){ (const char *)p, len, (size_t)columns };
}

size_t cell_width(struct str text)
{
	size_t columns = 0;

	while (text.n)
		columns += next_glyph(&text).columns;
	return columns;
}

static void put_blanks(struct buf *out, size_t n)
{
	char *at = buf_reserve(out, n);

	if (!at)
		return;
	memset(at, ' ', n);
	at[n] = 0;
	out->n += n;
}

void cell_put(struct buf *out, struct str text, size_t width, bool right)
{
	struct str ahead = text;
	size_t full = 0, shown = 0, most;

	/* Long texts are looked at only as far as they could be shown. */
	while (ahead.n && full <= width)
		full += next_glyph(&ahead).columns;
	if (right && full < width)
		put_blanks(out, width - full);
	most = full > width ? width - (width > 0) : width;
	while (text.n) {
		struct glyph g = next_glyph(&text);

		if (shown + g.columns > most)
			break;
		buf_put(out, g.p, g.n);
		shown += g.columns;
	}
	if (full > width && width) {
		put_blanks(out, most - shown); /* a wide character that did not fit */
		buf_puts(out, utf8 ? "\xe2\x80\xa6" : "~");
		shown = width;
	}
	if (!right && shown < width)
		put_blanks(out, width - shown);
}

void cell_put_all(struct buf *out, struct str text)
{
	while (text.n) {
		struct glyph g = next_glyph(&text);

		buf_put(out, g.p, g.n);
	}
}
