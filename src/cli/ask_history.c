/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask_history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/recordings.h"
#include "flow/filter.h"
#include "history/answer.h"

#define MAX_REQUEST 16384

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

/* The lines of an answer that is there as a whole. */
static int on_lines(struct asking *a, struct str rest)
{
	struct str text;
	int r = 1;

	while (r > 0 && str_cut(&rest, '\n', &text))
		r = on_line(a, text);
	return r;
}

/* In this process. */
static int answer_of(struct asking *a, const struct history_source *source, struct str request)
{
	_cleanup_free_ char *answer = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&answer, &n);
	int r = out ? history_answer(source, request, out) : -ENOMEM;

	if (out && fclose(out) == EOF)
		r = -ENOMEM;
	return r < 0 ? r : on_lines(a, (struct str){ answer, n });
}

/*
 * No egretd runs: what it has kept is read by whoever may read the files, with the same code. Only where egret.conf speaks of that
 * very daemon. -ENOENT: not so.
 */
static int answer_here(struct asking *a, struct str request)
{
	struct config config;
	struct history_source source = { .now_ns = time_now() };
	char dir[sizeof(config.state) + 16];

	if (recordings_config(&config, "") < 0 || strcmp(config.run, arg_run))
		return -ENOENT;
	snprintf(dir, sizeof(dir), "%s/history", config.state);
	if (access(dir, R_OK | X_OK) < 0)
		return -ENOENT;
	source.dir = dir;
	log_info("no egretd is running: this is read from %s, without prices", dir);
	return answer_of(a, &source, request);
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
	if (r == -ENOENT || r == -ECONNREFUSED) {
		int here = answer_here(&a, request);

		if (here != -ENOENT)
			return here;
	}
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

int ask_history_gather_of(const struct history_source *source, struct str request,
			  json_t **ret_rows, json_t **ret_end)
{
	struct gathered g = { .rows = json_array() };
	struct asking a = { gather, &g };
	int r = g.rows ? answer_of(&a, source, request) : log_errno(ENOMEM, "no request");

	*ret_rows = g.rows;
	*ret_end = g.end;
	return r;
}

int ask_history_usage(const struct ask_history *a,
		      int (*show)(const struct ask_history *a, const json_t *rows,
				  const json_t *end))
{
	_cleanup_buf_ struct buf request = BUF_INIT(MAX_REQUEST);
	struct json j = JSON_INIT(&request);
	json_t *rows = NULL, *end = NULL;
	int status = EXIT_FAILURE;

	ask_history_begin(&j, a, "usage");
	json_object_end(&j);
	if (a->form == HISTORY_JSON)
		status = ask_history_print(buf_str(&request));
	else if (ask_history_gather(buf_str(&request), &rows, &end) == 0)
		status = show(a, rows, end);
	json_decref(rows);
	json_decref(end);
	return status;
}
