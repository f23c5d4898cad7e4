/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/metrics.h"

#include "base/cleanup.h"

#define VALUE_MAX 128

static const struct {
	const char *name, *type, *help;
} metrics[] = {
#define X(id, name, type, labels, help) { name, type, help },
	METRICS(X)
#undef X
};

void metric_begin(struct metrics_out *m, enum metric id)
{
	if (m->family != (int)id)
		buf_printf(m->out, "# HELP %s %s\n# TYPE %s %s\n", metrics[id].name,
			   metrics[id].help, metrics[id].name, metrics[id].type);
	m->family = (int)id;
	m->labelled = false;
	buf_puts(m->out, metrics[id].name);
}

void metric_begin_part(struct metrics_out *m, enum metric id, const char *part)
{
	metric_begin(m, id);
	buf_puts(m->out, part);
}

static void put_value(struct buf *out, struct str s)
{
	size_t n;

	for (struct str rest = str_sub(s, 0, VALUE_MAX); rest.n; rest = str_sub(rest, n, rest.n)) {
		char c = rest.p[0];

		n = str_utf8(rest);
		if (!n) {
			n = 1;
			buf_puts(out, "\xef\xbf\xbd");
		} else if (c == '\n') {
			buf_puts(out, "\\n");
		} else {
			if (c == '"' || c == '\\')
				buf_putc(out, '\\');
			buf_put(out, rest.p, n);
		}
	}
}

void metric_label(struct metrics_out *m, const char *label, struct str value)
{
	buf_putc(m->out, m->labelled ? ',' : '{');
	m->labelled = true;
	buf_printf(m->out, "%s=\"", label);
	put_value(m->out, value);
	buf_putc(m->out, '"');
}

void metric_u64(struct metrics_out *m, uint64_t value)
{
	buf_printf(m->out, "%s %llu\n", m->labelled ? "}" : "", (unsigned long long)value);
}

void metric_f64(struct metrics_out *m, double value)
{
	buf_printf(m->out, "%s %.6f\n", m->labelled ? "}" : "", value);
}

void metric_put(struct metrics_out *m, enum metric id, uint64_t value)
{
	metric_begin(m, id);
	metric_u64(m, value);
}
