/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask_history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/ask.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "flow/filter.h"

int ask_history_option(struct ask_history *a, int option, const char *arg)
{
	switch (option) {
	case 'L':
		a->when.last = arg;
		return 1;
	case 'F':
		a->when.from = arg;
		return 1;
	case 'T':
		a->when.to = arg;
		return 1;
	case 'P':
		a->when.period = arg;
		return 1;
	case 'l':
		if (str_parse_u64(str_of(arg), &a->limit) == 0)
			return 1;
		log_error("--limit %s: no number", arg);
		return -EINVAL;
	case 'j':
		a->form = HISTORY_JSON;
		return 1;
	case 'c':
		a->form = HISTORY_CSV;
		return 1;
	default:
		return 0;
	}
}

bool ask_history_has_time(const struct ask_history *a)
{
	return a->when.last || a->when.from || a->when.to || a->when.period;
}

int ask_history_ready(struct ask_history *a, int n_words, char **words)
{
	struct filter_error error;
	struct filter *f = NULL;
	char why[WHEN_WHY];

	ask_join_filter(&a->filter, n_words, words);
	if (a->filter.failed || filter_parse(buf_str(&a->filter), &f, &error) < 0) {
		if (a->filter.failed)
			log_error("filter: too long");
		else
			log_error("filter, column %zu: %s", error.column, error.message);
		return -EINVAL;
	}
	filter_free(f);
	if (when_span(&a->when, time(NULL), &a->span, why) < 0) {
		log_error("%s", why);
		return -EINVAL;
	}
	return 0;
}

void ask_history_begin(struct json *j, const struct ask_history *a, const char *verb)
{
	json_object_begin(j, NULL);
	json_text(j, "ask", "history");
	json_text(j, "do", verb);
	json_u64(j, "from", (uint64_t)a->span.from);
	json_u64(j, "to", (uint64_t)a->span.to);
	if (a->filter.n)
		json_str(j, "filter", buf_str(&a->filter));
	json_text(j, "by", a->by);
	json_text(j, "sort", a->sort);
	if (a->limit)
		json_u64(j, "limit", a->limit);
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

struct asking {
	int (*line)(void *ctx, struct str text, const json_t *read);
	void *ctx;
};

/* 1: go on; 0: done; -errno, told. */
static int on_line(struct asking *a, struct str text)
{
	char why[256];
	json_t *read = ask_parse(text, why);
	int r;

	if (!read) {
		log_error("%s", why);
		return -EBADMSG;
	}
	r = a->line(a->ctx, text, read);
	json_decref(read);
	return r;
}

int ask_history_send(struct str request,
		     int (*line)(void *ctx, struct str text, const json_t *read), void *ctx)
{
	struct asking a = { line, ctx };
	struct client *c;
	struct str text;
	char why[256];
	int r;

	r = ask_daemon(&c, arg_run, request, why);
	if (r < 0) {
		log_error("%s", why);
		return r;
	}
	while ((r = client_line(c, &text)) > 0) {
		r = on_line(&a, text);
		if (r <= 0)
			goto out;
	}
	log_error("egretd ended the connection%s%s", r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
	r = r < 0 ? r : -EPIPE;
out:
	client_free(c);
	return r;
}

static int print_line(void *ctx, struct str text, const json_t *read)
{
	fwrite(text.p, 1, text.n, stdout);
	putchar('\n');
	return !json_object_get(read, "end") && !json_object_get(read, "what");
}

int ask_history_flush(void)
{
	if (fflush(stdout) == EOF || ferror(stdout))
		return log_errno(errno, "cannot write"), EXIT_FAILURE;
	return EXIT_SUCCESS;
}

int ask_history_print(struct str request)
{
	return ask_history_send(request, print_line, NULL) < 0 ? EXIT_FAILURE : ask_history_flush();
}

struct gathered {
	json_t *rows, *end;
};

static int gather(void *ctx, struct str text, const json_t *read)
{
	struct gathered *g = ctx;
	json_t *copy = json_incref((json_t *)read);

	if (json_object_get(read, "end")) {
		g->end = copy;
		return 0;
	}
	return json_array_append_new(g->rows, copy) < 0 ? log_errno(ENOMEM, "too many rows") : 1;
}

int ask_history_gather(struct str request, json_t **ret_rows, json_t **ret_end)
{
	struct gathered g = { .rows = json_array() };
	int r = g.rows ? ask_history_send(request, gather, &g) : log_errno(ENOMEM, "no request");

	*ret_rows = g.rows;
	*ret_end = g.end;
	return r;
}

/* --- words of answers -------------------------------------------------------------------------------------------- */

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

	/* Cents, and below one cent what can be seen of it. */
	buf_printf(out, amount > 0 && amount < 0.01 ? "%.4f " : "%.2f ", amount);
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
