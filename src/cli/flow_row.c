/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/flow_row.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/time.h"

static struct str text_at(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return json_is_string(v) ? (struct str){ json_string_value(v), json_string_length(v) }
				 : STR_NONE;
}

static uint64_t number_at(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

static int port_at(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return json_is_integer(v) ? (int)json_integer_value(v) : -1;
}

/* Of what a gateway forwards, the machine inside is who it was: its name, else its address. */
static struct str machine_of(const struct flow_row *r, const json_t *egret)
{
	struct str name = text_at(json_object_get(egret, "machine"), "name");
	bool came_in = str_eq(text_at(egret, "direction"), STR("ingress"));
	struct str address = came_in ? r->dest : r->src;

	if (!str_eq(text_at(egret, "vantage"), STR("gateway")) || !address.n)
		return STR("(unknown)");
	return name.n ? name : address;
}

void flow_row_read(struct flow_row *ret, const json_t *record)
{
	const json_t *flow = json_object_get(record, "flow");
	const json_t *process = json_object_get(record, "process");
	const json_t *egret = json_object_get(record, "egret");
	struct str direction = text_at(egret, "direction");
	/* As flow_up_side(): what leaves our side is "up", also where the other side opened the flow. */
	bool other_opened = str_eq(direction, STR("reply")) || str_eq(direction, STR("ingress"));

	*ret = (struct flow_row){
		.id = number_at(record, "flow_id"),
		.up = number_at(flow, other_opened ? "bytes_toclient" : "bytes_toserver"),
		.down = number_at(flow, other_opened ? "bytes_toserver" : "bytes_toclient"),
		.start = text_at(flow, "start"),
		.state = text_at(flow, "state"),
		.reason = text_at(flow, "reason"),
		.program = text_at(process, "name"),
		.user = text_at(json_object_get(record, "user"), "name"),
		.unit = text_at(json_object_get(record, "service"), "name"),
		.container = text_at(json_object_get(record, "container"), "name"),
		.name = text_at(egret, "name"),
		.source = text_at(egret, "name_source"),
		.src = text_at(record, "src_ip"),
		.dest = text_at(record, "dest_ip"),
		.proto = text_at(record, "proto"),
		.app = text_at(record, "app_proto"),
		.sport = port_at(record, "src_port"),
		.dport = port_at(record, "dest_port"),
		.known = process != NULL,
		.verdict = text_at(egret, "verdict"),
		.would = json_is_true(json_object_get(egret, "would_deny")),
		.rule_line = number_at(json_object_get(egret, "rule"), "line"),
	};
	if (!ret->start.n) /* refused before it became a flow */
		ret->start = text_at(record, "timestamp");
	if (!ret->user.n)
		ret->user = text_at(json_object_get(record, "user"), "id");
	if (!ret->known)
		ret->program = machine_of(ret, egret);
}

struct str flow_row_target(const struct flow_row *r)
{
	return r->name.n ? r->name : r->dest;
}

struct str flow_row_proto(const struct flow_row *r, char text[FLOW_ROW_TEXT])
{
	int n = 0;

	for (size_t i = 0; i < r->proto.n && n < 10; i++) {
		char c = r->proto.p[i];

		text[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	if (r->app.n)
		n += snprintf(text + n, FLOW_ROW_TEXT - (size_t)n, "/%.12s", r->app.p);
	return (struct str){ text, (size_t)n };
}

struct str flow_row_state(const struct flow_row *r)
{
	return r->reason.n ? r->reason : r->state;
}

bool flow_row_is_refused(const struct flow_row *r)
{
	return r->would || str_eq(r->verdict, STR("deny")) || str_eq(r->verdict, STR("reject"));
}

struct str flow_row_verdict(const struct flow_row *r, char text[FLOW_ROW_TEXT])
{
	struct str word = r->would && str_eq(r->verdict, STR("audit")) ? STR("deny") : r->verdict;
	int n;

	if (!word.n)
		return STR_NONE;
	n = snprintf(text, FLOW_ROW_TEXT, "%s%.*s", r->would ? "would " : "", (int)MIN(word.n, 6U),
		     word.p);
	if (r->rule_line)
		n += snprintf(text + n, FLOW_ROW_TEXT - (size_t)n, " %llu",
			      (unsigned long long)r->rule_line);
	return (struct str){ text, MIN((size_t)n, FLOW_ROW_TEXT - 1U) };
}

static bool local_start(const struct flow_row *r, struct tm *ret)
{
	uint64_t start_ns;
	time_t start;

	if (time_parse(r->start, &start_ns) < 0)
		return false;
	start = (time_t)(start_ns / NSEC_PER_SEC);
	return localtime_r(&start, ret) != NULL;
}

static struct str start_as(const struct flow_row *r, const char *form, char text[FLOW_ROW_TEXT])
{
	struct tm tm;

	if (!local_start(r, &tm) || !strftime(text, FLOW_ROW_TEXT, form, &tm))
		return STR("-");
	return str_of(text);
}

struct str flow_row_time(const struct flow_row *r, char text[FLOW_ROW_TEXT])
{
	return start_as(r, "%H:%M:%S", text);
}

struct str flow_row_date(const struct flow_row *r, char text[FLOW_ROW_TEXT])
{
	return start_as(r, "%Y-%m-%d", text);
}

struct str flow_row_start(const struct flow_row *r, uint64_t now_ns, char text[FLOW_ROW_TEXT])
{
	time_t now = (time_t)(now_ns / NSEC_PER_SEC);
	struct tm then, today;

	if (!local_start(r, &then) || !localtime_r(&now, &today))
		return STR("-");
	return start_as(r,
			then.tm_year == today.tm_year && then.tm_yday == today.tm_yday
				? "%H:%M:%S"
				: "%m-%d %H:%M",
			text);
}
