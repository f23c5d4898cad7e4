/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define MAX_COLUMNS 16
#define MAX_TEXT (64U << 20)
#define MIN_ELASTIC 8U

struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct buf text; /* all cells, each ended by a NUL */
	size_t n_cells;
	unsigned width[MAX_COLUMNS];
};

int table_new(struct table **ret, const struct table_column *columns, size_t n_columns)
{
	struct table *t = n_columns <= MAX_COLUMNS ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return -ENOMEM;
	t->columns = columns;
	t->n_columns = n_columns;
	t->text = BUF_INIT(MAX_TEXT);
	for (size_t i = 0; i < n_columns; i++)
		t->width[i] = (unsigned)strlen(columns[i].title);
	*ret = t;
	return 0;
}

struct table *table_free(struct table *t)
{
	if (t)
		buf_done(&t->text);
	free(t);
	return NULL;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Characters, not bytes: wide scripts may still come out too wide, which shifts a row and nothing more. */
static unsigned text_width(const char *c)
{
	unsigned n = 0;

	for (; *c; c++)
		n += !is_continuation(*c);
	return n;
}

void table_cell(struct table *t, struct str text)
{
	size_t column = t->n_cells % t->n_columns, from = t->text.n;
	unsigned width;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool c1 = c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0;

		i += c1; /* U+0080 to U+009F: control characters of their own */
		buf_putc(&t->text, c < 0x20 || c == 0x7f || c1 ? '?' : (char)c);
	}
	buf_putc(&t->text, 0);
	if (t->text.failed)
		return;
	width = text_width(t->text.p + from);
	t->width[column] = MAX(t->width[column], width);
	t->n_cells++;
}

/* Takes from the widest elastic column until the row fits or all are at their least. */
static void fit(const struct table *t, unsigned *widths, unsigned most)
{
	for (;;) {
		unsigned total = 0, widest = 0, step;
		size_t at = t->n_columns;

		for (size_t i = 0; i < t->n_columns; i++) {
			total += widths[i] + (i ? 2 : 0);
			if (t->columns[i].elastic && widths[i] > MIN_ELASTIC &&
			    widths[i] > widest) {
				widest = widths[i];
				at = i;
			}
		}
		if (total <= most || at == t->n_columns)
			return;
		step = MAX(1U, (widest - MIN_ELASTIC) / 4);
		widths[at] -= MIN(total - most, step);
	}
}

static void print_cell(FILE *to, const char *c, unsigned width, bool right, bool last)
{
	unsigned have = text_width(c), shown = 0;

	if (right && have < width)
		fprintf(to, "%*s", (int)(width - have), "");
	for (; *c; c++) {
		if (!is_continuation(*c) && shown++ == width - 1 && have > width) {
			fputs("…", to);
			break;
		}
		fputc(*c, to);
	}
	if (!right && !last && have < width)
		fprintf(to, "%*s", (int)(width - have), "");
	fputs(last ? "\n" : "  ", to);
}

void table_print(struct table *t, FILE *to, unsigned width)
{
	unsigned widths[MAX_COLUMNS];
	const char *cell = t->text.p;

	memcpy(widths, t->width, sizeof(widths));
	if (width)
		fit(t, widths, width);
	for (size_t i = 0; i < t->n_columns; i++)
		print_cell(to, t->columns[i].title, widths[i], t->columns[i].right,
			   i + 1 == t->n_columns);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t column = i % t->n_columns;

		print_cell(to, cell, widths[column], t->columns[column].right,
			   column + 1 == t->n_columns);
		cell += strlen(cell) + 1;
	}
}

unsigned terminal_width(FILE *to)
{
	struct winsize size;

	if (!isatty(fileno(to)) || ioctl(fileno(to), TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}
