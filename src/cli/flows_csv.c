/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/flows_csv.h"

#include "base/cleanup.h"
#include "cli/csv.h"

/* Column and where the record has it. */
static const struct {
	const char *column, *first, *second;
} columns[] = {
	{ "start", "flow", "start" },
	{ "end", "flow", "end" },
	{ "direction", "egret", "direction" },
	{ "program", "process", "name" },
	{ "executable", "process", "executable" },
	{ "pid", "process", "pid" },
	{ "user", "user", "name" },
	{ "unit", "service", "name" },
	{ "container", "container", "name" },
	{ "name", "egret", "name" },
	{ "name_source", "egret", "name_source" },
	{ "src_ip", "src_ip", NULL },
	{ "src_port", "src_port", NULL },
	{ "dest_ip", "dest_ip", NULL },
	{ "dest_port", "dest_port", NULL },
	{ "proto", "proto", NULL },
	{ "app_proto", "app_proto", NULL },
	{ "pkts_toserver", "flow", "pkts_toserver" },
	{ "pkts_toclient", "flow", "pkts_toclient" },
	{ "bytes_toserver", "flow", "bytes_toserver" },
	{ "bytes_toclient", "flow", "bytes_toclient" },
	{ "state", "flow", "state" },
	{ "reason", "flow", "reason" },
	{ "community_id", "community_id", NULL },
	{ "verdict", "egret", "verdict" },
	{ "would_deny", "egret", "would_deny" },
	{ "rule", "egret", "rule" },
	{ "host", "host", NULL },
};

/* "FILE:LINE TEXT" */
static void put_rule(struct buf *out, const json_t *rule)
{
	const char *file = json_string_value(json_object_get(rule, "file"));
	const char *text = json_string_value(json_object_get(rule, "text"));
	_cleanup_buf_ struct buf b = BUF_INIT(1U << 16);

	if (file)
		buf_printf(&b, "%s:%lld ", file,
			   (long long)json_integer_value(json_object_get(rule, "line")));
	if (text)
		buf_puts(&b, text);
	if (b.n && !b.failed)
		csv_put_text(out, buf_str(&b));
}

void flows_csv_head(struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		buf_printf(out, "%s%s", i ? "," : "", columns[i].column);
	buf_putc(out, '\n');
}

void flows_csv_row(struct buf *out, const json_t *record)
{
	buf_clear(out);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		const json_t *v = json_object_get(record, columns[i].first);

		if (columns[i].second)
			v = json_object_get(v, columns[i].second);
		if (i)
			buf_putc(out, ',');
		if (json_is_object(v))
			put_rule(out, v);
		else
			csv_put_value(out, v);
	}
	buf_putc(out, '\n');
}
