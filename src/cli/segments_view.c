/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/segments_view.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "cli/history_words.h"
#include "cli/table.h"

#define LINES_MAX 1000
#define CELL_MAX 256
#define OTHERS "(others)"

struct cell {
	uint64_t bytes, flows, refused;
};

struct matrix {
	const char *from[LINES_MAX], *to[SEGMENTS_COLUMNS + 1];
	size_t n_from, n_to;
	struct cell cells[LINES_MAX][SEGMENTS_COLUMNS + 1];
};

/* The place of a segment, which it gets when it is the first of its name; past `max` that of the others. */
static size_t place_of(const char **names, size_t *n, size_t max, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(names[i], name))
			return i;
	if (*n == max)
		return max - 1;
	names[*n] = *n == max - 1 ? OTHERS : name;
	return (*n)++;
}

static const char *segment(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s && *s ? s : "-";
}

/* Rows come sorted by bytes: so are the segments, by the first in which they are. */
static void fill(struct matrix *m, const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		bool rest = json_is_true(json_object_get(row, "others"));
		size_t from = place_of(m->from, &m->n_from, LINES_MAX,
				       rest ? OTHERS : segment(row, "from"));
		size_t to = place_of(m->to, &m->n_to, SEGMENTS_COLUMNS + 1,
				     rest ? OTHERS : segment(row, "to"));
		struct cell *c = &m->cells[from][to];

		c->bytes += history_number(row, "up") + history_number(row, "down");
		c->flows += history_number(row, "flows");
		c->refused += history_number(row, "refused");
	}
}

static void put_cell(struct table *t, const struct cell *c)
{
	char bytes[HUMAN_TEXT_MAX], count[HUMAN_TEXT_MAX], text[CELL_MAX];
	int n;

	if (!c->flows && !c->bytes && !c->refused) {
		table_cell(t, STR("."));
		return;
	}
	n = snprintf(text, sizeof(text), "%s in %s", human_bytes(c->bytes, bytes),
		     human_count(c->flows, count));
	if (c->refused)
		snprintf(text + n, sizeof(text) - (size_t)n, ", %s refused",
			 human_count(c->refused, count));
	table_cell(t, str_of(text));
}

int segments_print(FILE *to, const json_t *rows, unsigned width)
{
	struct table_column columns[SEGMENTS_COLUMNS + 2] = { { "FROM \\ TO", false, true } };
	_cleanup_free_ struct matrix *m = calloc(1, sizeof(*m));
	struct table *t;

	if (!m)
		return -ENOMEM;
	fill(m, rows);
	for (size_t i = 0; i < m->n_to; i++)
		columns[i + 1] = (struct table_column){ m->to[i], true, false };
	if (table_new(&t, columns, m->n_to + 1) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_from; i++) {
		table_cell(t, str_of(m->from[i]));
		for (size_t k = 0; k < m->n_to; k++)
			put_cell(t, &m->cells[i][k]);
	}
	if (m->n_from)
		table_print(t, to, width);
	table_free(t);
	return 0;
}
