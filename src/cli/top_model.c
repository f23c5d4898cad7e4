/* SPDX-License-Identifier: Apache-2.0 */
/* The choices: views, keys, orders and the filter line. What egretd says is taken in by top_answer.c. */
#include "cli/top_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "flow/filter.h"

#define RECORD_MAX (1U << 20)

static const char *const group_orders[] = { "rate", "up", "down", "bytes", "flows", "label" };
static const char *const flow_orders[] = { "last", "bytes", "up", "down", "packets", "start" };

static const struct {
	uint32_t key;
	enum rollup_key by;
} groupings[] = {
	{ 'p', ROLLUP_PROGRAM },   { 'u', ROLLUP_USER },     { 'n', ROLLUP_UNIT },
	{ 'c', ROLLUP_CONTAINER }, { 'N', ROLLUP_NAME },     { 'a', ROLLUP_ADDRESS },
	{ 'o', ROLLUP_HOST },      { 'P', ROLLUP_PROTOCOL },
};

void top_model_init(struct top_model *m)
{
	*m = (struct top_model){ .by = ROLLUP_PROGRAM, .record_text = BUF_INIT(RECORD_MAX) };
}

void top_model_done(struct top_model *m)
{
	json_decref(m->answer);
	json_decref(m->flows);
	json_decref(m->coming);
	free(m->groups);
	buf_done(&m->record_text);
}

/* ---- choices from the command line ---- */

int top_model_set_filter(struct top_model *m, struct str text, char why[256])
{
	struct filter_error at = { 0 };
	struct filter *f = NULL;
	int r = text.n < sizeof(m->filter) ? filter_parse(text, &f, &at) : -E2BIG;

	filter_free(f);
	if (r == -EINVAL)
		snprintf(why, 256, "column %zu: %s", at.column, at.message);
	else if (r < 0)
		snprintf(why, 256, "%s", r == -E2BIG ? "the filter is too long" : strerror(-r));
	if (r < 0)
		return -EINVAL;
	memcpy(m->filter, text.p ? text.p : "", text.n);
	m->filter[text.n] = 0;
	return 0;
}

int top_model_set_by(struct top_model *m, const char *word)
{
	return rollup_key_parse(str_of(word), &m->by);
}

int top_model_set_sort(struct top_model *m, const char *word)
{
	for (unsigned i = 0; i < ARRAY_SIZE(group_orders); i++) {
		if (!strcmp(group_orders[i], word)) {
			m->group_sort = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* The view behind the help. */
static enum top_view data_view(const struct top_model *m)
{
	return m->view == TOP_HELP ? m->before_help : m->view;
}

const char *top_model_order(const struct top_model *m)
{
	return data_view(m) == TOP_GROUPS ? group_orders[m->group_sort] : flow_orders[m->flow_sort];
}

void top_model_request(struct top_model *m, struct buf *out)
{
	bool groups = data_view(m) == TOP_GROUPS;
	struct json j = JSON_INIT(out);

	json_decref(TAKE_PTR(m->coming));
	m->complete = false;
	json_object_begin(&j, NULL);
	json_text(&j, "ask", groups ? "top" : "flows");
	json_text(&j, "filter", m->filter);
	json_text(&j, "sort", top_model_order(m));
	json_u64(&j, "limit", TOP_ROWS);
	if (groups) {
		json_text(&j, "by", rollup_key_word(m->by));
	} else {
		json_bool(&j, "ended", true);
		json_object_begin(&j, "group");
		json_text(&j, "by", rollup_key_word(m->label_by));
		json_text(&j, "label", m->label);
		json_object_end(&j);
	}
	json_object_end(&j);
}

/* ---- keys ---- */

static void move(struct top_cursor *c, size_t rows, uint32_t key)
{
	size_t page = c->page > 1 ? c->page - 1 : 1;
	size_t last = rows ? rows - 1 : 0;

	switch (key) {
	case TOP_KEY_UP:
		c->at -= c->at > 0;
		break;
	case TOP_KEY_DOWN:
		c->at++;
		break;
	case TOP_KEY_PAGE_UP:
		c->at -= MIN(page, c->at);
		break;
	case TOP_KEY_PAGE_DOWN:
		c->at += page;
		break;
	case TOP_KEY_HOME:
		c->at = 0;
		break;
	case TOP_KEY_END:
		c->at = last;
		break;
	}
	c->at = MIN(c->at, last);
	c->chosen = key != TOP_KEY_HOME;
}

/* A text is only scrolled: its cursor is the first line on the screen. */
static void scroll(struct top_cursor *c, size_t lines, uint32_t key)
{
	size_t most = lines > c->page ? lines - c->page : 0;

	move(c, lines, key == TOP_KEY_END ? TOP_KEY_HOME : key);
	c->at = key == TOP_KEY_END ? most : MIN(c->at, most);
}

static enum top_act enter(struct top_model *m)
{
	struct top_cursor *c = &m->group_cursor;
	struct str label;

	if (m->view == TOP_FLOWS && m->flow_cursor.at < json_array_size(m->flows)) {
		json_t *id =
			json_object_get(json_array_get(m->flows, m->flow_cursor.at), "flow_id");

		m->record_id = (uint64_t)json_integer_value(id);
		m->record_cursor = (struct top_cursor){ 0 };
		m->view = TOP_RECORD;
		top_model_show_record(m);
		return TOP_ASK;
	}
	if (m->view != TOP_GROUPS || c->at >= m->n_groups)
		return TOP_DRAW;
	label = m->groups[c->at].label;
	if (label.n >= sizeof(m->label) || str_eq(label, STR("(others)")))
		return TOP_DRAW; /* the sum of what found no row has no flows of its own */
	memcpy(m->label, label.p, label.n);
	m->label[label.n] = 0;
	m->label_by = m->by;
	json_decref(TAKE_PTR(m->flows));
	m->flow_cursor = (struct top_cursor){ 0 };
	m->flows_matched = 0;
	m->view = TOP_FLOWS;
	return TOP_ASK;
}

static enum top_act leave(struct top_model *m)
{
	switch (m->view) {
	case TOP_HELP:
		m->view = m->before_help;
		return TOP_DRAW;
	case TOP_RECORD:
		m->view = TOP_FLOWS;
		return TOP_ASK;
	case TOP_FLOWS:
		m->view = TOP_GROUPS;
		return TOP_ASK;
	case TOP_GROUPS:
		break;
	}
	return TOP_DRAW;
}

static void forget_groups(struct top_model *m)
{
	json_decref(TAKE_PTR(m->answer));
	m->n_groups = m->most_groups = 0;
	m->group_cursor = (struct top_cursor){ 0 };
}

static enum top_act group_by(struct top_model *m, enum rollup_key by)
{
	m->by = by;
	m->view = TOP_GROUPS;
	forget_groups(m);
	return TOP_ASK;
}

static enum top_act next_order(struct top_model *m)
{
	if (m->view == TOP_GROUPS)
		m->group_sort = (m->group_sort + 1) % ARRAY_SIZE(group_orders);
	else
		m->flow_sort = (m->flow_sort + 1) % ARRAY_SIZE(flow_orders);
	return TOP_ASK;
}

/* ---- the filter line ---- */

static void drop_last_character(char *text)
{
	size_t n = strlen(text);

	while (n && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
		n--;
	text[n ? n - 1 : 0] = 0;
}

static void drop_last_word(char *text)
{
	size_t n = strlen(text);

	while (n && text[n - 1] == ' ')
		n--;
	while (n && text[n - 1] != ' ')
		n--;
	text[n] = 0;
}

static void add_character(char *text, size_t room, uint32_t c)
{
	char utf8[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, have = strlen(text);
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; c >>= 6)
		utf8[i] = (char)(0x80 | (c & 0x3f));
	utf8[0] = (char)(lead[n] | c);
	if (have + n >= room)
		return;
	memcpy(text + have, utf8, n);
	text[have + n] = 0;
}

static enum top_act edit_key(struct top_model *m, uint32_t key)
{
	m->edit_error[0] = 0;
	switch (key) {
	case TOP_KEY_ESCAPE:
		m->editing = false;
		return TOP_DRAW;
	case TOP_KEY_ENTER:
		if (top_model_set_filter(m, str_of(m->edit), m->edit_error) < 0)
			return TOP_DRAW; /* stays open, with the reason */
		m->editing = false;
		forget_groups(m);
		return TOP_ASK;
	case TOP_KEY_BACKSPACE:
		drop_last_character(m->edit);
		return TOP_DRAW;
	case 'U' & 0x1f: /* as in a shell */
		m->edit[0] = 0;
		return TOP_DRAW;
	case 'W' & 0x1f:
		drop_last_word(m->edit);
		return TOP_DRAW;
	}
	if (key >= 0x20 && key != 0x7f && key < TOP_KEY_UP)
		add_character(m->edit, sizeof(m->edit), key);
	return TOP_DRAW;
}

static enum top_act begin_edit(struct top_model *m)
{
	memcpy(m->edit, m->filter, sizeof(m->edit));
	m->edit_error[0] = 0;
	m->editing = true;
	return TOP_DRAW;
}

static enum top_act move_key(struct top_model *m, uint32_t key)
{
	size_t lines = 0;

	switch (m->view) {
	case TOP_GROUPS:
		move(&m->group_cursor, m->n_groups, key);
		break;
	case TOP_FLOWS:
		move(&m->flow_cursor, json_array_size(m->flows), key);
		break;
	case TOP_RECORD:
		for (size_t i = 0; i < m->record_text.n; i++)
			lines += m->record_text.p[i] == '\n';
		scroll(&m->record_cursor, lines, key);
		break;
	case TOP_HELP:
		break;
	}
	return TOP_DRAW;
}

enum top_act top_model_key(struct top_model *m, uint32_t key)
{
	if (m->editing)
		return edit_key(m, key);
	for (size_t i = 0; i < ARRAY_SIZE(groupings); i++)
		if (groupings[i].key == key)
			return group_by(m, groupings[i].by);
	switch (key) {
	case 'q':
		return TOP_QUIT;
	case '?':
		if (m->view != TOP_HELP)
			m->before_help = m->view;
		m->view = TOP_HELP;
		return TOP_DRAW;
	case 's':
		return m->view == TOP_HELP || m->view == TOP_RECORD ? TOP_DRAW : next_order(m);
	case '/':
		return m->view == TOP_HELP ? TOP_DRAW : begin_edit(m);
	case ' ':
		m->paused = !m->paused;
		return TOP_DRAW;
	case TOP_KEY_ENTER:
		return enter(m);
	case TOP_KEY_ESCAPE:
	case TOP_KEY_BACKSPACE:
		return leave(m);
	case 'j':
		return move_key(m, TOP_KEY_DOWN);
	case 'k':
		return move_key(m, TOP_KEY_UP);
	case 'g':
		return move_key(m, TOP_KEY_HOME);
	case 'G':
		return move_key(m, TOP_KEY_END);
	}
	return key >= TOP_KEY_UP && key <= TOP_KEY_END ? move_key(m, key) : TOP_DRAW;
}
