/* SPDX-License-Identifier: Apache-2.0 */
/* What egretd says, taken into the model of `egret top`. A selected row stays selected wherever it has moved to. */
#include "cli/top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/ask.h"

static uint64_t number(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

static struct top_sums read_sums(const json_t *j)
{
	const json_t *label = json_object_get(j, "label");
	double up = json_number_value(json_object_get(j, "up_rate"));
	double down = json_number_value(json_object_get(j, "down_rate"));

	return (struct top_sums){
		.label = { json_string_value(label), json_string_length(label) },
		.flows = number(j, "flows"),
		.up = number(j, "up"),
		.down = number(j, "down"),
		.up_rate = up > 0 ? up : 0,
		.down_rate = down > 0 ? down : 0,
	};
}

/* Where the row that was selected is now; where it was when it is gone. */
static void follow_group(struct top_model *m, struct str label)
{
	struct top_cursor *c = &m->group_cursor;

	for (size_t i = 0; c->chosen && label.n && i < m->n_groups; i++)
		if (str_eq(m->groups[i].label, label))
			c->at = i;
	if (!c->chosen)
		c->at = 0;
	c->at = MIN(c->at, m->n_groups ? m->n_groups - 1 : 0);
}

static void take_groups(struct top_model *m, json_t *answer)
{
	_cleanup_(json_decrefp) json_t *before = TAKE_PTR(m->answer);
	json_t *rows = json_object_get(answer, "rows");
	size_t n = MIN(json_array_size(rows), (size_t)TOP_ROWS);
	struct str selected = STR_NONE;
	struct top_sums *groups = calloc(n + 1, sizeof(*groups));

	if (m->group_cursor.at < m->n_groups)
		selected = m->groups[m->group_cursor.at].label;
	for (size_t i = 0; groups && i < n; i++)
		groups[i] = read_sums(json_array_get(rows, i));
	free(m->groups);
	m->groups = groups;
	m->n_groups = groups ? n : 0;
	m->answer = answer;
	m->totals = read_sums(json_object_get(answer, "totals"));
	m->most_groups = number(json_object_get(answer, "totals"), "groups");
	m->flows_now = number(answer, "flows_now");
	follow_group(m, selected); /* the label still lives in `before` */
}

static uint64_t flow_id_at(const json_t *flows, size_t i)
{
	return number(json_array_get(flows, i), "flow_id");
}

void top_model_show_record(struct top_model *m)
{
	_cleanup_free_ char *text = NULL;

	m->record_gone = true;
	for (size_t i = 0; i < json_array_size(m->flows); i++) {
		if (flow_id_at(m->flows, i) != m->record_id)
			continue;
		text = json_dumps(json_array_get(m->flows, i),
				  JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
		m->record_gone = false;
	}
	if (!text)
		return;
	buf_clear(&m->record_text);
	buf_puts(&m->record_text, text);
	buf_putc(&m->record_text, '\n');
}

/* The last line of an answer to "flows": what has come is what is shown. */
static void take_flows(struct top_model *m, const json_t *end)
{
	struct top_cursor *c = &m->flow_cursor;
	uint64_t selected = flow_id_at(m->flows, c->at);

	m->complete = true;
	m->flows_matched = number(end, "matched");
	if (m->paused) {
		json_decref(TAKE_PTR(m->coming));
		return;
	}
	json_decref(m->flows);
	m->flows = m->coming ? TAKE_PTR(m->coming) : json_array();
	for (size_t i = 0; c->chosen && selected && i < json_array_size(m->flows); i++)
		if (flow_id_at(m->flows, i) == selected)
			c->at = i;
	if (!c->chosen)
		c->at = 0;
	c->at = MIN(c->at, json_array_size(m->flows) ? json_array_size(m->flows) - 1 : 0);
	if (m->view == TOP_RECORD || (m->view == TOP_HELP && m->before_help == TOP_RECORD))
		top_model_show_record(m);
}

void top_model_line(struct top_model *m, struct str line)
{
	_cleanup_(json_decrefp) json_t *j = ask_parse(line, m->trouble);

	if (!j)
		return;
	m->trouble[0] = 0;
	m->heard_ns = m->now_ns;
	if (json_object_get(j, "rows")) {
		if (!m->paused)
			take_groups(m, TAKE_PTR(j));
	} else if (json_object_get(j, "end")) {
		take_flows(m, j);
	} else if (json_object_get(j, "flow_id")) {
		if (!m->coming)
			m->coming = json_array();
		if (json_array_size(m->coming) < TOP_ROWS)
			json_array_append(m->coming, j);
	}
}
