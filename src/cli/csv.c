/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/csv.h"

#include <unistd.h>

#include "cli/cells.h"

void csv_put_text(struct buf *out, struct str text)
{
	bool plain = true;

	for (size_t i = 0; i < text.n && plain; i++)
		plain = text.p[i] && !strchr(",\"\n\r", text.p[i]);
	if (!plain)
		buf_putc(out, '"');
	if (text.n && text.p[0] && strchr("=+-@\t\r\n", text.p[0]))
		buf_putc(out, '\'');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"')
			buf_putc(out, '"');
		buf_putc(out, text.p[i]);
	}
	if (!plain)
		buf_putc(out, '"');
}

void csv_put_value(struct buf *out, const json_t *v)
{
	if (json_is_string(v))
		csv_put_text(out, (struct str){ json_string_value(v), json_string_length(v) });
	else if (json_is_integer(v))
		buf_printf(out, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		buf_printf(out, "%.9g", json_real_value(v));
	else if (json_is_boolean(v))
		buf_puts(out, json_is_true(v) ? "true" : "false");
}

void csv_print(struct buf *line, FILE *to)
{
	_cleanup_buf_ struct buf shown = BUF_INIT(line->max);
	const struct buf *put = line;

	if (line->n && isatty(fileno(to))) {
		cell_put_all(&shown, str_sub(buf_str(line), 0, line->n - 1));
		buf_putc(&shown, '\n');
		put = &shown;
	}
	fwrite(put->p, 1, put->n, to);
	buf_clear(line);
}
