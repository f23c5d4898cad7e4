/* SPDX-License-Identifier: Apache-2.0 */
/* What `egret cost` shows below the rows: prices, and how budgets stand. */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "cli/history_words.h"
#include "cli/table.h"
#include "cli/usage_view.h"
#include "cli/when.h"

#define CELL_MAX 4096

static void cost_cell(struct table *t, const json_t *cost)
{
	_cleanup_buf_ struct buf cell = BUF_INIT(CELL_MAX);

	if (!history_put_cost(&cell, cost))
		buf_putc(&cell, '-');
	table_cell(t, buf_str(&cell));
}

static void fact_cell(struct table *t, const json_t *row, const char *key)
{
	_cleanup_buf_ struct buf cell = BUF_INIT(CELL_MAX);

	history_put_fact(&cell, json_object_get(row, key));
	table_cell(t, buf_str(&cell));
}

static int print_table(FILE *to, const struct table_column *columns, size_t n, const json_t *rows,
		       void (*put)(struct table *t, const json_t *row), unsigned width)
{
	struct table *t;
	const json_t *row;
	size_t i;

	if (!json_array_size(rows))
		return 0;
	if (table_new(&t, columns, n) < 0)
		return -ENOMEM;
	json_array_foreach(rows, i, row) put(t, row);
	fputc('\n', to);
	table_print(t, to, width);
	table_free(t);
	return 0;
}

static void put_price(struct table *t, const json_t *price)
{
	char text[HUMAN_TEXT_MAX];

	fact_cell(t, price, "price");
	table_cell(t, str_of(human_bytes(history_number(price, "up"), text)));
	cost_cell(t, json_object_get(price, "cost"));
}

/* A member of a budget as other costs are written. */
static void money_cell(struct table *t, const json_t *budget, const char *key)
{
	json_t *cost = json_object_get(budget, key)
			       ? json_pack("{s:O,s:O}", "amount", json_object_get(budget, key),
					   "currency", json_object_get(budget, "currency"))
			       : NULL;

	cost_cell(t, cost);
	json_decref(cost);
}

static const char *words_of(const json_t *state)
{
	static const char *const words[][2] = { { "ahead", "will be passed" },
						{ "over", "is passed" } };
	const char *s = json_string_value(state);

	for (size_t i = 0; s && i < ARRAY_SIZE(words); i++)
		if (!strcmp(s, words[i][0]))
			return words[i][1];
	return s ? s : "-";
}

static void put_budget(struct table *t, const json_t *budget)
{
	char month[WHEN_TEXT];

	fact_cell(t, budget, "budget");
	when_format((time_t)history_number(budget, "from"), month);
	table_cell(t, (struct str){ month, strlen("2026-11") });
	money_cell(t, budget, "of");
	money_cell(t, budget, "used");
	money_cell(t, budget, "forecast");
	table_cell(t, str_of(words_of(json_object_get(budget, "state"))));
}

int cost_print(FILE *to, const char *by, const json_t *rows, const json_t *end, unsigned width)
{
	static const struct table_column prices[] = {
		{ "PRICE", .elastic = true },
		{ "UP", .right = true },
		{ "COST", .right = true },
	};
	static const struct table_column budgets[] = {
		{ "BUDGET" },
		{ "MONTH" },
		{ "OF", .right = true },
		{ "USED", .right = true },
		{ "FORECAST", .right = true },
		{ "STATE" },
	};
	int r = usage_print(to, by, rows, end, width);

	if (r == 0)
		r = print_table(to, prices, ARRAY_SIZE(prices), json_object_get(end, "prices"),
				put_price, width);
	if (r == 0)
		r = print_table(to, budgets, ARRAY_SIZE(budgets), json_object_get(end, "budgets"),
				put_budget, width);
	if (!json_object_get(end, "prices"))
		fputs("note: no policy with a price is in force: nothing has a cost; as in "
		      "'price internet = 0.09 USD/GB after 100 GB'\n",
		      to);
	return r;
}
