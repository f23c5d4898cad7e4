/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/history_words.h"

#include "base/cleanup.h"
#include "base/human.h"
#include "cli/cells.h"
#include "cli/when.h"

bool history_next_by(struct str *rest, struct str *ret)
{
	if (!str_cut(rest, ',', ret))
		return false;
	*ret = str_trim(*ret);
	if (str_eq(*ret, STR("program")))
		*ret = STR("app");
	return true;
}

uint64_t history_number(const json_t *row, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(row, key));

	return v > 0 ? (uint64_t)v : 0;
}

void history_put_fact(struct buf *out, const json_t *fact)
{
	struct str text = { json_string_value(fact), json_string_length(fact) };

	if (json_is_integer(fact))
		buf_printf(out, "%lld", (long long)json_integer_value(fact));
	else if (text.n)
		cell_put_all(out, text);
	else
		buf_putc(out, '-');
}

static void put_amount(struct buf *out, const json_t *cost)
{
	double amount = json_number_value(json_object_get(cost, "amount"));

	if (amount > 0 && amount < 0.01)
		buf_puts(out, "<0.01 ");
	else
		buf_printf(out, "%.2f ", amount);
	history_put_fact(out, json_object_get(cost, "currency"));
}

bool history_put_cost(struct buf *out, const json_t *cost)
{
	const json_t *one;
	size_t i;

	if (json_is_object(cost))
		put_amount(out, cost);
	json_array_foreach(cost, i, one)
	{
		buf_puts(out, i ? " + " : "");
		put_amount(out, one);
	}
	return json_is_object(cost) || json_array_size(cost);
}

void history_put_totals(struct buf *out, const json_t *totals)
{
	char text[HUMAN_TEXT_MAX];
	uint64_t flows = history_number(totals, "flows"), refused;

	buf_printf(out, "%s flow%s, ", human_count(flows, text), flows == 1 ? "" : "s");
	buf_printf(out, "%s up, ", human_bytes(history_number(totals, "up"), text));
	buf_printf(out, "%s down", human_bytes(history_number(totals, "down"), text));
	refused = history_number(totals, "refused");
	if (refused)
		buf_printf(out, ", %s refused", human_count(refused, text));
	if (json_object_get(totals, "cost")) {
		buf_puts(out, ", ");
		history_put_cost(out, json_object_get(totals, "cost"));
	}
}

static void put_notes(struct buf *out, const json_t *notes)
{
	const json_t *note;
	size_t i;

	json_array_foreach(notes, i, note)
	{
		buf_puts(out, "note: ");
		history_put_fact(out, note);
		buf_putc(out, '\n');
	}
}

void history_put_end(struct buf *out, const json_t *end)
{
	static const char *const sources[][2] = { { "minutes", "sums by minute" },
						  { "hours", "sums by hour" },
						  { "days", "sums by day" },
						  { "flows", "single flows" } };
	const char *source = json_string_value(json_object_get(end, "source"));
	char from[WHEN_TEXT], to[WHEN_TEXT];

	if (json_object_get(end, "from")) {
		buf_printf(out, "%s to %s", when_format((time_t)history_number(end, "from"), from),
			   when_format((time_t)history_number(end, "to"), to));
		for (size_t i = 0; source && i < ARRAY_SIZE(sources); i++)
			if (!strcmp(source, sources[i][0]))
				buf_printf(out, ", from %s", sources[i][1]);
		buf_putc(out, '\n');
	}
	put_notes(out, json_object_get(end, "notes"));
}
